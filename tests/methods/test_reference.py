"""The network that an answer is compared with: which one, on which images, trained as the pairs that confirm it."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from nars.configuration import settings_from
from nars.errors import UserError
from nars.methods.exploration import exploration_key
from nars.methods.nars import NarsMethod
from nars.methods.reference import open_reference
from nars.problem import Problem
from nars.settings import SearchSettings
from nars.study.answers import answer_folder

CONF = Path(__file__).parents[2] / "conf"


def settings_of(*overrides: str) -> SearchSettings:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from(compose("search", overrides=list(overrides)), SearchSettings)


def reference_of(*overrides: str):
    settings = settings_of(*overrides)
    return open_reference(settings, Problem.of(settings))


def test_by_default_it_is_the_smallest_released_network_as_published():
    known = yaml.safe_load((CONF / "candidates" / "fbnetv3_a.yaml").read_text())
    reference = reference_of("constraint.num_classes=1000")
    assert reference.name == "fbnetv3_a"
    assert reference.candidate.architecture == known["architecture"]
    middle = yaml.safe_load((CONF / "recipe" / "middle.yaml").read_text())
    assert {key: reference.candidate.recipe[key] for key in middle} == middle
    assert reference.costs["macs"] == pytest.approx(356.6e6, rel=0.01)
    assert reference.costs["params"] == pytest.approx(8.54e6, rel=0.01)
    assert reference_of("constraint.num_classes=10").costs["params"] < 7e6  # counts what the search counts


def test_its_images_are_those_of_the_space():
    tiny = reference_of("search_space=tiny", "reference=timm:resnet18")
    assert tiny.candidate.architecture == {"timm": "resnet18", "resolution": 48}  # of 32, 40 and 48
    whole = reference_of("reference=timm:resnet18")
    assert whole.candidate.architecture["resolution"] == 224
    assert tiny.costs["macs"] < whole.costs["macs"] / 15


@pytest.mark.parametrize("given", ["none", "null"])
def test_there_may_be_none(given):
    assert reference_of(f"reference={given}") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("fbnetv3_h", "reference=fbnetv3_h: no such file; give a best-N.yaml"),
        ("timm:resnet19", "reference=timm:resnet19"),
    ],
)
def test_it_is_checked_before_anything_is_trained(given, said):
    settings = settings_of("search_space=tiny", "strategy.window.max_macs=4e6", f"reference={given}")
    with pytest.raises(UserError, match=said):
        NarsMethod(settings, Problem.of(settings), watch=None).check()


def test_it_decides_what_is_answered_where_pairs_are_confirmed_and_nothing_of_the_rounds():
    with_one, without = settings_of(), settings_of("reference=none")
    assert answer_folder(with_one) != answer_folder(without)
    assert exploration_key(with_one) == exploration_key(without)
    with_one, without = settings_of("confirm.pairs=0"), settings_of("confirm.pairs=0", "reference=none")
    assert answer_folder(with_one) == answer_folder(without)
    settings = settings_of("confirm.pairs=0")
    assert NarsMethod(settings, Problem.of(settings), watch=None).reference is None
