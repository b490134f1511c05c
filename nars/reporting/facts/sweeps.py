"""A sweep at its end: one row for all jobs that differ in their seed alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from nars.costs.table import DEFAULT_AXIS, known, short_number
from nars.reporting.facts.headline import predicted_bar
from nars.study.outcomes import Outcome, Result


@dataclass(frozen=True, kw_only=True)
class Row:
    """Jobs with the same settings but for the seed: what is special about them, and their results."""

    name: str
    results: tuple[Result, ...]

    @property
    def accuracies(self) -> list[float]:
        """Of all seeds."""
        return [result.accuracy for result in self.results]

    @property
    def accuracy(self) -> float:
        """The median over the seeds."""
        return median(self.accuracies)

    @property
    def best(self) -> Result:
        """Of the seed with the highest accuracy that was measured; where none was, of the seed with the median, as no
        prediction says which seed is best."""
        measured = [result for result in self.results if result.predicted_std is None]
        if measured:
            return max(measured, key=lambda result: result.accuracy)
        return sorted(self.results, key=lambda result: result.accuracy)[(len(self.results) - 1) // 2]

    @property
    def words(self) -> str:
        """The accuracy with its spread over the seeds, or one standard deviation of the predictor for a single one."""
        if len(self.results) > 1:
            return f"{self.accuracy:.3f} ({min(self.accuracies):.3f} to {max(self.accuracies):.3f})"
        low, high = self.bar
        return f"{self.accuracy:.3f}" + (f" ({low:.2f} to {high:.2f})" if self.predicted else "")

    @property
    def predicted(self) -> bool:
        """Whether an accuracy of it is a prediction."""
        return any(result.predicted_std is not None for result in self.results)

    @property
    def bar(self) -> tuple[float, float]:
        """From where to where it reaches: over the seeds, or one standard deviation of the predictor within 0 to 1."""
        if len(self.results) > 1:
            return min(self.accuracies), max(self.accuracies)
        return predicted_bar(self.accuracy, self.best.predicted_std or 0.0)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All jobs of a sweep: rows of those that gave a result, and those that failed; `axis` is the cost of the front."""

    rows: tuple[Row, ...]
    failed: tuple[Outcome, ...]
    jobs: int
    axis: str = DEFAULT_AXIS
    job: str = "search"

    @property
    def metric(self) -> str:
        """What is compared: the accuracy, mAP of detectors, or the metric, if it is not the same of all."""
        metrics = {result.metric for row in self.rows for result in row.results}
        return {"accuracy": "accuracy", "map": "mAP"}[metrics.pop()] if len(metrics) == 1 else "metric"

    @property
    def seeds(self) -> bool:
        """Whether several seeds are put together."""
        return any(len(row.results) > 1 for row in self.rows)

    @property
    def accuracy(self) -> str:
        """What the accuracies are."""
        predicted = [result.predicted_std is not None for row in self.rows for result in row.results]
        return "predicted" if all(predicted) else "measured or predicted" if any(predicted) else "measured"

    @property
    def of_seed(self) -> str:
        """Of which seed costs, architecture and recipe are shown."""
        measured = [any(result.predicted_std is None for result in row.results) for row in self.rows]
        return "best seed" if all(measured) else "best measured or median seed" if any(measured) else "median seed"

    @property
    def costs(self) -> list[str]:
        """Names of the costs that its results have."""
        return known(*(row.best.costs for row in self.rows))

    def on_front(self, row: Row) -> bool:
        """Whether no other row is as cheap and better, or as good and cheaper."""
        if self.axis not in row.best.costs:
            return False
        mine = (row.best.costs[self.axis], -row.accuracy)
        others = [(o.best.costs[self.axis], -o.accuracy) for o in self.rows if self.axis in o.best.costs]
        return not any(o != mine and o[0] <= mine[0] and o[1] <= mine[1] for o in others)


def sweep_of(outcomes: Sequence[Outcome]) -> Sweep:
    """Rows in the order of the jobs, named by the overrides in which the jobs differ, `seed` left out."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    ended = {outcome.overrides: outcome for outcome in outcomes if outcome.result is not None}  # twice the same is one
    for outcome in ended.values():
        groups.setdefault(_without_seed(outcome), []).append(outcome.result)
    common = set.intersection(*(set(_without_seed(outcome)) for outcome in outcomes)) if outcomes else set()
    special = [[override for override in overrides if override not in common] for overrides in groups]
    names = [", ".join(map(_short, overrides)) or "all jobs" for overrides in special]
    if len(set(names)) < len(names):  # 20000 and 20001 are both 20k
        names = [", ".join(overrides) for overrides in special]
    rows = [Row(name=name, results=tuple(results)) for name, results in zip(names, groups.values(), strict=True)]
    failed = tuple(outcome for outcome in outcomes if outcome.error is not None)
    return Sweep(rows=tuple(rows), failed=failed, jobs=len(outcomes))


def _without_seed(outcome: Outcome) -> tuple[str, ...]:
    return tuple(override for override in outcome.overrides if not override.lstrip("+").startswith("seed="))


def _short(override: str) -> str:
    """With large numbers as 450M."""
    key, _, value = override.partition("=")
    try:
        number = float(value)
    except ValueError:
        return override
    return f"{key}={short_number(number) if abs(number) >= 1000 else f'{number:g}'}"
