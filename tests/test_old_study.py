"""What version 0.1 made still opens, answers and goes on (tests/fixtures/old_study/README.md)."""

import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from rich.console import Console

from nars.commands.evaluate import evaluate_weights
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.costs.pricing import Pricing
from nars.data import open_data
from nars.networks.architectures import architecture_of, costs_of
from nars.records import Ledger, training_key
from nars.settings import SearchSettings, TrainSettings
from nars.study.folder import read_study
from nars.training.job import training_identity

ROOT = Path(__file__).parents[1]
OLD = Path(__file__).parent / "fixtures" / "old_study"
SEARCH = [
    "experiment=smoke",
    "predictor.pretrain.epochs=2",
    "predictor.encoding=scaled",  # the only one that version 0.1 had
    "predictor.fit.targets=normal_scores",
    "predictor.members=2",
    "predictor.encoder_hidden=32",
    "predictor.head_hidden=32",
    "protocol.epochs=3",
    "protocol.steps_per_epoch=40",
    "strategy.batch=12",
    "strategy.early_stop_correlation=0.3",
    "confirm.pairs=0",
    "executor.workers=1",
    "logger=none",
]
CLASSES = {"study": 1000, "trained": 10}  # that costs count: a search those of ImageNet, a training its own
TRAIN = ["protocol.epochs=2", "protocol.steps_per_epoch=60", "protocol.image_scale=0.75", "logger=none"]


@pytest.fixture
def runs(tmp_path) -> Path:
    """A copy: the folder of two studies, `study` of the search and `trained` of the training."""
    return shutil.copytree(OLD, tmp_path / "runs")


def run(*arguments: str | Path) -> str:
    """What a command prints."""
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder: Path) -> dict[str, bytes]:
    """The content of all files by path, but for locks."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def known_costs(architecture: dict, num_classes: int) -> dict[str, float]:
    """The costs that version 0.1 knew, as they are counted now."""
    costs = costs_of(architecture_of(architecture), Pricing(num_classes=num_classes))
    return {name: costs[name] for name in ("macs", "params")}


@pytest.mark.parametrize(("study", "records"), [("study", 24), ("trained", 1)])
def test_records_are_found_under_their_keys(study, records, tiny_joint):
    ledger = Ledger(OLD / study / "records.jsonl")
    assert len(ledger) == records
    for record in ledger:
        assert training_key(record.candidate, record.training, record.seed) == record.key
        assert tiny_joint.candidate(tiny_joint.locate_candidate(record.candidate)) == record.candidate
        assert record.accuracies
        assert record.costs == known_costs(record.architecture, CLASSES[study])


def test_answers_and_summaries_are_read_with_their_costs():
    [run] = read_study(OLD / "study").runs
    summary = yaml.safe_load((run.folder / "search.yaml").read_text())
    for rank, answer in enumerate(run.answers, start=1):
        written = yaml.safe_load(run.answer_file(rank).read_text())
        assert answer["costs"] == {"macs": written["macs"], "params": written["params"]}
        assert answer["costs"] == known_costs(answer["architecture"], 1000)
    front = [(point["macs"], point["params"]) for point in summary["front"]]
    assert [(point.costs["macs"], point.costs["params"]) for point in run.summary.front] == front
    records = read_study(OLD / "study").records
    for r in run.summary.rounds:
        assert [c.costs for c in r.candidates] == [records[c.key].costs for c in r.candidates]


@pytest.mark.parametrize(
    ("script", "study", "overrides"), [("search", "study", SEARCH), ("train", "trained", [*TRAIN, "candidate=x.yaml"])]
)
def test_the_same_settings_ask_for_the_same_trainings(script, study, overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose(script, overrides=overrides)
    settings = settings_from(config, {"search": SearchSettings, "train": TrainSettings}[script])
    identity = training_identity(open_data(settings.data), settings.protocol, settings.trainer)
    for record in Ledger(OLD / study / "records.jsonl"):
        assert training_key(record.candidate, identity, settings.seed) == record.key


@pytest.mark.slow
def test_it_opens(runs):
    run("-m", "nars.reporting", runs / "study", runs / "trained", "--output", runs / "report.html")
    page = (runs / "report.html").read_text()
    best = yaml.safe_load(next((OLD / "study").glob("answers/*/best-1.yaml")).read_text())
    assert f"{best['predicted_accuracy']:.3f}" in page
    for record in [*Ledger(OLD / "study/records.jsonl"), *Ledger(OLD / "trained/records.jsonl")]:
        assert record.key in page or record.candidate.name in page


@pytest.mark.slow
def test_it_answers_without_training(runs):
    before = files(runs / "study")
    limits = ("constraint.max_macs=2e6,1.5e6", "constraint.max_params=null,8e4")
    output = run("search.py", "-m", *SEARCH, "study=study", f"runs_dir={runs}", *limits)
    assert not re.search(r"Trained [1-9]|pretraining the predictor", output), output
    after = files(runs / "study")
    assert {name: after.get(name) for name in before} == before  # nothing of it is lost or made again
    encoders = [name for name in after if "encoder" in name]
    assert encoders == [name for name in before if "encoder" in name]
    asked = set()
    for file in (runs / "study/answers").glob("*/search.yaml"):
        constraint = yaml.safe_load(file.read_text())["settings"]["constraint"]
        best = [yaml.safe_load(path.read_text()) for path in file.parent.glob("best-*.yaml")]
        assert len(best) == 5
        assert all(answer["macs"] <= constraint["max_macs"] for answer in best)
        assert all(answer["params"] <= (constraint["max_params"] or 1e9) for answer in best)
        asked.add((constraint["max_macs"], constraint["max_params"]))
    assert asked == {(2e6, None), (2e6, 8e4), (1.5e6, None), (1.5e6, 8e4)}


def train_here(*overrides: str) -> str:
    """What `train.py` prints, without the seconds that a new process takes to import."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = settings_from(compose("train", overrides=[*overrides, "logger=none"]), TrainSettings)
    output = io.StringIO()
    work = train_candidate if settings.mode == "train" else evaluate_weights
    work(settings, Console(file=output, width=300))
    return output.getvalue()


@pytest.mark.slow
def test_what_was_trained_is_known_and_measured_again(runs):
    [candidate] = (runs / "study").glob("answers/*/best-1.yaml")
    before = files(runs / "trained")
    assert "already trained" in train_here(*TRAIN, f"candidate={candidate}", f"runs_dir={runs}")
    assert {name: files(runs / "trained").get(name) for name in before} == before
    [weights] = (runs / "trained").rglob("weights.safetensors")
    card = yaml.safe_load(weights.with_name("card.yaml").read_text())
    output = train_here("mode=evaluate", f"weights={weights}", f"runs_dir={runs}")
    top1 = float(re.search(r"top-1 accuracy ([\d.]+)", output).group(1))
    assert top1 == pytest.approx(card["top1"], abs=0.01)  # another processor may see an image or two otherwise
