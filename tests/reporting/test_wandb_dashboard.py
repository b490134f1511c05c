"""The saved W&B workspace: its specification, without a server."""

import subprocess
import sys
from pathlib import Path

import pytest

from nars.candidates import load_candidate
from nars.reporting.wandb_dashboard import workspace
from nars.settings import Recipe
from nars.wandb_run import candidate_scalars

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def view() -> dict:
    """What would be sent to the server."""
    return workspace("team", "nars", study="digits")._spec


def panels(view: dict, kind: str) -> list[dict]:
    sections = view["spec"]["section"]["panelBankConfig"]["sections"]
    return [panel["config"] for section in sections for panel in section["panels"] if panel["viewType"] == kind]


def strings(value) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_it_compares_recipes(view):
    assert (view["entity"], view["project"]) == ("team", "nars")
    recipe, architecture = panels(view, "Parallel Coordinates Plot")
    axes = [column["accessor"] for column in recipe["columns"]]
    assert axes == [*(f"config:recipe/{name}.value" for name in Recipe.model_fields), "summary:accuracy"]
    assert len(architecture["columns"]) == 1 + 2 * 7 + 1
    assert [config["targetKey"] for config in panels(view, "Parameter Importance")] == ["accuracy"]
    assert [config["diffOnly"] for config in panels(view, "Run Comparer")] == ["split"]
    scatters = {config["xAxis"]: config["yAxis"] for config in panels(view, "Scatter Plot")}
    assert set(scatters.values()) == {"summary:accuracy"}
    assert {"summary:macs", "summary:predicted_accuracy", "config:recipe/lr.value"} <= set(scatters)
    curves = [config["metrics"] for config in panels(view, "Run History Line Plot")]
    assert curves == [["accuracy"], ["loss"]]


def test_every_key_is_one_that_trainings_log(view):
    keys = {text.removeprefix("config:").removesuffix(".value") for text in strings(view) if ".value" in text}
    assert keys <= set(candidate_scalars(load_candidate("fbnetv3_a").to_dict()))


def test_it_shows_trainings_of_the_study_only(view):
    (runset,) = view["spec"]["section"]["runSets"]
    filters = runset["filters"]["filters"]
    assert [(item["key"]["name"], item["op"], item["value"]) for item in filters] == [
        ("jobType", "=", "candidate"),
        ("group", "=", "digits"),
    ]


@pytest.mark.parametrize(
    ("project", "message"),
    [("nars", "'nars' is not ENTITY/PROJECT"), ("team/nars", "wandb login")],
    ids=["no entity", "no login"],
)
def test_what_goes_wrong_is_one_line(project, message, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    command = [sys.executable, "-m", "nars.reporting.wandb_dashboard", project]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
