"""The package as pip installs it, away from its clone: YAML files, templates and all."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "LICENSE")
USE = """
import sys
from pathlib import Path
import nars.configuration
from nars.files import CONF
from hydra import compose, initialize_config_dir
from nars.candidates import load_candidate
from nars.settings import SearchSettings

installed = Path(sys.argv[1])
assert Path(nars.__file__).is_relative_to(installed), nars.__file__
assert load_candidate("fbnetv3_g").architecture["resolution"] == 320
with initialize_config_dir(str(CONF), version_base="1.3"):
    nars.configuration.settings_from(compose("search", overrides=["experiment=smoke"]), SearchSettings)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """What pip makes of a copy of the sources, which is gone."""
    clone, target = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("installed")
    for folder in ("nars", "conf"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, clone)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", target, clone], check=True)
    shutil.rmtree(clone)
    return target


def run(installed: Path, *arguments: str | Path) -> subprocess.CompletedProcess:
    """Python with the installed package, in another folder."""
    command = [sys.executable, "-P", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=installed.parent, env=environment, capture_output=True, text=True, check=False)


def test_every_file_is_installed(installed):
    def files(folder: Path) -> set[Path]:
        return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}

    inside = files(installed / "nars")
    assert {path for path in inside if path.parts[0] != "conf"} == files(ROOT / "nars")
    assert files(installed / "nars" / "conf") == files(ROOT / "conf")


def test_it_needs_what_requirements_say(installed):
    [package] = distributions(name="nars", path=[str(installed)])
    lines = [line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    assert package.requires == [line for line in lines if line and not line.startswith("#")]


def test_candidates_configurations_and_reports_work_from_any_folder(installed, tmp_path):
    study = ROOT / "tests/fixtures/old_study/study"
    done = run(installed, "-c", USE, installed)
    assert done.returncode == 0, done.stderr
    done = run(installed, "-m", "nars.reporting", study, "--output", tmp_path / "report.html")
    assert (done.returncode, done.stdout) == (0, f"written: {tmp_path / 'report.html'}\n"), done.stderr
    assert "<table" in (tmp_path / "report.html").read_text()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_an_installed_copy_has_not_the_commit_of_the_project_around_it(installed):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for arguments in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message=theirs"]):
        subprocess.run([*git, *arguments], cwd=installed.parent, check=True)
    done = run(installed, "-c", "from nars.study.provenance import git_commit; print(git_commit())")
    assert done.stdout == "None\n", done.stderr
