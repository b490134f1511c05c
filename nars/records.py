"""The ledger: one JSON line per finished training, the only state of a search.

Appending locks, repairs a torn last line and syncs to disk. A record's key is the content of candidate, protocol,
data and seed, so that the same training is never run twice, in this run or the next.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock
from pydantic import Field, ValidationError

from nars.errors import UserError
from nars.files import content_key
from nars.settings import Settings
from nars.spaces.candidate import Candidate

SCHEMA = 1


class Record(Settings):
    """What one training gave.

    `accuracies`: top-1 fraction on the validation images after each epoch. `status` `diverged` means the loss or a
    weight became NaN or infinite, after which no epoch counts; `failed` means the training could not be run
    (`reason`). `epochs` is how many were asked for, `seconds` the wall time, `tries` how often it was begun if that was
    more than once.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    key: str
    architecture: dict
    recipe: dict
    training: dict
    seed: int
    epochs: Annotated[int, Field(ge=1)]
    status: Literal["finished", "diverged", "failed"]
    accuracies: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    macs: float
    params: float
    seconds: Annotated[float, Field(ge=0)]
    reason: str | None = None
    tries: Annotated[int, Field(ge=2)] | None = None
    versions: dict | None = None

    @property
    def candidate(self) -> Candidate:
        """The candidate that was trained."""
        return Candidate(architecture=self.architecture, recipe=self.recipe)

    def accuracy_at(self, epoch: int) -> float:
        """Accuracy after `epoch` epochs (1 = the first); 0 for a training that diverged or failed before."""
        return self.accuracies[epoch - 1] if len(self.accuracies) >= epoch else 0.0

    def answers(self, epochs: int) -> bool:
        """Whether this record already says what a training of `epochs` epochs would give.

        The learning rate of an epoch does not depend on the number of epochs, so a longer training contains a
        shorter one; a diverged one would diverge again. A failed one says nothing.
        """
        return self.known_epochs >= epochs

    @property
    def known_epochs(self) -> float:
        """How long a training may be for this record to answer it."""
        return {"finished": len(self.accuracies), "diverged": math.inf, "failed": 0}[self.status]


def training_key(candidate: Candidate, training: Mapping, seed: int) -> str:
    """Key of the training of `candidate`; `training` holds everything else that decides its outcome but the epochs."""
    return content_key({"candidate": candidate.to_dict(), "training": dict(training), "seed": seed})


def curve_so_far(path: Path) -> tuple[float, ...]:
    """Accuracies of the finished epochs in a training's epochs.jsonl, none if there is none; a line torn by a kill is
    left out."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ()
    return tuple(json.loads(line)["accuracy"] for line in lines if line.endswith("}"))


class Ledger:
    """The records of one file, in the order in which they were appended. Creating one reads the file."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._records: dict[str, Record] = {}
        self._lock = FileLock(f"{self.path}.lock")
        self._bytes_read = 0
        self._lines_read = 0
        self.refresh()

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self):
        return iter(self._records.values())

    def get(self, key: str) -> Record | None:
        """The record under `key`, if there is one."""
        return self._records.get(key)

    def find(self, key: str, epochs: int) -> Record | None:
        """The record that answers a training of `epochs` epochs under `key`, if there is one."""
        record = self.get(key)
        return record if record is not None and record.answers(epochs) else None

    def refresh(self) -> list[Record]:
        """Read the lines that were appended since the last time, by any process; returns their records."""
        if not self.path.exists():
            return []
        try:
            with open(self.path, "rb") as file:
                file.seek(self._bytes_read)
                lines = file.read().split(b"\n")
        except OSError as error:
            raise UserError(f"{self.path}: cannot read the ledger: {error.strerror}") from error
        lines.pop()  # what follows the last newline: nothing, or a line that is being written or was torn by a kill
        records = [self._parse(line, n) for n, line in enumerate(lines, start=self._lines_read + 1) if line.strip()]
        for record in records:
            self._keep(record)
        self._bytes_read += sum(len(line) + 1 for line in lines)
        self._lines_read += len(lines)
        return records

    def append(self, record: Record) -> None:
        """Write one record and wait until it is on disk; UserError if the file cannot be written."""
        line = json.dumps(record.model_dump(mode="json", by_alias=True, exclude_none=True), allow_nan=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, open(self.path, "ab+") as file:
                _repair_torn_line(file)
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot write a record: {error.strerror}; free space or fix permissions, then "
                "run the same command again"
            ) from error
        self._keep(record)

    def _keep(self, record: Record) -> None:
        known = self._records.get(record.key)
        if known is None or record.known_epochs > known.known_epochs:
            self._records[record.key] = record

    def _parse(self, line: bytes, number: int) -> Record:
        where = f"{self.path} line {number}"
        try:
            version = json.loads(line).get("schema")
        except (ValueError, AttributeError):
            raise UserError(f"{where}: not a record; remove this line or move the file away") from None
        if version != SCHEMA:
            raise UserError(
                f"{where}: ledger schema {version}, this version reads schema {SCHEMA}; "
                "use another study=... or move the file away"
            )
        try:
            return Record.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            path = ".".join(str(part) for part in problem["loc"])
            raise UserError(f"{where}: {path}: {problem['msg']}; remove this line or move the file away") from None


def _repair_torn_line(file) -> None:
    """Cut off what a killed writer left after the last newline."""
    size = file.seek(0, os.SEEK_END)
    position = size
    while position > 0:
        start = max(0, position - 65536)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            position = start + newline + 1
            break
        position = start
    if position < size:
        file.truncate(position)
    file.seek(0, os.SEEK_END)
