"""Candidates by name: files that people write, networks of timm, and what is said of wrong ones."""

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from nars.candidates import load_architecture, load_candidate, predicted_accuracy
from nars.errors import UserError
from nars.files import NumberLoader
from nars.networks.architectures import architecture_of
from nars.networks.timm_models import build_timm_network
from nars.settings import Recipe
from nars.training.weights.card import read_card, write_card

RECIPE = {"lr": 0.03, "optimizer": "sgd", "weight_decay": 1e-5}
NUMBERS = [
    "1e-5",
    "1E-5",
    "-1e5",
    "+1e3",
    "1.e-5",
    "1.0e-5",
    "1.5e3",
    "2e+10",
    "1_0e-1",
    "0.5",
    ".5",
    "12",
    "010",
    "1.",
    "-3",
]
TEXTS = ["e5", "1e", "1e5x", "x1e5", "1e-", "1e5.0", "'1e5'"]


@pytest.mark.parametrize("text", NUMBERS + TEXTS)
def test_numbers_are_read_as_in_configuration_files(text):
    value = yaml.load(f"a: {text}\nb: [{text}]", Loader=NumberLoader)
    expected = OmegaConf.to_container(OmegaConf.create(f"a: {text}\nb: [{text}]"))
    assert value == expected
    assert type(value["a"]) is type(expected["a"])


def test_a_recipe_may_be_written_by_hand(tmp_path):
    file = tmp_path / "mine.yaml"
    architecture = yaml.safe_dump({"architecture": load_architecture("fbnetv3_a")})
    file.write_text(
        f"{architecture}# für mich\nrecipe: {{lr: 3e-2, optimizer: sgd, weight_decay: 1e-5}}\n"
        "predicted_accuracy: 9e-1\n"
    )
    recipe = load_candidate(str(file)).recipe
    assert (recipe["lr"], recipe["weight_decay"]) == (0.03, 1e-5)
    assert predicted_accuracy(str(file)) == 0.9


def test_a_class_may_have_the_name_of_a_number(tmp_path):
    card = {"classes": ["1e5", "12", "null", "é"], "top1": 0.5, "load": "x"}
    write_card(tmp_path / "weights.safetensors", card)
    assert read_card(tmp_path / "weights.safetensors") == card


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18.no_such_tag", "timm has no tag no_such_tag of resnet18; its tags: a1_in1k, a2_in1k"),
        ("resnet18.", "timm has no tag  of resnet18; its tags: a1_in1k"),
        ("resnet18.a1_in1k.b", "timm has no tag a1_in1k.b of resnet18"),
        ("test_resnet.x", "its tags: r160_in1k"),
        ("resnet_18", "timm has no model resnet_18; similar: resnet18"),
        ("resnet_18.a1_in1k", "timm has no model resnet_18.a1_in1k; similar: "),
        ("RESNET18", "timm has no model RESNET18; similar: resnet18"),
        ("", "timm has no model "),
        (".a1_in1k", "timm has no model .a1_in1k"),
        ("hf-hub:timm/resnet18", "timm has no model hf-hub:timm/resnet18"),
        ("tv_resnet50", "timm calls this model resnet50.tv_in1k now"),
    ],
)
def test_a_wrong_name_of_timm_is_one_line_that_says_what_there_is(name, words):
    for wrong in (
        lambda: load_candidate(f"timm:{name}", RECIPE),
        lambda: architecture_of({"timm": name, "resolution": 224}),
    ):
        with pytest.raises(UserError) as error:
            wrong()
        assert words in str(error.value)
        assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "classes", "recipe", "words"),
    [
        (
            "mobilenetv5_300m_enc",
            10,
            {},
            "timm:mobilenetv5_300m_enc has no classifier, so it cannot tell 10 classes apart",
        ),
        ("vgg11", 10, {"stochastic_depth": 0.1}, "timm:vgg11 has no stochastic depth; set recipe.stochastic_depth=0.0"),
        (
            "test_resnet",
            10**18,
            {},
            "timm:test_resnet cannot be built with 1000000000000000000 classes (RuntimeError: ",
        ),
    ],
)
def test_a_network_that_timm_cannot_build_is_one_line(name, classes, recipe, words):
    architecture = architecture_of({"timm": name, "resolution": 224})
    with pytest.raises(UserError) as error, torch.device("meta"):
        build_timm_network(architecture, num_classes=classes, recipe=Recipe.model_construct(**RECIPE | recipe))
    assert str(error.value).startswith(words)
    assert len(str(error.value).splitlines()) == 1
