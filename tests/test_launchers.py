"""Sweeps spread by Hydra's launchers, and by Optuna. Joblib really runs where it is installed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

import nars.configuration  # noqa: F401  registers what conf/train.yaml composes

ROOT = Path(__file__).parents[1]
PLUGINS = {"joblib": "joblib", "submitit_slurm": "submitit", "ray": "ray"}


def installed(launcher: str) -> bool:
    try:
        return importlib.util.find_spec(f"hydra_plugins.hydra_{PLUGINS[launcher]}_launcher") is not None
    except ModuleNotFoundError:
        return False


def sweep(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "search.py", "-m", "experiment=smoke", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_launcher_has_a_plugin():
    assert {file.stem for file in (ROOT / "conf/hydra/launcher").glob("*.yaml")} == set(PLUGINS)


@pytest.mark.parametrize("launcher", PLUGINS)
def test_a_launcher_composes_and_fits_its_plugin(launcher):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("search", overrides=[f"hydra/launcher={launcher}"], return_hydra_config=True).hydra.launcher
    if not installed(launcher):
        pytest.skip(f"the plugin of hydra/launcher={launcher} is not installed (requirements-launchers.txt)")
    assert get_class(config["_target_"]).__module__.startswith("hydra_plugins.")


@pytest.mark.skipif(installed("joblib"), reason="hydra-joblib-launcher is installed")
def test_a_launcher_that_is_not_installed_is_one_line():
    done = sweep("hydra/launcher=joblib")
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "hydra/launcher=joblib: not installed; pip install -r requirements-launchers.txt" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not installed("joblib"), reason="needs requirements-launchers.txt")
def test_searches_that_joblib_runs_side_by_side_share_the_trainings(tmp_path):
    short = ["protocol.steps_per_epoch=6", "predictor.pretrain.epochs=2", "executor.workers=1", "confirm.pairs=0"]
    short += [f"runs_dir={tmp_path}"]
    done = sweep("hydra/launcher=joblib", "constraint.max_macs=1.0e6,2.0e6", *short)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    keys = [json.loads(line)["key"] for line in (tmp_path / "smoke/records.jsonl").read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 8
    trained = [int(part.partition(",")[0]) for part in done.stdout.split("(trained ")[1:]]
    assert sum(trained) == 8
    page = Path(done.stdout.rpartition("Report of the sweep: ")[2].splitlines()[0])
    assert all(limit in page.read_text() for limit in ("macs &lt;= 1M", "macs &lt;= 2M"))
    assert len(trained) == 2


def test_the_sweeper_tunes_within_the_recipe_space():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        given = ["hydra/sweeper=tune_recipe", "+recipe_space=fbnetv3"]
        config = compose("train", overrides=given, return_hydra_config=True)
    space = OmegaConf.to_container(config.recipe_space)
    del space["name"]
    wanted = {}
    for key, values in space.items():
        if isinstance(values, dict):
            low, high = (round(values[end] * values["unit"], 9) for end in ("low", "high"))
            wanted[f"recipe.{key}"] = ("interval", low, high)
        else:
            wanted[f"recipe.{key}"] = ("choice", *(str(value).lower() for value in values))
    found = {}
    for key, text in config.hydra.sweeper.params.items():
        kind, _, values = text.rstrip(")").partition("(")
        values = values.split(", ")
        found[key] = (kind, *(map(float, values) if kind == "interval" else values))
    assert found == wanted
