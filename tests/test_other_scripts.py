"""`train.py` and `pretrain_predictor.py` as a person runs them."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from nars.networks.build import build_network
from nars.spaces.architecture import Architecture

ROOT = Path(__file__).parents[1]
STAGE = {"stride": 2, "kernel_first": 3, "kernel_rest": 3, "expansion_first": 2, "expansion_rest": 2, "se": True}
CANDIDATE = {
    "architecture": {
        "resolution": 40,
        "stem_width": 12,
        "stages": [STAGE | {"width": 20, "depth": 2}, STAGE | {"width": 28, "depth": 1, "stride": 1}],
        "head": {"expansion": 2, "width": 32},
    },
    "recipe": {
        "lr": 0.03,
        "optimizer": "sgd",
        "ema": True,
        "dropout": 0.1,
        "stochastic_depth": 0.1,
        "mixup": 0.1,
        "weight_decay": 1e-5,
    },
    "predicted_accuracy": 0.5,
}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.fixture
def candidate_file(tmp_path) -> Path:
    file = tmp_path / "best-1.yaml"
    file.write_text(yaml.safe_dump(CANDIDATE))
    return file


def test_train_writes_weights_of_the_given_candidate_and_recipe(candidate_file, tmp_path):
    done = run(
        "train.py",
        f"candidate={candidate_file}",
        "recipe.optimizer=rmsprop",
        f"runs_dir={tmp_path}",
        "protocol.epochs=2",
        "protocol.steps_per_epoch=4",
        "protocol.image_scale=1.0",
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2: accuracy" in done.stdout
    weights = next(tmp_path.rglob("weights.safetensors"))
    kept = yaml.safe_load(weights.with_name("candidate.yaml").read_text())
    assert kept["recipe"] == CANDIDATE["recipe"] | {"optimizer": "rmsprop"}
    network = build_network(Architecture.from_dict(kept["architecture"]), num_classes=10)
    network.load_state_dict(load_file(weights))
    assert kept["params"] == sum(p.numel() for p in network.parameters())
    assert weights.with_name("metrics.csv").read_text().count("\n") == 3


def test_train_names_what_is_wrong_with_a_candidate(candidate_file, tmp_path):
    broken = yaml.safe_load(candidate_file.read_text())
    broken["recipe"]["optimizer"] = "adam"
    candidate_file.write_text(yaml.safe_dump(broken))
    done = run("train.py", f"candidate={candidate_file}", f"runs_dir={tmp_path}")
    assert done.returncode == 2
    assert f"{candidate_file}: recipe.optimizer: Input should be 'rmsprop' or 'sgd', given 'adam'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_pretraining_says_how_good_it_is_and_is_found_again(tmp_path):
    arguments = ("search_space=tiny", "recipe_space=tiny", f"runs_dir={tmp_path}", "predictor.pretrain.pool_size=1000")
    first = run("pretrain_predictor.py", *arguments, f"output={tmp_path / 'mine.safetensors'}")
    assert first.returncode == 0, first.stderr
    assert "macs: Kendall tau" in first.stdout
    assert (tmp_path / "mine.safetensors").exists()
    again = run("pretrain_predictor.py", *arguments)
    assert "already pretrained" in again.stdout
