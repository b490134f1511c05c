"""Jobs of scripts, alone and in sweeps: where they work, and what is left of them."""

import ast
import importlib.util
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nars.study.outcomes import Outcome, read_outcomes, write_outcome

ROOT = Path(__file__).parents[1]
PROGRAM = f"""
import hydra
from pathlib import Path
from nars.configuration import run_script, settings_from
from nars.errors import UserError
from nars.settings import SearchSettings
from nars.sweep import run_job

def job(settings):
    print("works in", Path(settings.runs_dir).resolve())
    if settings.seed == 1:
        raise UserError("seed 1")

@hydra.main(version_base="1.3", config_path={str(ROOT / "conf")!r}, config_name="search")
def main(config):
    run_job(lambda: job(settings_from(config, SearchSettings)))

if __name__ == "__main__":
    run_script(main, SearchSettings)
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    (folder / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "program.py", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def launchers() -> list[str]:
    """Those that are installed."""
    joblib = importlib.util.find_spec("hydra_plugins") and importlib.util.find_spec(
        "hydra_plugins.hydra_joblib_launcher"
    )
    return ["basic", *["joblib"] * (joblib is not None)]


def test_a_job_works_where_the_command_was_started(tmp_path):
    done = run(tmp_path, "hydra.job.chdir=true", "hydra.run.dir=elsewhere")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"works in {tmp_path / 'runs'}"


@pytest.mark.parametrize("launcher", launchers())
def test_all_jobs_of_a_sweep_work_where_the_command_was_started(tmp_path, launcher):
    given = [f"hydra/launcher={launcher}", "hydra.job.chdir=true", "hydra.sweep.subdir=${hydra.job.num}"]
    done = run(tmp_path, "-m", *given, "study=a,O'Brien", "seed=0,1")
    assert done.returncode == 1
    assert done.stdout.count(f"works in {tmp_path / 'runs'}\n") == 2  # the others are refused before
    [folder] = (tmp_path / "runs" / "sweeps").iterdir()
    outcomes = read_outcomes(folder)
    assert [outcome.error for outcome in outcomes][:2] == [None, "seed 1"]
    assert "study: String should match pattern" in outcomes[2].error
    assert "3 of 4 jobs failed" in done.stdout
    assert f"job 1 failed (hydra/launcher={launcher} " not in done.stdout
    assert not list(tmp_path.rglob("runs/**/runs"))


COUNTED = """
from hydra._internal.config_loader_impl import ConfigLoaderImpl

compose = ConfigLoaderImpl.load_sweep_config

def counted(loader, master, overrides):
    print("composed", overrides[-1])
    return compose(loader, master, overrides)

ConfigLoaderImpl.load_sweep_config = counted
"""


def test_a_sweep_composes_each_job_once(tmp_path):
    program = COUNTED + PROGRAM.replace('print("works in"', 'print("job", settings.runs_dir, settings.seed, "in"')
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "program.py", "-m", "runs_dir=a", "seed=0,2,3,2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("composed", "job a"))]
    assert lines[:3] == ["composed seed=0", "composed seed=2", "composed seed=3"]
    assert [line.split()[2] for line in lines if line.startswith("job a")] == ["0", "2", "3", "2"]
    assert len([line for line in lines if line.startswith("composed")]) == 5  # 2, which is asked for twice, anew


@pytest.mark.parametrize("launcher", launchers())
def test_a_sweep_has_a_folder_of_its_own(tmp_path, launcher):
    """Others were started in each of the seconds in which this one may be."""
    folder = tmp_path / "runs, [v2]" / "sweeps"
    now = datetime.now()
    for second in range(120):
        other = folder / f"{now + timedelta(seconds=second):%Y-%m-%d_%H-%M-%S}"
        other.mkdir(parents=True)
        write_outcome(other, Outcome(number=0, overrides=(), error="of another sweep"))
    before = set(folder.iterdir())
    done = run(tmp_path, "-m", f"hydra/launcher={launcher}", "runs_dir='runs, [v2]'", "seed=0,1,2")
    assert done.returncode == 1
    assert "1 of 3 jobs failed" in done.stdout
    [own] = set(folder.iterdir()) - before
    assert own.name.endswith("-2")
    assert [outcome.error for outcome in read_outcomes(own)] == [None, "seed 1", None]
    for other in before:
        assert [outcome.error for outcome in read_outcomes(other)] == ["of another sweep"]


@pytest.mark.parametrize(
    "script",
    [
        "search.py",
        "train.py",
        "detect.py",
        "pretrain_predictor.py",
        "prepare_data.py",
        "export.py",
        "measure_latency.py",
    ],
)
def test_every_script_hands_its_work_and_its_words_to_what_is_tested_here(script):
    calls = [node.func for node in ast.walk(ast.parse((ROOT / script).read_text())) if isinstance(node, ast.Call)]
    names = {getattr(function, "id", "") for function in calls}
    assert {"run_script", "run_job", "settings_from", "open_console"} <= names


def test_the_console_is_made_in_one_place():
    for file in [*ROOT.glob("*.py"), *(ROOT / "nars").rglob("*.py")]:
        made = file.read_text().count("Console(")
        assert made == (2 if file.name == "console.py" else 0), file  # a class and an instance
