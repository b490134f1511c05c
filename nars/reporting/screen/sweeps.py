"""A sweep at its end on the terminal: a table, what failed, and where its page is."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nars.console import open_console
from nars.costs.table import COSTS, cell
from nars.errors import UserError
from nars.reporting.facts.describe import architecture_strip, recipe_line
from nars.reporting.facts.sweeps import Sweep, sweep_of
from nars.reporting.tracking.notices import upload_line
from nars.study.answers import SUMMARY
from nars.study.outcomes import Outcome, read_outcomes


def show_outcomes(folder: Path) -> bool:
    """Show how the jobs in a sweep's folder ended, and write the page; whether all ended well. UserError if there are
    none, or one cannot be read."""
    outcomes = read_outcomes(folder)
    if not outcomes:
        raise UserError(f"{folder}: no job of the sweep left its outcome here; were they given other folders?")
    finish_sweep(outcomes, folder, open_console())
    return not any(outcome.error for outcome in outcomes)


def finish_sweep(outcomes: Sequence[Outcome], folder: Path, console: Console) -> None:
    """Show the table of a sweep, what failed, and the page of its searches."""
    sweep = sweep_of(outcomes)
    if sweep.rows:
        console.print(_table(sweep))
    for outcome in sweep.failed:
        text = f"job {outcome.number} failed ({shlex.join(outcome.overrides)}): {outcome.error}"
        console.print(text, style="red", soft_wrap=True)
    if sweep.failed:
        again = "the same command tries them again and reuses what is finished"
        console.print(f"{len(sweep.failed)} of {sweep.jobs} jobs failed; {again}", soft_wrap=True)
    from nars.reporting.page.sweeps import write_sweep_page  # Plotly takes a second

    page = write_sweep_page(sweep, folder)
    if sweep.rows and not any((Path(row.best.folder) / SUMMARY).exists() for row in sweep.rows):
        best = max(sweep.rows, key=lambda row: row.accuracy)
        console.print(f"Best: {best.name}: {best.words}, {best.best.folder}", soft_wrap=True)
    if page is not None:
        console.print(f"Report of the sweep: {page}", soft_wrap=True)
        folders = {Path(result.folder) for row in sweep.rows for result in row.results}
        for study in sorted({folder.parents[1] for folder in folders if len(folder.parents) > 1}):
            if line := upload_line(study):
                console.print(line, soft_wrap=True)


def _table(sweep: Sweep) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("job", overflow="fold")
    if sweep.seeds:
        table.add_column("seeds", justify="right")
    title = sweep.accuracy
    table.add_column(f"{title}, median" if sweep.seeds else title, justify="right")
    for name in sweep.costs:
        table.add_column(COSTS[name].label, justify="right", no_wrap=True)
    table.add_column("stages (width x depth) and recipe" + (f", of the {sweep.of_seed}" if sweep.seeds else ""))
    for row in sweep.rows:
        best = row.best
        words = Text(architecture_strip(best.architecture) + "\n" + recipe_line(best.recipe))
        seeds = [str(len(row.results))] if sweep.seeds else []
        costs = [cell(best.costs, name) for name in sweep.costs]
        table.add_row(Text(row.name), *seeds, row.words, *costs, words)
    return table
