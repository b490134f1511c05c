"""A sweep ends with one row for all seeds of a setting, the front of them, and what failed."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from nars.reporting.facts.sweeps import sweep_of
from nars.reporting.screen.sweeps import finish_sweep
from nars.study.outcomes import Outcome, Result, forget_outcomes, read_outcomes, write_outcome

ROOT = Path(__file__).parents[2]


def outcome(number: int, *overrides: str, accuracy: float | None, macs: float = 5e8) -> Outcome:
    result = accuracy and Result(
        accuracy=accuracy,
        predicted_std=0.01,
        costs={"macs": macs, "params": 4e6},
        architecture={},
        recipe={},
        folder="/nowhere",
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
    assert x.best.costs["macs"] == 3e8  # of the median: no prediction says which seed is best
    assert x.words == "0.600 (0.500 to 0.900)"
    assert y.words == "0.700 (0.69 to 0.71)"
    assert [failed.number for failed in sweep.failed] == [4]


def test_jobs_that_differ_in_nothing_else_and_numbers_that_look_alike_have_names():
    (row,) = sweep_of([outcome(i, f"seed={i}", accuracy=0.5) for i in range(3)]).rows
    assert row.name == "all jobs"
    rows = sweep_of([outcome(i, f"x={20000 + i}", accuracy=0.5) for i in range(2)]).rows
    assert [row.name for row in rows] == ["x=20000", "x=20001"]
    rows = sweep_of([outcome(i, f"x={20000 * (i + 1)}", accuracy=0.5) for i in range(2)]).rows
    assert [row.name for row in rows] == ["x=20k", "x=40k"]


def test_the_same_job_twice_is_one():
    sweep = sweep_of([outcome(i, f"x={x}", "seed=1", accuracy=0.5) for i, x in enumerate((1, 1, 2))])
    assert [len(row.results) for row in sweep.rows] == [1, 1]


def test_the_front_holds_what_nothing_cheaper_beats():
    costs = [(1e8, 0.5), (2e8, 0.7), (3e8, 0.6), (2e8, 0.6), (4e8, 0.7)]
    sweep = sweep_of([outcome(i, f"x={i}", accuracy=a, macs=m) for i, (m, a) in enumerate(costs)])
    assert [sweep.on_front(row) for row in sweep.rows] == [True, True, False, False, False]


def test_outcomes_are_files_in_the_order_of_their_numbers(tmp_path):
    outcomes = [outcome(i, f"seed={i}", accuracy=0.1 * i or None) for i in range(12)]
    for one in reversed(outcomes):
        write_outcome(tmp_path / "sweep", one)
    assert read_outcomes(tmp_path / "sweep") == outcomes
    (tmp_path / "sweep" / "job-of-another.yaml").touch()
    forget_outcomes(tmp_path / "sweep")
    assert (tmp_path / "sweep" / "job-of-another.yaml").exists()
    assert read_outcomes(tmp_path / "sweep") == []


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


@pytest.mark.parametrize(("metric", "word"), [("accuracy", "measured accuracy"), ("map", "measured mAP")])
def test_trainings_have_a_table_and_a_page(tmp_path, metric, word):
    values = {"costs": {"macs": 1e8, "params": 1e6}, "architecture": {}, "recipe": {}, "folder": str(tmp_path / "a/b")}
    output = io.StringIO()
    outcomes = [
        Outcome(number=i, overrides=(f"recipe.lr={lr}",), result=Result(accuracy=a, metric=metric, **values))
        for i, (lr, a) in enumerate(((0.12345678, 0.5), (0.2, 0.6)))
    ]
    finish_sweep(outcomes, tmp_path / "sweep", Console(file=output, width=100))
    assert "recipe.lr=0.123457" in output.getvalue()
    assert "Best: recipe.lr=0.2: 0.600, " in output.getvalue()
    assert "measured" in output.getvalue()
    page = (tmp_path / "sweep" / "report.html").read_text()
    assert "<h1>Sweep of 2 trainings</h1>" in page
    assert "<h2>Every training</h2>" in page
    assert "search" not in page.partition("<script")[0].partition("<main>")[2]
    assert word in page


def test_the_page_is_made_again_from_the_outcomes(searches, tmp_path):
    _, runs = searches
    command = [sys.executable, "-m", "nars.reporting", str(tmp_path)]
    for overrides in ((), ("x=1",)):
        write_outcome(tmp_path, Outcome(number=len(overrides), overrides=overrides, result=runs[0].result))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"Report of the sweep: {tmp_path / 'report.html'}" in done.stdout
    write_outcome(tmp_path, Outcome(number=2, overrides=("x=2",), error="lost"))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "job 2 failed (x=2): lost" in done.stdout
    done = subprocess.run([*command, "--output", "x"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "error: the folder of a sweep is given alone; its page is report.html in it\n",
    )


JOBS = """
import sys
import hydra
from nars.configuration import run_script
from nars.settings import Settings
from nars.study.outcomes import Result
from nars.sweep import run_job

@hydra.main(version_base="1.3", config_path=None)
def main(config):
    def job():
        if config.what == "stop":
            raise KeyboardInterrupt
        if config.what == "bug":
            raise ZeroDivisionError("a bug")
        return Result(accuracy=float(config.what), costs={"macs": 1e6}, architecture={}, recipe={}, folder="/nowhere")
    value = run_job(job)
    print("value", value, flush=True)
    return value

run_script(main, Settings)
"""


def sweep_over(values: str, folder: Path, *more: str, named=("hydra.sweep.dir=sweep",)) -> subprocess.CompletedProcess:
    """A sweep of jobs that take no time, started in `folder`, where `named` names the sweep's."""
    (folder / "jobs.py").write_text(JOBS)
    command = [sys.executable, str(folder / "jobs.py"), "-m", f"+what={values}", *named]
    callback = "+hydra.callbacks.summary._target_=nars.sweep.SweepSummary"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, callback, *more], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_job_that_ends_with_a_bug_does_not_stop_the_others(tmp_path):
    done = sweep_over("0.25,bug,0.5", tmp_path)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("value")] == [
        "value 0.25",
        "value 0.0",  # for sweepers that look for the best
        "value 0.5",
    ]
    assert "in job\n" in done.stderr
    assert "job 1 failed (+what=bug): ZeroDivisionError: a bug" in done.stdout
    assert "Best: +what=0.5: 0.500" in done.stdout
    assert sweep_over("0.25,0.5", tmp_path).returncode == 0  # what the earlier sweep left is not counted


def test_a_sweep_that_is_stopped_ends_with_what_it_has(tmp_path):
    done = sweep_over("0.25,stop,0.5", tmp_path)
    assert done.returncode == 130
    assert "+what=0.25" in done.stdout
    assert "job 1 failed (+what=stop): it did not end: stopped, or its process was lost" in done.stdout
    assert "value 0.5" not in done.stdout


def test_a_sweep_whose_outcomes_lie_elsewhere_fails(tmp_path):
    done = sweep_over("0.25,0.5", tmp_path, "hydra.sweep.dir=sweep-${hydra.job.override_dirname}")
    assert done.returncode == 1
    assert "no job of the sweep left its outcome here" in done.stderr


def test_every_sweep_has_a_folder_of_its_own_unless_the_command_names_one(tmp_path):
    """Two of the same second, say: the second one finds the folder there."""
    (tmp_path / "own.yaml").write_text(f"hydra: {{sweep: {{dir: '{tmp_path / 'of sweeps'}'}}}}")
    for values in ("0.25,0.5", "0.125"):
        done = sweep_over(values, tmp_path, "--config-dir", str(tmp_path), "--config-name", "own", named=())
        assert done.returncode == 0, done.stderr
    assert "Best: all jobs: 0.125" in done.stdout
    assert [len(read_outcomes(tmp_path / name)) for name in ("of sweeps", "of sweeps-2")] == [2, 1]
    assert sweep_over("0.75", tmp_path, named=("++hydra.sweep.dir='of sweeps'",)).returncode == 0
    assert [o.overrides for o in read_outcomes(tmp_path / "of sweeps")] == [("+what=0.75",)]
    assert not (tmp_path / "of sweeps-3").exists()
