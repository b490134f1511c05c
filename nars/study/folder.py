"""A study's folder, read for reports."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nars.errors import UserError
from nars.leases import LEASE_SECONDS
from nars.records import Ledger, Record, curve_so_far
from nars.study.answers import SUMMARY, UNFINISHED, Run, read_run
from nars.study.ledgers import LEDGER, RECORDED


@dataclass(frozen=True, kw_only=True)
class Study:
    """All that a study's folder holds: its runs, by key the records of its ledger and of those that answered alone, the
    accuracy curves of trainings that have begun and are not recorded, a line for each answer that is `damaged`, and the
    keys of trainings that a process holds now."""

    folder: Path
    runs: tuple[Run, ...]
    records: dict[str, Record]
    begun: dict[str, tuple[float, ...]]
    damaged: tuple[str, ...] = ()
    held: frozenset[str] = frozenset()

    @property
    def going_on(self) -> Run | None:
        """The unfinished search that began last; None if all are finished."""
        unfinished = [run for run in self.runs if not run.finished]
        return max(unfinished, key=lambda run: run.summary.started or "", default=None)

    def trained_since(self, run: Run) -> list[Record]:
        """Records of a search's seed that stand in no round yet: those of the round that goes on."""
        known = {c.key for other in self.runs for r in other.summary.rounds for c in r.candidates}
        known |= {key for run in self.runs if run.summary.confirmation for key in run.summary.confirmation.keys}
        seed = run.summary.settings["seed"]
        return [r for r in self.records.values() if r.key not in known and r.seed == seed]


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
    return Study(
        folder=folder, runs=tuple(runs), records=records, begun=begun, damaged=tuple(damaged), held=_held(trainings)
    )


def _held(trainings: Path) -> frozenset[str]:
    """Keys of trainings whose claim was refreshed within the time that a claim lasts."""
    held = set()
    for claim in trainings.glob("*/claim"):
        with suppress(FileNotFoundError):  # released meanwhile
            if time.time() - claim.stat().st_mtime < LEASE_SECONDS:
                held.add(claim.parent.name)
    return frozenset(held)
