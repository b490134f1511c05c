"""What `search.py` answers by its defaults, next to as many random pairs within the same limit."""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.tables import markdown_table, write_found
from nars.records import Record
from nars.reporting.facts.measured import measured_epochs
from nars.study.answers import Run
from nars.study.folder import Study, read_study

DEFAULT = ("constraint=flops_600m",)
AT_RANDOM = ("strategy=random", "strategy.rounds=4", "confirm.pairs=0", "reference=none")
PHOTOS = (  # a space whose trainings take a core some 20 seconds
    *("search_space=fbnetv3_micro", "recipe_space=fbnetv3_micro", "protocol.image_scale=1", "reference=none"),
    "recipe_space.lr={low:20,high:30,unit:1e-3}",  # FBNetV3's own
    *("constraint=none", "constraint.max_macs=1.2e6", "strategy.window.max_macs=1.2e6"),
)
HEADER = (
    "seed",
    "trainings",
    "best measured",
    "of rounds alone",
    "predicted",
    "tau",
    "so good a best of as many random pairs",
    "reference",
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What one default search found: accuracies after the last epoch of its best pair within the limit, of the best of
    its rounds alone (None: none keeps it) and of the reference, after so many `trainings` of pairs."""

    run: Run
    trainings: int
    measured: float
    of_rounds: float | None
    reference: float | None


def search(*overrides: str) -> None:
    """Run `search.py` with one thread per training; what it has done before it does not do again."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "search.py", *overrides], check=True, env=environment)


def runs_of(study: Study, *, strategy: str) -> dict[int, Run]:
    """The finished searches with that strategy by seed: those that were compared with a reference, where some were."""
    runs = [run for run in study.runs if run.finished and run.summary.settings["strategy"]["name"] == strategy]
    runs.sort(key=lambda run: bool(run.summary.confirmation and run.summary.confirmation.reference))
    return {run.summary.settings["seed"]: run for run in runs}


def records_of(run: Run, study: Study, *, confirmed: bool = True) -> list[Record]:
    """The pairs that a search has trained, in order, each once; with those that confirmed its answer, or without."""
    keys = [candidate.key for r in run.summary.rounds for candidate in r.candidates]
    if confirmed and run.summary.confirmation:
        keys += [key for pair in run.summary.confirmation.pairs for key in pair.keys]
    return [study.records[key] for key in dict.fromkeys(keys)]


def within(run: Run, records: Sequence[Record]) -> list[float]:
    """Accuracies of the records that keep the limit of a run, after the epoch at which its answers are measured."""
    epochs = measured_epochs(run)
    return [record.accuracy_at(epochs) for record in records if run.constraint.kept_by(record.costs)]


def found_by(run: Run, study: Study) -> Found:
    """What one search found."""
    records = records_of(run, study)
    reference = run.summary.confirmation.reference
    return Found(
        run=run,
        trainings=len(records),
        measured=max(within(run, records)),
        of_rounds=max(within(run, records_of(run, study, confirmed=False)), default=None),
        reference=reference.accuracies[0] if reference else None,
    )


def chance(accuracies: Sequence[float], best: float, n: int) -> float:
    """How likely the best of n random pairs is at least as good as `best`, by the share of `accuracies` that are."""
    return 1 - (1 - sum(accuracy >= best for accuracy in accuracies) / len(accuracies)) ** n


def median_best(accuracies: Sequence[float], n: int) -> float:
    """What the best of n random pairs exceeds in half of all draws."""
    ordered = sorted(accuracies)
    return next(a for i, a in enumerate(ordered, start=1) if (i / len(ordered)) ** n >= 0.5)


def table(study: Study) -> str:
    """A row per seed, and what random pairs reach."""
    found = {seed: found_by(run, study) for seed, run in sorted(runs_of(study, strategy="nars").items())}
    drawn = {s: within(r, records_of(r, study)) for s, r in sorted(runs_of(study, strategy="random").items())}
    first = [accuracy for one in found.values() for accuracy in of_round_one(one.run, study)]
    pairs = first + [accuracy for accuracies in drawn.values() for accuracy in accuracies]
    n = round(statistics.median(one.trainings for one in found.values()))
    rows = [[seed, *_cells(one, pairs)] for seed, one in found.items()]
    lines = [
        markdown_table(HEADER, rows),
        f"Median over {len(found)} seeds: {statistics.median(one.measured for one in found.values()):.3f}.",
        f"Pairs within the limit that nothing chose, {len(first)} of them of first rounds: {_spread(pairs, n)}",
    ]
    if drawn:
        lines.append(f"Seed by seed, search and the best of as many random pairs: {_paired(found, drawn)}.")
    made_by = {(one.run.summary.git_commit or "unknown")[:7] for one in found.values()}
    machines = {one.run.summary.machine or "unknown" for one in found.values()}
    lines.append(f"Code of the searches: {', '.join(sorted(made_by))}; machine: {', '.join(sorted(machines))}.")
    return "\n\n".join(lines)


def of_round_one(run: Run, study: Study) -> list[float]:
    """Accuracies of the pairs that a search begins with, which nothing chose but their costs."""
    return within(run, [study.records[c.key] for r in run.summary.rounds[:1] for c in r.candidates])


def _spread(pairs: Sequence[float], n: int) -> str:
    return (
        f"{len(pairs)}, from {min(pairs):.3f} to {max(pairs):.3f}, median {statistics.median(pairs):.3f}; if these "
        f"stand for all, half of the bests of {n} are above {median_best(pairs, n):.3f} or at it."
    )


def _cells(one: Found, pairs: Sequence[float]) -> list[str]:
    answer, agreement = one.run.answers[0], one.run.summary.held_out_ranking
    return [
        str(one.trainings),
        f"{one.measured:.3f}",
        "-" if one.of_rounds is None else f"{one.of_rounds:.3f}",
        f"{answer['predicted_accuracy']:.3f}",
        "-" if agreement.kendall_tau is None else f"{agreement.kendall_tau:.2f}",
        f"{chance(pairs, one.measured, one.trainings):.0%} of draws",
        "-" if one.reference is None else f"{one.reference:.3f}",
    ]


def _paired(found: dict[int, Found], drawn: dict[int, list[float]]) -> str:
    seeds = sorted(found.keys() & drawn.keys())
    return ", ".join(f"{found[s].measured:.3f} and {max(drawn[s][: found[s].trainings]):.3f}" for s in seeds) or "none"


def main() -> None:
    """Run what is missing, and write the tables into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4], help="of the default search")
    parser.add_argument("--random-seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4], help="of random pairs")
    parser.add_argument("--root", help="photos, one folder per class: searched too")
    parser.add_argument("--val-root", help="photos of the same classes to validate with")
    parser.add_argument("--photo-seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--runs", default="runs/default_answers")
    arguments = parser.parse_args()
    place = f"runs_dir={arguments.runs}"
    for seed in arguments.seeds:
        search(*DEFAULT, f"seed={seed}", place)
    for seed in arguments.random_seeds:
        search(*DEFAULT, *AT_RANDOM, f"seed={seed}", place)
    photos = ["data=folder", f"data.root={arguments.root}", "study=photos", *PHOTOS]
    photos += [f"data.val_root={arguments.val_root}"] if arguments.val_root else []
    for seed in arguments.photo_seeds if arguments.root else ():
        search(*photos, f"seed={seed}", place)
        search(*photos, *AT_RANDOM, f"seed={seed}", place)
    parts = {"Digits": Path(arguments.runs) / "digits", "Photos": Path(arguments.runs) / "photos"}
    studies = {name: read_study(folder) for name, folder in parts.items() if folder.exists()}
    write_found(__file__, "\n\n".join(f"### {name}\n\n{table(study)}" for name, study in studies.items()))


if __name__ == "__main__":
    main()
