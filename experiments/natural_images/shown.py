"""Tables and a figure of what the study has measured so far."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.natural_images.run import FINAL, best_of_searches, records_of_run
from experiments.natural_images.study import BATCH, TRAINING_SEED, accuracy_of, rounds_of, run_name
from experiments.tables import markdown_table, write_found
from nars.costs.table import cell
from nars.records import Ledger, Record
from nars.reporting.facts.describe import recipe_line
from nars.search.early_stop import kendall_tau
from nars.search.pareto import pareto_front
from nars.study.ledgers import LEDGER

FIGURE = Path(__file__).with_name("natural_images.png")
LIMITS = (0.7e6, 1.0e6, 1.4e6, 2.0e6)  # of MACs


@dataclass(frozen=True, kw_only=True)
class Course:
    """One search: its records in the order of training, and what was predicted of them before (nan in round one)."""

    way: str
    seed: int
    records: Sequence[Record]
    predicted: np.ndarray

    @property
    def accuracies(self) -> np.ndarray:
        """Measured (n,)."""
        return np.array([accuracy_of(record) for record in self.records])

    def best_within(self, limit: float) -> float:
        """The best accuracy within so many MACs; 0 if nothing is."""
        return max((accuracy_of(r) for r in self.records if r.costs["macs"] <= limit), default=0.0)


def courses_of(folder: Path, arguments: Namespace, trainings: int) -> list[Course]:
    """All searches that are as long as `trainings`, cut to it."""
    lines = rounds_of(folder)
    found = []
    for way in arguments.methods:
        run = run_name(way, trainings)
        for seed in range(arguments.seeds):
            records = records_of_run(folder, run, seed)[:trainings]
            mine = sorted((r for r in lines if (r["run"], r["seed"]) == (run, seed)), key=lambda r: r["round"])
            predicted = [p for r in mine for p in r["predicted"] or [np.nan] * len(r["keys"])][:trainings]
            if len(records) == trainings:
                found.append(Course(way=way, seed=seed, records=records, predicted=np.array(predicted)))
    return found


def write(folder: Path, arguments: Namespace) -> None:
    """All into the README and the figure beside it."""
    ledger = list(Ledger(folder / LEDGER))
    lengths = {n: courses_of(folder, arguments, n) for n in arguments.trainings}
    lengths = {n: courses for n, courses in lengths.items() if len({c.way for c in courses}) > 1}
    shown = max(lengths, key=lambda n: (len(lengths[n]), n))  # what most searches are known of
    draw(lengths[shown])
    seconds = [record.seconds for record in ledger]
    parts = [
        f"{len(ledger)} trainings of {np.median(seconds):.0f} s (median, beside other work).",
        "### Noise",
        noise_table(ledger),
        "### Best accuracy, median of the searches (least to greatest)",
        best_table(lengths),
        f"![Best accuracy against trainings, fronts, predicted against measured]({FIGURE.name})",
        f"### Best accuracy within so many MACs, after {shown} trainings",
        limits_table(lengths[shown]),
        "### Kendall tau of what was predicted of a batch before it was trained, mean of the searches",
        tau_table(lengths[shown]),
        "### The best pair of every search, trained longer and validated on other images",
        *final_tables(folder, arguments),
    ]
    write_found(str(Path(__file__).with_name("run.py")), "\n\n".join(part for part in parts if part))


def noise_table(ledger: Sequence[Record]) -> str:
    """Deviation between candidates and between the seeds of one, and what single keys of recipes explain."""
    by_name: dict[str, list[float]] = {}
    for record in ledger:
        by_name.setdefault(record.candidate.name, []).append(accuracy_of(record))
    several = [np.array(a) for a in by_name.values() if len(a) > 1]
    if not several:
        return ""
    within = np.sqrt(np.mean([a.var(ddof=1) for a in several]))
    first = [record for record in ledger if record.seed == TRAINING_SEED]
    accuracies = np.array([accuracy_of(record) for record in first])
    between = np.std([a.mean() for a in several], ddof=1)
    rows = [
        ["standard deviation between seeds of a candidate", f"{within:.3f}"],
        [f"... between the means of these {len(several)} candidates", f"{between:.3f} ({between / within:.1f} times)"],
        [f"... between all {len(first)} candidates", f"{accuracies.std(ddof=1):.3f}"],
        ["Kendall tau that knowing all candidates' means would give", f"{ceiling(within, accuracies):.2f}"],
    ]
    keys = sorted({key for record in first for key in record.recipe})
    for key in keys:
        share = explained([record.recipe.get(key, 0.0) for record in first], accuracies)
        rows.append([f"share of their variance that recipes' {key} explains", f"{share:.2f}"])
    macs = explained([record.costs["macs"] for record in first], accuracies)
    return markdown_table(["", ""], [*rows, ["... that MACs explain", f"{macs:.2f}"]])


def ceiling(within: float, accuracies: np.ndarray) -> float:
    """Kendall tau of the means of candidates with single measurements (n,) that deviate by `within` from them, both
    normal (Greiner's relation)."""
    share = max(0.0, 1 - within**2 / accuracies.var(ddof=1))
    return float(2 / np.pi * np.arcsin(np.sqrt(share)))


def explained(values: Sequence, accuracies: np.ndarray) -> float:
    """R^2 of the accuracies (n,) on the values: a mean for each of two choices, or a straight line."""
    numbers = np.unique(values, return_inverse=True)[1] if isinstance(values[0], str) else values
    numbers = np.array(numbers, dtype=float)
    return 0.0 if np.ptp(numbers) == 0 else float(np.corrcoef(numbers, accuracies)[0, 1] ** 2)


def best_table(lengths: dict[int, Sequence[Course]]) -> str:
    """A row per way, a column per number of trainings."""
    ways = list(dict.fromkeys(course.way for courses in lengths.values() for course in courses))
    rows = []
    for way in ways:
        cells = []
        for courses in lengths.values():
            best = [course.accuracies.max() for course in courses if course.way == way]
            cells.append(f"{np.median(best):.3f} ({min(best):.3f} to {max(best):.3f}, {len(best)})" if best else "-")
        rows.append([way, *cells])
    return markdown_table(["way (number of searches last)", *(f"{n} trainings" for n in lengths)], rows)


def limits_table(courses: Sequence[Course]) -> str:
    """A row per way, a column per limit: medians over searches."""
    rows = []
    for way in dict.fromkeys(course.way for course in courses):
        mine = [course for course in courses if course.way == way]
        best = [np.median([c.best_within(limit) for c in mine]) for limit in LIMITS]
        rows.append([way, *(f"{accuracy:.3f}" if accuracy else "-" for accuracy in best)])
    return markdown_table(["", *(f"{limit / 1e6:.1f}M" for limit in LIMITS)], rows)


def tau_table(courses: Sequence[Course]) -> str:
    """A row per way, a column per round from the second."""
    rounds = min(len(course.records) for course in courses) // BATCH
    rows = []
    for way in dict.fromkeys(course.way for course in courses):
        cells = []
        for part in (slice(i * BATCH, (i + 1) * BATCH) for i in range(1, rounds)):
            taus = [kendall_tau(c.predicted[part], c.accuracies[part]) for c in courses if c.way == way]
            cells.append(f"{np.mean([t for t in taus if t is not None] or [np.nan]):.2f}")
        rows.append([way, *cells])
    return markdown_table(["", *(f"round {i + 1}" for i in range(1, rounds))], rows)


def final_tables(folder: Path, arguments: Namespace) -> list[str]:
    """What the best pair of every search reached at the end: a row per way, and one per search."""
    ledger = list(Ledger(folder / FINAL)) if (folder / FINAL).exists() else []
    ends, rows = {}, []
    for way, seed, record in best_of_searches(folder, arguments):
        reached = [accuracy_of(final) for final in ledger if final.candidate.name == record.candidate.name]
        if not reached:
            continue
        ends.setdefault(way, []).append(float(np.mean(reached)))
        spread = f" ± {np.std(reached, ddof=1):.3f}" if len(reached) > 1 else ""
        costs = [cell(record.costs, name) for name in ("macs", "params")]
        words = [f"{accuracy_of(record):.3f}", f"{np.mean(reached):.3f}{spread} ({len(reached)})", *costs]
        rows.append([way, str(seed), *words, recipe_line(record.recipe)])
    ways = [
        [way, f"{np.mean(means):.3f}", f"{min(means):.3f} to {max(means):.3f}", str(len(means))]
        for way, means in ends.items()
    ]
    header = ["", "search", "in the search", "at the end (seeds)", "MACs", "params", "recipe"]
    return (
        [markdown_table(["", "mean", "least to greatest", "searches"], ways), markdown_table(header, rows)]
        if rows
        else []
    )


def draw(courses: Sequence[Course]) -> None:
    """Best accuracy against trainings; fronts; predicted against measured."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (best, front, predicted) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    for i, way in enumerate(dict.fromkeys(course.way for course in courses)):
        mine, style = [c for c in courses if c.way == way], {"color": f"C{i}", "linewidth": 2.5 if i == 0 else 1.3}
        so_far = np.array([np.maximum.accumulate(c.accuracies) for c in mine])
        trainings = np.arange(1, so_far.shape[1] + 1)
        best.plot(trainings, np.median(so_far, axis=0), label=way, **style)
        best.fill_between(trainings, so_far.min(axis=0), so_far.max(axis=0), color=f"C{i}", alpha=0.12, linewidth=0)
        records = [record for course in mine for record in course.records]
        macs, accuracies = np.array([[r.costs["macs"] / 1e6, accuracy_of(r)] for r in records]).T
        on_front = sorted(pareto_front(macs, accuracies), key=lambda row: macs[row])
        front.plot(macs[on_front], accuracies[on_front], drawstyle="steps-post", **style)
        if i == 0:
            front.plot(macs, accuracies, ".", color="C0", alpha=0.4)
    for round_number in range(1, len(courses[0].records) // BATCH):
        part = slice(round_number * BATCH, (round_number + 1) * BATCH)
        pairs = [(c.predicted[part], c.accuracies[part]) for c in courses if c.way == courses[0].way]
        predicted.plot(*map(np.concatenate, zip(*pairs, strict=True)), "o", label=f"round {round_number + 1}")
    limits = [*predicted.get_xlim(), *predicted.get_ylim()]
    predicted.axline((min(limits), min(limits)), slope=1, color="0.6", linewidth=1)
    best.set(xlabel="trainings", ylabel="best accuracy so far, median", ylim=(np.median(so_far[:, 0]), None))
    front.set(xlabel="MACs (millions)", ylabel="accuracy: front of all searches of a way")
    predicted.set(xlabel=f"predicted before training, {courses[0].way}", ylabel="measured")
    best.legend(fontsize=8)
    predicted.legend(fontsize=8)
    figure.savefig(FIGURE, dpi=80)
