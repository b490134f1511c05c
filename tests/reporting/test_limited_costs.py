"""A cost that is limited, or that searches choose by, is priced, written, read and shown wherever costs are."""

import io

import pytest
import yaml
from rich.console import Console

from nars.costs.table import ALWAYS, COSTS, LIMITED, cell
from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.trust import outside_sentence
from nars.reporting.page.report import html_of
from nars.reporting.screen.sweeps import finish_sweep
from nars.reporting.screen.terminal import print_answer, print_answer_line
from nars.reporting.tracking.searches import _candidate_rows
from nars.study.folder import read_study
from nars.study.outcomes import Outcome, read_outcomes, write_outcome


@pytest.fixture(params=LIMITED, scope="module")
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def asked(name, make_study, tmp_path_factory, planted_latency):
    """A study that asks for less than half of what its pool has of the cost: its maker, its history and its run."""
    folder = tmp_path_factory.mktemp("runs")
    table = [f"latency.table={planted_latency}"] if COSTS[name].measured else []
    free = make_study(folder / "free", f"strategy.cost_axis={name}", "constraint.max_macs=null", *table)
    limit = float(sorted(free.prices[:, free.costs.index(name)])[len(free.prices) // 3])
    maker = make_study(
        folder / "tiny", f"constraint.max_{name}={limit}", "strategy.rounds=1", "strategy.batch=4", *table
    )
    history = maker.run_rounds()
    return maker, history, maker.answer(history), limit


def test_it_is_priced_and_kept(name, asked):
    maker, _, run, limit = asked
    assert maker.costs == tuple(n for n in LIMITED if n in {*ALWAYS, name})
    assert f"{name} <= " in run.summary.constraint
    assert f"{name}-max-" in run.folder.name
    for answer in run.answers:
        assert answer["costs"][name] <= limit
        assert set(answer["costs"]) == set(maker.costs)


def test_it_is_in_every_file(name, asked, tmp_path):
    maker, history, run, _ = asked
    for rank, answer in enumerate(run.answers, start=1):
        assert yaml.safe_load(run.answer_file(rank).read_text())[name] == answer["costs"][name]
    study = read_study(maker.folder)
    assert study.runs == (run,)
    trained = {record.key: record for r in history.rounds for record in r.records}
    assert {key: record.costs for key, record in study.records.items()} == {k: r.costs for k, r in trained.items()}
    for row in _candidate_rows(history):  # what W&B shows
        assert row[name] == trained[row["key"]].costs[name]
    assert all(name in point.costs for point in run.summary.front)
    assert all(c.costs == trained[c.key].costs for r in run.summary.rounds for c in r.candidates)
    write_outcome(tmp_path, Outcome(number=0, overrides=(), result=run.result))
    assert read_outcomes(tmp_path)[0].result.costs == run.answers[0]["costs"]


def test_it_is_on_screens_and_pages(name, asked, tmp_path):
    maker, _, run, _ = asked
    best, label = cell(run.answers[0]["costs"], name), COSTS[name].label
    output = io.StringIO()
    console = Console(file=output, width=80)
    print_answer(console, run, report="report.html")
    last_screen = output.getvalue()
    assert len(last_screen.splitlines()) <= 25
    print_answer_line(console, run)
    finish_sweep([Outcome(number=0, overrides=("x=1",), result=run.result)], tmp_path, console)
    sweep = output.getvalue()[len(last_screen) :]
    for text in (last_screen, sweep):
        assert label in text
        assert best in text
    assert f"{best} {label}" in sweep
    page = html_of(sections_of(read_study(maker.folder)))
    assert f'<td data-label="{label}" data-value="{run.answers[0]["costs"][name]}">{best}</td>' in page
    assert page.count(f">{label}</th>") == 2  # of answers and of trained candidates


def test_answers_outside_its_window_are_named(name, asked):
    _, history, run, _ = asked
    least = min(record.costs[name] for r in history.rounds for record in r.records) / 2
    window = {**run.summary.settings["strategy"]["window"], f"max_{name}": least}
    settings = run.summary.settings | {"strategy": run.summary.settings["strategy"] | {"window": window}}
    summary = run.summary.model_copy(update={"settings": settings})
    said = outside_sentence(type(run)(folder=run.folder, summary=summary, answers=run.answers))
    assert f"{name} <= {cell({name: least}, name)}" in said
    assert outside_sentence(run) is None
