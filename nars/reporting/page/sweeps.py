"""The page of a sweep, of searches or of trainings."""

from dataclasses import replace
from pathlib import Path

from nars.costs.table import DEFAULT_AXIS
from nars.files import write_whole
from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.sweeps import Sweep
from nars.reporting.page.report import html_of, write_report
from nars.study.answers import REPORT, SUMMARY
from nars.study.folder import read_study


def write_sweep_page(sweep: Sweep, folder: Path) -> Path | None:
    """Write the page of a sweep's searches and the reports of their studies, or of its trainings; None if none gave a
    result."""
    answers = {Path(result.folder) for row in sweep.rows for result in row.results}
    answers = {answer for answer in answers if (answer / SUMMARY).exists()}
    if not answers:
        return _page_of_trainings(sweep, folder) if sweep.rows else None
    studies = []
    for path in sorted({answer.parents[1] for answer in answers}):
        write_report([path])
        study = read_study(path)
        studies.append(replace(study, runs=tuple(run for run in study.runs if run.folder in answers)))
    sections = sections_of(*studies)
    axes = {section.axis.name for section in sections}
    shown = replace(sweep, axis=axes.pop() if len(axes) == 1 else DEFAULT_AXIS)
    write_whole(folder / REPORT, html_of(sections, title=f"Sweep of {len(answers)} searches", sweep=shown))
    return folder / REPORT


def _page_of_trainings(sweep: Sweep, folder: Path) -> Path:
    title = f"Sweep of {sum(len(row.results) for row in sweep.rows)} trainings"
    write_whole(folder / REPORT, html_of([], title=title, sweep=replace(sweep, job="training")))
    return folder / REPORT
