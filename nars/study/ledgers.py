"""Ledgers that answer alone: which file is meant, and which kinds of trainings it holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from nars.errors import UserError
from nars.files import content_key
from nars.json_lines import NewLines, parse_object
from nars.records import Origin, Record

LEDGER = "records.jsonl"  # of a study
RECORDED = "recorded"  # folder of the records that ledgers elsewhere answered from, so that reports have them
NAMED = 3  # settings by which kinds are told apart in a message


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Trainings that compare: records of one data set, protocol, precision and number of devices."""

    training: Mapping
    records: tuple[Record, ...]

    @property
    def key(self) -> str:
        """What `records_of` calls it."""
        return key_of_kind(self.training)

    @property
    def data(self) -> str:
        """The data in words; older records know no more than its fingerprint."""
        if self._origin is None:
            return f"data {str(self.training.get('data'))[:6]}"
        return f"{self._origin.data}, {self._origin.classes:,} classes"

    @property
    def settings(self) -> dict:
        """The groups of settings that these trainings had, as far as records tell: not where the images lie."""
        epochs = max(record.epochs for record in self.records)
        known = {
            "protocol": {**self.training.get("protocol", {}), "epochs": epochs},
            "trainer": {"precision": self.training.get("precision", "32-true")},
        }
        if self._origin is not None:
            name = self._origin.data.partition(" ")[0]
            known["data"] = {"name": name} if name == "digits" else {"name": name, "root": "..."}
        return known

    @property
    def _origin(self) -> Origin | None:
        return next((record.origin for record in self.records if record.origin is not None), None)


def ledger_file(path: str) -> Path:
    """The file that `records=path` means: itself, or the ledger in the folder of a study; UserError without one."""
    given = Path(path)
    files = [given / LEDGER, given / f"{LEDGER}.gz"] if given.is_dir() else [given]
    for file in files:
        if file.is_file():
            return file
    what = f"the folder holds no {LEDGER}" if given.is_dir() else "no such file"
    raise UserError(f"records={path}: {what}; give a study's folder, such as runs/digits, or its {LEDGER} (or .gz)")


def first_origin(path: str, kind: str | None) -> Origin | None:
    """Where the first training of the ledger that `records=path` means comes from, of those that `records_of=kind`
    means, if that is given; None if no record tells. A ledger that cannot be read has none: that is said when it is
    used."""
    with suppress(UserError, OSError, ValidationError):
        for line in NewLines(ledger_file(path)).read():
            record = parse_object(line.text) or {}
            asked = kind is None or key_of_kind(record.get("training") or {}) == kind
            if asked and record.get("origin") is not None:
                return Origin.model_validate(record["origin"])
    return None


def key_of_kind(training: Mapping) -> str:
    """What `records_of` calls trainings that were decided so."""
    return content_key(dict(training))[:6]


def kinds_of(records: Iterable[Record]) -> list[Kind]:
    """The kinds of trainings among records, those with most records first."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(content_key(record.training), []).append(record)
    kinds = [Kind(training=group[0].training, records=tuple(group)) for group in groups.values()]
    return sorted(kinds, key=lambda kind: -len(kind.records))


def chosen_kind(kinds: Sequence[Kind], records_of: str | None, *, where: str) -> Kind:
    """The only kind, or the one that `records_of` names; UserError lists them if it must be said."""
    if records_of is None and len(kinds) == 1:
        return kinds[0]
    named = [kind for kind in kinds if kind.key == records_of]
    if named:
        return named[0]
    listed = "; ".join(f"records_of={kind.key}: {words}" for kind, words in zip(kinds, _words(kinds), strict=True))
    if records_of is None:
        raise UserError(
            f"{where}: {len(kinds)} kinds of trainings, whose accuracies do not compare; choose one. {listed}"
        )
    raise UserError(f"records_of={records_of}: {where} holds no such kind of trainings; it holds {listed}")


def _words(kinds: Sequence[Kind]) -> list[str]:
    """Number of records, data, and the first settings in which the kinds differ."""
    rows = [dict(_leaves(kind.training)) for kind in kinds]
    keys = list(dict.fromkeys(key for row in rows for key in row if key != "data"))
    differing = [key for key in keys if len({str(row.get(key)) for row in rows}) > 1][:NAMED]
    return [
        ", ".join([f"{len(kind.records)} records", kind.data, *(f"{key}={row.get(key)}" for key in differing)])
        for kind, row in zip(kinds, rows, strict=True)
    ]


def _leaves(values: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
