"""The report: one HTML file for one or several studies, with everything inside and nothing from the network."""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from nars.costs.table import COSTS, cell, known
from nars.files import write_whole
from nars.reporting.facts.courses import courses_of, limited_beside
from nars.reporting.facts.describe import (
    architecture_strip,
    differences,
    differing,
    duration,
    limits,
    recipe_line,
    recipe_value,
    shown,
)
from nars.reporting.facts.headline import headline, measured_words, predicted_words
from nars.reporting.facts.measured import with_measurements
from nars.reporting.facts.pairs import answer_in_words, trained_in_words
from nars.reporting.facts.rows import candidates_csv
from nars.reporting.facts.sections import Section, sections_of
from nars.reporting.facts.sweeps import Sweep
from nars.reporting.facts.trust import latency_sentence, outside_sentence, prediction_sentences, trust_sentences
from nars.reporting.page.figures.compared import best_so_far, front_of_searches
from nars.reporting.page.figures.of_section import figures_of
from nars.reporting.page.strip import HEIGHT, strip_of
from nars.study.answers import REPORT, Run
from nars.study.folder import read_study
from nars.study.next_step import train_command


def write_report(folders: Sequence[Path], output: Path | None = None, *, live: bool = False) -> Path:
    """Write the report of the studies in `folders`, and all candidates as CSV beside it; returns the report's file.

    `output` None: into the folder, or where all of several lie. `live`: a search goes on, so the page
    looks for news by itself. Damaged answers are named in it. UserError if a folder
    holds no study or its ledger cannot be read.
    """
    folders = [Path(folder) for folder in folders]
    if output is None:
        output = (folders[0] if len(folders) == 1 else Path(os.path.commonpath(folders))) / REPORT
    sections = sections_of(*(read_study(folder) for folder in folders))
    page, table = html_of(sections, live=live), candidates_csv(sections)
    write_whole(output, page)
    write_whole(output.with_suffix(".csv"), table)
    return output


def html_of(
    sections: Sequence[Section], *, title: str | None = None, sweep: Sweep | None = None, live: bool = False
) -> str:
    """The page; that of a sweep begins with its searches."""
    figures = {"sweep": front_of_searches(sweep)} if sweep else {}
    courses = courses_of(sections)
    studies = list(dict.fromkeys(str(section.study.folder) for section in sections))
    figures |= {} if (lines := best_so_far(courses)) is None else {"courses": lines}
    figures |= {f"{name}-{i}": f for i, section in enumerate(sections) for name, f in figures_of(section).items()}
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            title=title or _title(studies),
            studies=studies,
            csv=candidates_csv(sections),
            written=datetime.now().astimezone() if live else None,
            courses=courses,
            limited_beside=limited_beside,
            sections=sections,
            damaged=list(dict.fromkeys(line for section in sections for line in section.study.damaged)),
            sweep=sweep,
            labels={name: cost.label for name, cost in COSTS.items()},
            known=known,
            answers=[
                row for section in sections for run in section.runs for row in answer_rows(run, section, sections)
            ],
            runs=[run for section in sections for run in section.runs],
            headline=headline,
            measured_words=measured_words,
            predicted_words=predicted_words,
            trained_in_words=trained_in_words,
            trust=trust_sentences,
            predictions=prediction_sentences,
            outside=outside_sentence,
            latency=latency_sentence,
            strip_of=strip_of,
            strip_height=HEIGHT,
            figures=figures,
            figures_json=_json(figures),
            plotly=Markup(get_plotlyjs()),
        )
    )


def _environment() -> Environment:
    """Where templates lie, and what they may call."""
    environment = Environment(
        loader=PackageLoader("nars.reporting.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    environment.filters |= {
        "cell": cell,
        "shown": shown,
        "duration": duration,
        "limits": limits,
        "strip_words": architecture_strip,
        "recipe_line": recipe_line,
        "settings": lambda settings: yaml.safe_dump(settings, sort_keys=False),
    }
    return environment


def _title(studies: Sequence[str]) -> str:
    return Path(studies[0]).absolute().name if len(studies) == 1 else f"Comparison of {len(studies)} studies"


def answer_rows(run: Run, section: Section, sections: Sequence[Section]) -> list[dict]:
    """What the table says of a run's answers; `marked` are the dimensions in which they are not all the same."""
    answers = with_measurements(run, section.study).answers
    marked = differing(answers)
    search = run.summary.constraint if len(sections) == 1 else f"{section.name}: {run.summary.constraint}"
    return [
        {
            "search": search,
            "rank": rank,
            "answer": answer,
            "marked": marked,
            "recipe": [(key in marked, recipe_value(key, value)) for key, value in answer["recipe"].items()],
            "differences": differences(answer, answers[0]),
            "command": train_command(run, rank),
            "pair": answer_in_words(answer, f"{search}, pair {rank}"),
        }
        for rank, answer in enumerate(answers, start=1)
    ]


def _json(figures: dict) -> Markup:
    """Figures by name, safe inside a script element."""
    content = ",".join(f'"{name}":{figure.to_json()}' for name, figure in figures.items())
    return Markup("{" + content.replace("<", "\\u003c") + "}")
