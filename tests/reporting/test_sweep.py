"""A sweep ends with one row for all seeds of a setting, the front of them, and what failed."""

import io

import pytest
from rich.console import Console

from nars.outcomes import Outcome, Result, read_outcomes, write_outcome
from nars.reporting.sweep import finish_sweep, sweep_of


def outcome(number: int, *overrides: str, accuracy: float | None, macs: float = 5e8) -> Outcome:
    result = accuracy and Result(
        accuracy=accuracy, predicted_std=0.01, macs=macs, params=4e6, architecture={}, recipe={}, folder="/nowhere"
    )
    overrides = ("study=a", *overrides)
    return Outcome(number=number, overrides=overrides, result=result, error=None if accuracy else "no room")


def test_seeds_are_put_together_with_their_median_and_spread():
    sweep = sweep_of(
        [
            outcome(0, "constraint=x", "seed=1", accuracy=0.5, macs=1e8),
            outcome(1, "constraint=x", "seed=2", accuracy=0.9, macs=2e8),
            outcome(2, "constraint=x", "seed=3", accuracy=0.6, macs=3e8),
            outcome(3, "constraint=y", "seed=1", accuracy=0.7),
            outcome(4, "constraint=y", "seed=2", accuracy=None),
        ]
    )
    x, y = sweep.rows
    assert (x.name, y.name) == ("constraint=x", "constraint=y")  # what all jobs share says nothing
    assert x.accuracy == 0.6
    assert x.best.macs == 2e8
    assert x.words == "0.600 (0.500 to 0.900)"
    assert y.words == "0.700 ± 0.010"
    assert [failed.number for failed in sweep.failed] == [4]


def test_the_front_holds_what_nothing_cheaper_beats():
    costs = [(1e8, 0.5), (2e8, 0.7), (3e8, 0.6), (2e8, 0.6), (4e8, 0.7)]
    sweep = sweep_of([outcome(i, f"x={i}", accuracy=a, macs=m) for i, (m, a) in enumerate(costs)])
    assert [sweep.on_front(row) for row in sweep.rows] == [True, True, False, False, False]


def test_outcomes_are_files_in_the_order_of_their_numbers(tmp_path):
    outcomes = [outcome(i, f"seed={i}", accuracy=0.1 * i or None) for i in range(12)]
    for one in reversed(outcomes):
        write_outcome(tmp_path / "sweep", one)
    assert read_outcomes(tmp_path / "sweep") == outcomes


@pytest.fixture
def searches(tiny_maker):
    """Two searches of a sweep and one beside it, in one study."""
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    runs = []
    for limit in (1e6, 1.5e6, 2e6):
        maker.limit(limit)
        runs.append(maker.answer(history))
    return maker.folder, runs


def test_the_page_shows_the_searches_of_the_sweep_alone(searches, tmp_path):
    study, runs = searches
    outcomes = [
        Outcome(number=i, overrides=(f"constraint.max_macs={limit}",), result=run.result)
        for i, (limit, run) in enumerate(zip((1.0e6, 1.5e6), runs, strict=False))
    ]
    failed = Outcome(number=2, overrides=("constraint.max_macs=1",), error="nothing is <that> small")
    output = io.StringIO()
    finish_sweep([*outcomes, failed], tmp_path / "sweep", Console(file=output, width=100))
    said = output.getvalue()
    assert "constraint.max_macs=1.5M" in said
    assert "job 2 failed (constraint.max_macs=1): nothing is <that> small" in said
    assert "1 of 3 jobs failed; the same command tries them again and reuses what is finished" in said
    assert f"Report of the sweep: {tmp_path / 'sweep' / 'report.html'}" in said
    page = (tmp_path / "sweep" / "report.html").read_text()
    assert "<h1>Sweep of 2 searches</h1>" in page
    assert "nothing is &lt;that&gt; small" in page
    assert str(runs[1].folder) in page
    assert str(runs[2].folder) not in page
    assert str(runs[2].folder) in (study / "report.html").read_text()


def test_trainings_have_a_table_and_no_page(tmp_path):
    costs = {"macs": 1e8, "params": 1e6, "architecture": {}, "recipe": {}}
    output = io.StringIO()
    outcomes = [
        Outcome(number=i, overrides=(f"recipe.lr={lr}",), result=Result(accuracy=a, folder=str(tmp_path), **costs))
        for i, (lr, a) in enumerate(((0.12345678, 0.5), (0.2, 0.6)))
    ]
    finish_sweep(outcomes, tmp_path / "sweep", Console(file=output, width=100))
    assert "recipe.lr=0.123" in output.getvalue()
    assert "Best: recipe.lr=0.2: 0.600, " in output.getvalue()
    assert "accuracy" in output.getvalue()
    assert not (tmp_path / "sweep").exists()
