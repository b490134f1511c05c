"""A study's folder, read for reports."""

from dataclasses import dataclass
from pathlib import Path

from nars.errors import UserError
from nars.records import Ledger, Record, curve_so_far
from nars.study.answers import SUMMARY, UNFINISHED, Run, read_run
from nars.study.ledgers import LEDGER, RECORDED


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a study's folder holds: its runs, by key the records of its ledger and of those that answered alone, the
    accuracy curves of trainings that have begun and are not recorded, and a line for each answer that is `damaged`."""

    folder: Path
    runs: tuple[Run, ...]
    records: dict[str, Record]
    begun: dict[str, tuple[float, ...]]
    damaged: tuple[str, ...] = ()


def read_study(folder: Path) -> Study:
    """What lies in a study's folder, however far its searches came, damaged answers left out; UserError if that is
    nothing, or the ledger cannot be read."""
    ledger, files = folder / LEDGER, sorted(folder.glob(f"answers/*/{SUMMARY}"))
    unfinished = sorted(folder.glob(f"answers/*/{UNFINISHED}"))
    trainings = folder / "trainings"
    if not (ledger.exists() or files or unfinished or trainings.exists()):
        raise UserError(f"{folder}: no study; give a folder that search.py made, such as runs/digits")
    ledgers = [*sorted(folder.glob(f"{RECORDED}/*.jsonl")), ledger]
    records = {record.key: record for path in ledgers for record in Ledger(path)}
    begun = {path.parent.name: curve_so_far(path) for path in sorted(trainings.glob("*/epochs.jsonl"))}
    begun = {key: curve for key, curve in begun.items() if key.partition("-")[0] not in records}
    runs, damaged = [], []
    for file in [*files, *unfinished]:
        try:
            runs += read_run(file)
        except UserError as error:  # another search of the study must not end of it
            damaged.append(str(error))
    return Study(folder=folder, runs=tuple(runs), records=records, begun=begun, damaged=tuple(damaged))
