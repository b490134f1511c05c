"""`start=...` as a person gives it: trainings and searches that begin with trained weights."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from rich.console import Console
from safetensors.torch import load_file

from nars.commands.search import Search
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.errors import UserError
from nars.files import content_key, digest
from nars.methods.confirm import Reference
from nars.methods.start import check_start
from nars.methods.trainings import trainer_of
from nars.networks.architectures import architecture_of, network_of
from nars.problem import Problem
from nars.records import Ledger
from nars.settings import LoggerSettings, SearchSettings, TrainSettings
from nars.spaces.candidate import Candidate
from nars.study.answers import answer_folder
from nars.study.next_step import differing
from nars.training.weights.files import write_weights

CONF = str(Path(__file__).parents[1] / "conf")
RECIPE = {"lr": 0.03, "optimizer": "sgd", "ema": False, "weight_decay": 1e-5}
SHORT = ("protocol.epochs=1", "protocol.steps_per_epoch=1", "protocol.image_scale=1.0", "trainer.accelerator=cpu")
TINY = ("search_space=tiny", "recipe_space=tiny", "constraint=none", "constraint.max_macs=2e6", "executor.workers=1")


def settings_of(script: str, settings_class, *overrides: str):
    with initialize_config_dir(CONF, version_base="1.3"):
        return settings_from(compose(script, overrides=list(overrides)), settings_class)


@pytest.fixture
def parent(tiny, tmp_path) -> Path:
    """The weights of the largest network of the tiny space, with a card."""
    return write_parent(tiny, tmp_path / "parent")


def write_parent(tiny, folder: Path, **more) -> Path:
    architecture = tiny.decode(tiny.sizes - 1)
    torch.manual_seed(5)
    write_weights(folder / "weights.safetensors", network_of(architecture_of(architecture), num_classes=10))
    card = {"architecture": architecture, "recipe": RECIPE, "classes": [str(i) for i in range(10)], "num_classes": 10}
    card |= {"mean": [0.25] * 3, "std": [0.5] * 3, **more}
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    return folder / "weights.safetensors"


@pytest.fixture
def train(tmp_path):
    """A function: what `train.py` prints, and its folder."""

    def train(*overrides: str) -> tuple[str, Path]:
        settings = settings_of("train", TrainSettings, *SHORT, f"runs_dir={tmp_path}", "logger=none", *overrides)
        output = io.StringIO()
        folder = train_candidate(settings, Console(file=output, width=300))
        return output.getvalue(), folder

    return train


def test_a_trained_network_is_adapted(train, parent, tmp_path):
    """Its network, recipe, mean and std are those of the parent's card; what was trained is in the key."""
    output, folder = train("start=linear_probe", f"start.weights={parent}", "data.shots=5")
    assert f"start     {parent}, of the same network, the trunk frozen" in output
    taken = len(load_file(parent))
    assert f"begins with {parent}: {taken} tensors taken\n" in output
    assert "50 images to train on" in output
    card = yaml.safe_load((folder / "card.yaml").read_text())
    known = yaml.safe_load(parent.with_name("card.yaml").read_text())
    assert (card["architecture"], card["recipe"]["lr"]) == (known["architecture"], 0.03)
    assert (card["mean"], card["std"], card["shots"]) == ([0.25] * 3, [0.5] * 3, 5)
    [record] = Ledger(tmp_path / "trained" / "records.jsonl")
    assert record.training["start"] == {
        "weights": digest(parent),
        "inherit": "exact",
        "freeze": "trunk",
        "freeze_epochs": None,
        "layer_decay": 1.0,
        "head_lr_multiplier": 1.0,
        "norm": "train",
        "mean": [0.25] * 3,
        "std": [0.5] * 3,
        "card": content_key([None, [str(i) for i in range(10)]]),
    }
    before, after = load_file(parent), load_file(folder / "weights.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    again, same = train("start=finetune", f"start.weights={parent}", "start.freeze=trunk", "data.shots=5")
    assert same == folder
    assert again.startswith("already trained")


def test_other_weights_are_another_training(train, tiny, parent, tmp_path):
    given = ("start=finetune", f"start.weights={parent}", "data.shots=2")
    _, first = train(*given)
    torch.manual_seed(6)
    write_weights(parent, network_of(architecture_of(tiny.decode(tiny.sizes - 1)), num_classes=10))
    _, second = train(*given)
    _, third = train(*given, "start.head_lr_multiplier=2")
    _, scratch = train(f"candidate={parent.with_name('card.yaml')}", "data.shots=2")
    write_parent(tiny, parent.parent, classes=[str(i) for i in range(1, 11)])  # so its classifier is not taken
    _, fourth = train(*given)
    assert len({first, second, third, fourth, scratch}) == 5
    records = Ledger(tmp_path / "trained" / "records.jsonl")
    assert ["start" in record.training for record in records] == [True, True, True, False, True]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("start=finetune", "start.weights=/none.safetensors"), "start.weights=/none.safetensors: no such file"),
        (("start.weights=x",), "start: nothing is begun with; give start=finetune, linear_probe or inherit"),
        (("start=linear_probe",), "start: linear_probe begins with trained weights: start.weights=..."),
        (("start=finetune", "start.weights={alone}"), "has no card.yaml beside it: say whose they are: candidate=..."),
        (("start=finetune", "start.weights=x", "start.freeze_epochs=1"), "start: freeze_epochs, but nothing is frozen"),
        (
            ("start=finetune", "start.weights={parent}", "candidate=fbnetv3_a"),
            "of another network: conv_stem.weight is",
        ),
        (("start=inherit", "start.weights={parent}", "candidate=fbnetv3_a"), "3 stages and the head Head there, 7 and"),
        (("start=finetune", "start.weights={parent}", "start.freeze=7"), "start.freeze=7: this network has 4 stages"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(train, parent, tmp_path, overrides, message):
    (alone := tmp_path / "alone.safetensors").write_bytes(parent.read_bytes())
    with pytest.raises(UserError) as error:
        train(*(override.format(parent=parent, alone=alone) for override in overrides))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def search_settings(tmp_path, parent):
    """A function: the settings of a search of the tiny space that begins with slices of the parent."""

    def make(*overrides: str) -> SearchSettings:
        start = () if "start=none" in overrides else ("start=inherit", f"start.weights={parent}")
        given = (*TINY, *SHORT, *start, f"runs_dir={tmp_path}", "reference=none")
        keys = {override.split("=")[0] for override in overrides}
        return settings_of("search", SearchSettings, *(o for o in given if o.split("=")[0] not in keys), *overrides)

    return make


def test_all_candidates_of_a_search_begin_so(search_settings, parent, fbnetv3, tiny_joint):
    """And the reference where it can: one of other stages begins with nothing, under the key that it always has."""
    settings = search_settings()
    problem, watch = Problem.of(settings), SimpleNamespace(logger=LoggerSettings(), progress=None)
    candidate = tiny_joint.candidate(tiny_joint.sample(1, 0)[0])
    other = Candidate(architecture={"timm": "test_resnet", "resolution": 32}, recipe=candidate.recipe)
    reference = Reference(name="timm:test_resnet", candidate=other, costs={"macs": 1.0, "params": 1.0})
    trainer = trainer_of(settings, problem, watch, None, reference)
    plain = trainer_of(search_settings("start=none"), problem, watch, None, reference)
    job = trainer.job(candidate, 1)
    assert job.start.weights == str(parent)
    assert job.training["start"]["inherit"] == "sliced"
    assert job.start.architecture == yaml.safe_load(parent.with_name("card.yaml").read_text())["architecture"]
    assert job.key != plain.key(candidate)
    assert "start" not in plain.job(candidate, 1).training
    assert trainer.job(other, 1).start is None
    assert trainer.key(other) == plain.key(other)


def test_an_answer_is_of_the_weights_that_it_began_with(search_settings, tiny, parent):
    first, neutral = answer_folder(search_settings()), answer_folder(search_settings("start=none"))
    moved = write_parent(tiny, parent.parent.with_name("elsewhere"))
    assert answer_folder(search_settings(f"start.weights={moved}")) == first
    torch.manual_seed(8)
    write_weights(parent, network_of(architecture_of(tiny.decode(tiny.sizes - 1)), num_classes=10))
    assert len({answer_folder(search_settings()), first, neutral}) == 3


def test_the_next_command_begins_so_too(search_settings, parent):
    words = differing("train", search_settings("start.norm=frozen", "data.shots=3").model_dump(mode="json"))
    assert [word for word in words if word.startswith(("start", "data"))] == [
        "start=inherit",
        f"start.weights={parent}",
        "start.norm=frozen",
        "data.shots=3",
    ]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("start.inherit=exact",),
            "start.inherit=exact: the weights are of one network, and search_space=tiny holds many",
        ),
        (("search_space=fbnetv3",), "3 stages and the head Head there, 7 and Head here"),
        (
            ("search_space=fbnetv3_micro", "start.inherit=matching", "start.freeze=1"),
            "start.freeze=1: the weights do not",
        ),
    ],
)
def test_a_search_that_cannot_begin_so_says_it_before_it_trains(search_settings, overrides, message):
    settings = search_settings(*overrides)
    with pytest.raises(UserError) as error:
        check_start(settings, Problem.of(settings))
    assert message in str(error.value)


@pytest.mark.slow
def test_a_search_from_slices_trains_and_goes_on(search_settings, tmp_path):
    given = ("strategy.rounds=1", "strategy.batch=2", "strategy.pool_size=50", "predictor.pretrain.pool_size=200")
    given += ("predictor.pretrain.epochs=1", "predictor.members=1", "strategy.window.min_macs=null", "confirm.pairs=0")
    given += ("evolution.max_generations=1", "predictor.fit.process_steps=1", "strategy.window.max_macs=null")
    for _ in range(2):
        output = io.StringIO()
        Search(settings=search_settings(*given), console=Console(file=output, width=300)).run()
        assert "Trained 2 candidates" in output.getvalue()
        lines = (tmp_path / "digits" / "records.jsonl").read_text().splitlines()
        assert [json.loads(line)["training"]["start"]["inherit"] for line in lines] == ["sliced"] * 2
