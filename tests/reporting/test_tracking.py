"""What a whole search, a pretraining and a training of its answer show on Weights & Biases, read back from files."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from nars.records import Ledger

ROOT = Path(__file__).parents[2]
SMOKE = (
    "experiment=smoke",
    "protocol.steps_per_epoch=4",
    "predictor.pretrain.epochs=2",
    "strategy.batch=2",
    "confirm.pairs=0",
)
LIMITED = (*SMOKE, "constraint.max_activations=1e6")  # costs beside those that are always priced


def command(script: str, *arguments: str, runs: Path) -> list[str]:
    return [sys.executable, script, f"runs_dir={runs}", "logger=wandb", *arguments]


def run(script: str, *arguments: str, runs: Path) -> subprocess.CompletedProcess:
    """The script, with nobody logged in."""
    environment = os.environ | {"HOME": str(runs), "NETRC": str(runs / "netrc")}
    environment.pop("WANDB_API_KEY", None)
    return subprocess.run(
        command(script, *arguments, runs=runs),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_search_and_the_training_of_its_answer(read_wandb, tmp_path):
    done = run("search.py", *LIMITED, "logger.wandb.offline=false", runs=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    study = tmp_path / "smoke"
    problems = [line for line in done.stdout.splitlines() if line.startswith("W&B")]
    assert len(problems) == 1
    assert "wandb login" in problems[0]
    assert done.stdout.splitlines()[-1] == f"Upload to W&B: wandb sync {study}/wandb/offline-run-*"
    records = {record.key: record for record in Ledger(study / "records.jsonl")}
    runs = read_wandb(study)
    by_type = {kind: [r for r in runs.values() if r.run.job_type == kind] for kind in ("candidate", "pretraining")}
    assert {r.run.run_group for r in runs.values()} == {"smoke"}
    assert {r.run.run_id for r in by_type["candidate"]} == {f"smoke-{key}" for key in records}

    candidates = {r.run.run_id.removeprefix("smoke-"): r for r in by_type["candidate"]}

    (answer_folder,) = (study / "answers").iterdir()
    summary = yaml.safe_load((answer_folder / "search.yaml").read_text())
    predicted = {c["key"]: c["predicted"] for r in summary["rounds"] for c in r["candidates"]}
    assert sum(value is not None for value in predicted.values()) == 2
    for key, record in records.items():
        assert runs[f"smoke-{key}"].summary["accuracy"] == pytest.approx(record.accuracies[-1])
        assert runs[f"smoke-{key}"].summary.get("predicted_accuracy") == (
            predicted[key] and pytest.approx(predicted[key], abs=1e-6)
        )

    (pretraining,) = by_type["pretraining"]
    assert pretraining.config["predictor/pretrain/epochs"] == 2
    assert pretraining.summary["macs/kendall_tau"] > 0
    encoder = pretraining.run.run_id.removeprefix("smoke-")
    assert pretraining.artifacts == [(encoder, "encoder", False)]

    (search,) = [r for r in runs.values() if r.run.job_type == "search"]
    assert search.config["constraint/max_macs"] == 2e6
    assert search.config["strategy/batch"] == 2
    generations = [row for row in search.history if "generation/best" in row]
    assert [row["generation/best"] for row in generations] == [g["best"] for g in summary["generations"]]
    assert [row["generation"] for row in generations] == list(range(len(summary["generations"])))
    steps = [row["_step"] for row in search.history]
    assert steps == sorted(set(steps))
    tables = search.history[-1]
    assert (tables["candidates/nrows"], tables["answers/nrows"]) == (4, 5)
    best = yaml.safe_load((answer_folder / "best-1.yaml").read_text())
    assert search.summary["predicted_accuracy"] == best["predicted_accuracy"]
    for cost in ("macs", "params", "activations"):
        assert search.summary[cost] == best[cost]
    assert all(run.summary["activations"] == records[key].costs["activations"] for key, run in candidates.items())
    pairs = f"pairs-smoke-{answer_folder.name}"
    assert [artifact for artifact in search.artifacts if artifact[1] != "run_table"] == [
        ("records-smoke", "records", True),
        (encoder, "encoder", True),
        ("predictor-smoke", "predictor", False),
        ("predictor-smoke", "predictor", True),
        (pairs, "pairs", False),
    ]

    candidate = f"candidate={answer_folder / 'best-1.yaml'}"
    done = run("train.py", candidate, "protocol.epochs=1", "protocol.steps_per_epoch=2", runs=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Upload to W&B: wandb sync {tmp_path}/trained/wandb/offline-run-*"
    (training,) = read_wandb(tmp_path / "trained").values()
    assert training.summary["predicted_accuracy"] == best["predicted_accuracy"]
    weights = f"weights-{training.run.run_id.removeprefix('trained-')}"
    assert training.artifacts == [(pairs, "pairs", True), (weights, "weights", False)]
    digests = {a.name: a.digest for r in (search, training) for a in r.kinds["artifact"]}
    assert digests[pairs] == next(a.digest for a in training.kinds["artifact"] if a.name == pairs)

    # A search that was answered without W&B is shown when it is asked for, once, and keeps what it says of its work.
    shutil.rmtree(study / "wandb")
    before = {file: file.read_bytes() for file in answer_folder.iterdir()}
    done = run("search.py", *LIMITED, runs=tmp_path)
    assert "Trained 4 candidates" in done.stdout, done.stderr
    (again,) = read_wandb(study).values()
    assert (again.run.run_id, again.history[-1]["candidates/nrows"]) == (search.run.run_id, 4)
    assert {file: file.read_bytes() for file in answer_folder.iterdir()} == before
    assert "answered already" in run("search.py", *LIMITED, runs=tmp_path).stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds W&B's process in /proc")
def test_a_search_goes_on_without_wandb_and_says_so_once(tmp_path):
    with open(tmp_path / "output", "w") as file:
        search = subprocess.Popen(command("search.py", *SMOKE, runs=tmp_path), cwd=ROOT, stdout=file, stderr=file)
    deadline = time.monotonic() + 250
    while not (tmp_path / "smoke" / "records.jsonl").exists():
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(wandb_process(search.pid), signal.SIGKILL)
    assert search.wait(timeout=250) == 0
    text = (tmp_path / "output").read_text()
    assert text.count("W&B failed") == 1
    assert "Traceback" not in text
    assert "Best architecture-recipe pairs" in text
    assert len(Ledger(tmp_path / "smoke" / "records.jsonl")) == 4


def wandb_process(parent: int) -> int:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(next(pid for pid in children if b"wandb-core" in Path(f"/proc/{pid}/cmdline").read_bytes()))


def test_a_pretraining_by_its_own_script(read_wandb, tmp_path):
    arguments = ("search_space=tiny", "recipe_space=tiny", "predictor.pretrain.pool_size=500", "study=pre")
    done = run("pretrain_predictor.py", *arguments, "predictor.pretrain.epochs=1", runs=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("Upload to W&B: wandb sync")
    (pretraining,) = read_wandb(tmp_path / "pre").values()
    assert (pretraining.run.job_type, pretraining.run.run_group) == ("pretraining", "pre")
