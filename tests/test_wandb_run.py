"""W&B runs: what goes wrong with W&B, caused for real, stops nothing and is noted."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nars.settings import Recipe, WandbSettings
from nars.wandb_run import WandbRun, candidate_scalars, forget_problems, problem, scalars

ROOT = Path(__file__).parents[1]
OFFLINE, ONLINE = WandbSettings(), WandbSettings(offline=False)


def begin(study: Path, key: str = "k1", settings: WandbSettings | None = OFFLINE) -> WandbRun:
    return WandbRun(settings, study, key=key, name="a name", job_type="candidate", config={"recipe/lr": 0.1})


@pytest.fixture
def study(tmp_path, monkeypatch, read_wandb) -> Path:
    """A study's folder, in a home without login."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    return tmp_path / "study"


def test_without_settings_nothing_happens(study):
    with begin(study, settings=None) as run:
        run.log({"x": 1}, step=0)
        run.summarise({"x": 1})
        run.tables({"t": [{"a": 1}]})
        run.give("a", "b", [study / "missing"])
    assert not study.exists()


def test_rows_tables_and_artifacts_are_in_the_file(study, read_wandb, tmp_path):
    (tmp_path / "made.txt").write_text("made")
    with begin(study) as run:
        for step in range(3):
            run.log({"x": step / 2}, step=step)
        run.tables({"t": [{"a": 1, "b": None}, {"a": "two", "c": True}]})
        run.summarise({"macs": 5.0, "nothing": None})
        run.use("made", "thing", [tmp_path / "made.txt"])
        run.give("again", "thing", [tmp_path / "made.txt"])
    file = read_wandb(study)["study-k1"]
    assert [row["x"] for row in file.history[:3]] == [0.0, 0.5, 1.0]
    assert (file.history[3]["t/nrows"], file.history[3]["t/ncols"]) == (2, 3)
    assert file.summary["macs"] == 5.0
    assert "nothing" not in file.summary
    assert file.artifacts[-2:] == [("made", "thing", True), ("again", "thing", False)]
    digests = {artifact.digest for artifact in file.kinds["artifact"][-2:]}
    assert len(digests) == 1, "W&B knows the same content again"
    assert problem(study) is None


def test_a_run_begun_again_offline_replaces_its_file(study, read_wandb):
    for value in (1, 2):
        with begin(study) as run, begin(study, "k2"):
            run.log({"x": value}, step=0)
    runs = read_wandb(study)
    assert set(runs) == {"study-k1", "study-k2"}
    assert [row["x"] for row in runs["study-k1"].history] == [2]


def test_without_login_runs_are_kept_offline(study, read_wandb):
    with begin(study, settings=ONLINE) as run:
        assert run.offline
        run.log({"x": 1}, step=0)
    assert "wandb login" in problem(study)
    assert [row["x"] for row in read_wandb(study)["study-k1"].history] == [1]
    forget_problems(study)
    assert problem(study) is None


def test_without_network_runs_are_kept_offline(study, read_wandb, monkeypatch):
    monkeypatch.setattr("nars.wandb_run.INIT_SECONDS", 2)
    monkeypatch.setenv("WANDB_API_KEY", 40 * "0")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with begin(study, settings=ONLINE) as run:
        run.log({"x": 1}, step=0)
    assert problem(study)
    assert [row["x"] for row in read_wandb(study)["study-k1"].history] == [1]


def test_a_folder_that_cannot_be_written_stops_nothing(study):
    study.parent.mkdir(exist_ok=True)
    study.write_text("a file where the folder should be")
    with begin(study) as run:
        run.log({"x": 1}, step=0)
    assert problem(study) is None  # nowhere to say it


def test_once_the_server_failed_later_runs_are_offline_at_once(study, monkeypatch):
    with begin(study, settings=ONLINE) as run:
        assert run.offline
    monkeypatch.setenv("WANDB_API_KEY", 40 * "0")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("nars.wandb_run.INIT_SECONDS", 60)
    started = time.monotonic()
    with begin(study, "k2", settings=ONLINE) as run:
        assert run.offline
    assert time.monotonic() - started < 30
    forget_problems(study)
    assert not begin(study, "k3", settings=None).offline


def test_names_of_artifacts_are_made_such_as_wandb_takes(study, read_wandb, tmp_path):
    (tmp_path / "made.txt").write_text("made")
    with begin(study) as run:
        run.use("my encoder (new)", "thing", [tmp_path / "made.txt"])
    assert problem(study) is None
    assert read_wandb(study)["study-k1"].artifacts == [("my-encoder--new-", "thing", True)]


IN_A_PROCESS = """
import os, signal, subprocess, sys
from pathlib import Path
from nars.settings import WandbSettings
from nars.wandb_run import WandbRun, problem

study = Path(sys.argv[1])
def begin(key):
    return WandbRun(WandbSettings(), study, key=key, name="n", job_type="candidate", config={})
"""


def in_a_process(study: Path, code: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", IN_A_PROCESS + code, str(study)]
    environment = os.environ | environment
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


OTHERS = {
    "WANDB_RUN_ID": "fixed",
    "WANDB_SWEEP_ID": "abc",
    "WANDB_RUN_GROUP": "theirs",
    "WANDB_NAME": "theirs",
    "WANDB_JOB_TYPE": "theirs",
    "WANDB_PROJECT": "theirs",
    "WANDB_RESUME": "must",
    "WANDB_CONFIG": '{"recipe/lr": 7}',
    "WANDB_SILENT": "false",
    "WANDB_SERVICE": "3-1-tcp-localhost-1",
}


@pytest.mark.parametrize("mode", ["online", "disabled"])
def test_runs_are_ours_whatever_an_agent_says(study, read_wandb, tmp_path, mode):
    code = """
for key in ("k1", "k2"):
    with WandbRun(WandbSettings(), study, key=key, name="n", job_type="candidate", config={"recipe/lr": 0.1}) as run:
        run.log({"x": 1}, step=0)
"""
    others = OTHERS | {"WANDB_MODE": mode, "WANDB_DIR": str(tmp_path / "elsewhere")}
    done = in_a_process(study, code, **others, WANDB_ENTITY="our-team", WANDB_TAGS="a,b")
    assert (done.returncode, done.stderr) == (0, "")
    runs = read_wandb(study)
    assert set(runs) == {"study-k1", "study-k2"}
    for file in runs.values():
        run = file.run
        assert (run.run_group, run.display_name, run.job_type, run.project) == ("study", "n", "candidate", "nars")
        assert (run.sweep_id, run.entity, list(run.tags)) == ("", "our-team", ["a", "b"])
        assert file.config["recipe/lr"] == 0.1
        assert [row["x"] for row in file.history] == [1]
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="finds W&B's process in /proc")
def test_a_dead_wandb_process_stops_nothing(study):
    code = """
with begin("k1") as run:
    run.log({"x": 1}, step=0)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (core,) = [pid for pid in children if b"wandb-core" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(core), signal.SIGKILL)
    while Path(f"/proc/{core}/stat").read_text().split()[2] != "Z":
        pass
    for step in range(1, 100):
        run.log({"x": step}, step=step)
    run.summarise({"x": 1})
print("went on:", problem(study))
"""
    done = in_a_process(study, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("went on: ConnectionResetError")
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="kills with SIGKILL")
def test_the_run_of_a_killed_process_can_be_begun_again(study, read_wandb):
    """By a worker of the same parent: with W&B's process shared, the run would still be in use."""
    code = """
if len(sys.argv) > 2:
    begin("k1").log({"x": 1}, step=0)
    os.kill(os.getpid(), signal.SIGKILL)
with begin("parent"):
    subprocess.run([*sys.orig_argv, "child"])
    with begin("k1") as run:
        run.log({"x": 2}, step=0)
"""
    assert in_a_process(study, code).returncode == 0
    assert problem(study) is None
    assert [row["x"] for row in read_wandb(study)["study-k1"].history] == [2]


def test_a_wandb_that_cannot_be_imported_stops_nothing(study):
    code = """
sys.modules["wandb"] = None
with begin("k1") as run:
    run.log({"x": 1}, step=0)
print("went on:", problem(study))
"""
    done = in_a_process(study, code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("went on: ModuleNotFoundError")


def test_nested_settings_become_flat_scalars():
    values = {"a": {"b": 1, "c": {"d": True}}, "e": "x", "none": None, "list": [1, 2]}
    assert scalars(values) == {"a/b": 1, "a/c/d": True, "e": "x"}


def test_every_dimension_of_a_candidate_has_a_key(fbnetv3_joint):
    candidate = fbnetv3_joint.candidate(fbnetv3_joint.sample(1, 3)[0]).to_dict()
    flat = candidate_scalars(candidate)
    assert flat["arch/stage3/expansion_first"] == candidate["architecture"]["stages"][2]["expansion_first"]
    assert flat["recipe/lr"] == candidate["recipe"]["lr"]
    assert flat["arch/resolution"] == candidate["architecture"]["resolution"]
    assert {name for name in flat if name.startswith("recipe/")} == {f"recipe/{name}" for name in Recipe.model_fields}
    del candidate["recipe"]["mixup"]
    assert candidate_scalars(candidate)["recipe/mixup"] == 0.0


def test_every_key_of_a_block_has_a_key():
    stages = [{"stride": 2, "blocks": [{"skip": True, "width": 8}, {"kernel": 3, "expansion": 1.5, "width": 8}]}]
    values = {"resolution": 32, "stem_width": 8, "stages": stages, "head": {"conv": 16}}
    flat = candidate_scalars({"architecture": values, "recipe": {"lr": 0.1, "optimizer": "sgd"}})
    assert {name: value for name, value in flat.items() if name.startswith("arch/")} == {
        "arch/resolution": 32,
        "arch/stem_width": 8,
        "arch/head/conv": 16,
        "arch/stage1/stride": 2,
        "arch/stage1/block1/skip": True,
        "arch/stage1/block1/width": 8,
        "arch/stage1/block2/kernel": 3,
        "arch/stage1/block2/expansion": 1.5,
        "arch/stage1/block2/width": 8,
    }
