"""A sweep at its end: one row for all jobs that differ in their seed alone, as a table and, of searches, as a page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nars.costs.constraint import short_number
from nars.errors import UserError
from nars.files import write_whole
from nars.outcomes import Outcome, Result, read_outcomes
from nars.reporting.describe import architecture_strip, recipe_line
from nars.reporting.study import REPORT, SUMMARY, read_study
from nars.reporting.tracking import upload_line


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
        """Of the seed with the highest accuracy."""
        return max(self.results, key=lambda result: result.accuracy)

    @property
    def words(self) -> str:
        """The accuracy with its spread over the seeds, or the predictor's deviation of a single one."""
        if len(self.results) > 1:
            return f"{self.accuracy:.3f} ({min(self.accuracies):.3f} to {max(self.accuracies):.3f})"
        std = self.best.predicted_std
        return f"{self.accuracy:.3f}" + (f" ± {std:.3f}" if std is not None else "")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All jobs of a sweep: rows of those that gave a result, and those that failed."""

    rows: tuple[Row, ...]
    failed: tuple[Outcome, ...]
    jobs: int

    @property
    def seeds(self) -> bool:
        """Whether several seeds are put together."""
        return any(len(row.results) > 1 for row in self.rows)

    @property
    def predicted(self) -> bool:
        """Whether the accuracies are predictions."""
        return any(row.best.predicted_std is not None for row in self.rows)

    def on_front(self, row: Row) -> bool:
        """Whether no other row is as cheap and better, or as good and cheaper."""
        mine = (row.best.macs, -row.accuracy)
        others = [(other.best.macs, -other.accuracy) for other in self.rows]
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


def show_outcomes(folder: Path) -> bool:
    """Show how the jobs in a sweep's folder ended, and write the page; whether all ended well. UserError if there are
    none, or one cannot be read."""
    outcomes = read_outcomes(folder)
    if not outcomes:
        raise UserError(f"{folder}: no job of the sweep left its outcome here; were they given other folders?")
    finish_sweep(outcomes, folder, Console())
    return not any(outcome.error for outcome in outcomes)


def finish_sweep(outcomes: Sequence[Outcome], folder: Path, console: Console) -> None:
    """Show the table of a sweep, what failed, and the page of its searches."""
    sweep = sweep_of(outcomes)
    if sweep.rows:
        console.print(_table(sweep))
    for outcome in sweep.failed:
        text = f"job {outcome.number} failed ({' '.join(outcome.overrides)}): {outcome.error}"
        console.print(text, style="red", soft_wrap=True, markup=False, highlight=False)
    if sweep.failed:
        again = "the same command tries them again and reuses what is finished"
        console.print(f"{len(sweep.failed)} of {sweep.jobs} jobs failed; {again}", soft_wrap=True)
    page = write_sweep_page(sweep, folder)
    if page is None and sweep.rows:
        best = max(sweep.rows, key=lambda row: row.accuracy)
        console.print(f"Best: {best.name}: {best.words}, {best.best.folder}", soft_wrap=True, markup=False)
    if page is not None:
        console.print(f"Report of the sweep: {page}", soft_wrap=True, markup=False)
        for study in sorted({Path(result.folder).parents[1] for row in sweep.rows for result in row.results}):
            if line := upload_line(study):
                console.print(line, soft_wrap=True, markup=False, highlight=False)


def write_sweep_page(sweep: Sweep, folder: Path) -> Path | None:
    """Write the page of a sweep's searches and the reports of their studies; None if no job is a search."""
    answers = {Path(result.folder) for row in sweep.rows for result in row.results}
    answers = {answer for answer in answers if (answer / SUMMARY).exists()}
    if not answers:
        return None
    from nars.reporting.report import html_of, write_report  # Plotly takes a second
    from nars.reporting.sections import sections_of

    sections = []
    for path in sorted({answer.parents[1] for answer in answers}):
        write_report([path])
        study = read_study(path)
        sections += sections_of(replace(study, runs=tuple(run for run in study.runs if run.folder in answers)))
    write_whole(folder / REPORT, html_of(sections, title=f"Sweep of {len(answers)} searches", sweep=sweep))
    return folder / REPORT


def _table(sweep: Sweep) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("job", overflow="fold")
    if sweep.seeds:
        table.add_column("seeds", justify="right")
    title = "predicted" if sweep.predicted else "accuracy"
    table.add_column(f"{title}, median" if sweep.seeds else title, justify="right")
    for name in ("MACs", "params"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stages (width x depth) and recipe" + (", of the best seed" if sweep.seeds else ""))
    for row in sweep.rows:
        best = row.best
        words = Text(architecture_strip(best.architecture) + "\n" + recipe_line(best.recipe))
        seeds = [str(len(row.results))] if sweep.seeds else []
        table.add_row(Text(row.name), *seeds, row.words, short_number(best.macs), short_number(best.params), words)
    return table
