"""The ledger: one JSON line per finished training, the only state of a search.

A record's key is the content of candidate, protocol, data and seed, so that the same training is never run twice, in
this run or the next.
"""

import json
import logging
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, ValidationError

from nars.costs.table import gathered
from nars.errors import UserError
from nars.files import content_key
from nars.json_lines import Line, NewLines, append_line, parse_object, whole_objects
from nars.settings import Settings, later
from nars.spaces.candidate import Candidate

SCHEMA = 1
BEGIN = '{"schema"'  # of every record's line
LOG = logging.getLogger(__name__)


class Origin(Settings):
    """Where a training comes from, for people and for searches that have the ledger alone: the `data` by name, its
    number of `classes`, and the names of the spaces, null where the candidate is of none. No part of the key."""

    data: str
    classes: Annotated[int, Field(ge=1)]
    search_space: str | None = None
    recipe_space: str | None = None


class Record(Settings):
    """What one training gave.

    `accuracies`: the `metric` on the validation images after each epoch, a fraction; where none is named, it is the
    top-1 accuracy. `status` `diverged` means the loss or a weight became NaN or infinite, after which no epoch counts;
    `failed` means the training could not be run (`reason`). `epochs` is how many were asked for, `costs` are by name
    (`nars.costs.table`), `seconds` is the wall time, `tries` how often it was begun if that was more than once;
    `started` is when it began, or, if it was interrupted, would have begun without that. Records of older versions have
    no `origin` and no `started`.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    key: str
    architecture: dict
    recipe: dict
    training: dict
    seed: int
    epochs: Annotated[int, Field(ge=1)]
    status: Literal["finished", "diverged", "failed"]
    metric: str = later("accuracy")
    accuracies: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    costs: dict[str, float]
    seconds: Annotated[float, Field(ge=0)]
    started: AwareDatetime | None = None
    reason: str | None = None
    tries: Annotated[int, Field(ge=2)] | None = None
    versions: dict | None = None
    origin: Origin | None = None
    pace: Annotated[float | None, Field(exclude=True)] = None  # see `seconds_per_epoch`; follows from the ledger

    @classmethod
    def read(cls, line: str | bytes) -> "Record":
        """The record of a line, also of one with its costs beside the other keys; ValidationError if it is none."""
        try:
            return cls.model_validate_json(line)
        except ValidationError:
            content = parse_object(line)
            if content is None or "costs" in content:
                raise
            return cls.model_validate_json(json.dumps(gathered(content)))

    def content(self) -> dict:
        """Plain containers: what a line of the ledger holds."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def candidate(self) -> Candidate:
        """The candidate that was trained."""
        return Candidate(architecture=self.architecture, recipe=self.recipe)

    def accuracy_at(self, epoch: int) -> float:
        """Accuracy after `epoch` epochs (1 = the first); 0 for a training that diverged or failed before."""
        return self.accuracies[epoch - 1] if len(self.accuracies) >= epoch else 0.0

    @property
    def seconds_per_epoch(self) -> float:
        """What an epoch took, a failed training counted as one; of one that was trained for longer later on, what it
        took in the ledger's first record of it: what follows from the seconds stays as it is."""
        return self.seconds / max(len(self.accuracies), 1) if self.pace is None else self.pace

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
    return content_key({"candidate": candidate.checked().to_dict(), "training": dict(training), "seed": seed})


def curve_so_far(path: Path) -> tuple[float, ...]:
    """Accuracies of the finished epochs in a training's epochs.jsonl, none if there is none; a line torn by a kill is
    left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(epoch["accuracy"] for epoch in map(parse_object, lines) if epoch is not None)


class Ledger:
    """The records of one file, in the order in which they were appended. Creating one reads the file."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._records: dict[str, Record] = {}
        self._lines = NewLines(self.path)
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
        """Read what was appended since the last time, by any process; returns the records.

        What was torn (a process was killed while it wrote, a disk was full) is passed over with a warning, what this
        version cannot read is refused.
        """
        try:
            lines = self._lines.read()
        except OSError as error:
            raise UserError(f"{self.path}: cannot read the ledger: {error.strerror}") from error
        records = [record for line in lines for record in self._parse(line)]
        for record in records:
            self._keep(record)
        return records

    def append(self, record: Record) -> None:
        """Write one record and wait until it is on disk; UserError if the file cannot be written."""
        try:
            append_line(self.path, record.content())
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot write a record: {error.strerror}; free space or fix permissions, then "
                "run the same command again"
            ) from error
        self._keep(record)

    def _keep(self, record: Record) -> None:
        known = self._records.get(record.key)
        if known is not None and known.status == "finished":
            record = record.model_copy(update={"pace": known.seconds_per_epoch})
        if known is None or record.known_epochs > known.known_epochs:
            self._records[record.key] = record

    def _parse(self, line: Line) -> list[Record]:
        """The record of a line; of one that is torn, the records that are whole in it."""
        try:
            return [Record.read(line.text)]
        except ValidationError as error:
            content = parse_object(line.text)
            if content is not None:
                raise UserError(f"{self.path} line {line.number}: {_refusal(content, error)}") from None
        whole = [text for text in whole_objects(line.text, begin=BEGIN) if _is_record(text)]
        _say_passed_over(self.path, line.number, len(line.text) - sum(len(text.encode()) for text in whole))
        return [Record.read(text) for text in whole]


def _is_record(text: str) -> bool:
    try:
        Record.read(text)
    except ValidationError:
        return False
    return True


def _refusal(content: dict, error: ValidationError) -> str:
    version = content.get("schema")
    if version != SCHEMA:
        return (
            f"ledger schema {version}, this version reads schema {SCHEMA}; use another study=... or move the file away"
        )
    problem = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in problem["loc"])
    return f"{path}: {problem['msg']}; remove this line or move the file away"


@cache  # several readers of one process say it once
def _say_passed_over(path: Path, number: int, size: int) -> None:
    LOG.warning(
        "%s line %d: passed over %d bytes that are no whole record, as a process leaves them that is killed while it "
        "writes; what they were to record is trained again",
        path,
        number,
        size,
    )
