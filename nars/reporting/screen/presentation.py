"""How an answer reaches the person who asked: the report and the last screen, or a line within a sweep."""

from rich.console import Console

from nars.reporting.screen.terminal import print_answer, print_answer_line
from nars.study.answers import REPORT, SUMMARY, Run


def present(run: Run, console: Console, *, in_sweep: bool) -> None:
    """Show a new answer. A sweep makes its report at the end."""
    if in_sweep:
        print_answer_line(console, run)
    else:
        from nars.reporting.page.report import write_report  # Plotly takes a second

        print_answer(console, run, write_report([run.study]))


def present_known(run: Run, console: Console, *, in_sweep: bool) -> None:
    """Show an answer that an earlier run has found."""
    console.print(f"answered already; to search again, remove {run.folder}", soft_wrap=True)
    report, summary = run.study / REPORT, run.folder / SUMMARY
    if in_sweep or not report.exists() or report.stat().st_mtime < summary.stat().st_mtime:
        present(run, console, in_sweep=in_sweep)
    else:
        print_answer(console, run, report)
