"""Keys of trainings: the same for the same training, however it is written."""

import random

import pytest

from nars.records import training_key
from nars.settings import ProtocolSettings, Recipe, parse
from nars.spaces.candidate import Candidate
from tests.records.conftest import CANDIDATE


def test_keys_are_of_candidate_training_and_seed():
    training = {"data": "digits", "protocol": {"batch_size": 16}}
    key = training_key(CANDIDATE, training, 0)
    assert key == training_key(Candidate(**CANDIDATE.to_dict()), dict(reversed(training.items())), 0)
    others = [
        training_key(Candidate(architecture={"stem_width": 18}, recipe=CANDIDATE.recipe), training, 0),
        training_key(Candidate(architecture=CANDIDATE.architecture, recipe={"lr": 0.022}), training, 0),
        training_key(CANDIDATE, training | {"data": "folder"}, 0),
        training_key(CANDIDATE, training | {"protocol": {"batch_size": 32}}, 0),
        training_key(CANDIDATE, training, 1),
    ]
    assert len({key, *others}) == 6


GOLDEN = {  # by version 0.1, of the digits in protocol=digits and seed 1; candidates are points of the tiny spaces
    "9483bbf1feab53f6": [0.02, "rmsprop", True, 0.1, 0.0, 0.2, 1e-05],
    "88e4a02116b7570c": [0.03, "sgd", False, 0.0, 0.1, 0.0, 1e-05],
    "39e63f48017c864c": [0.02, "rmsprop", False, 0.1, 0.1, 0.2, 1e-05],
}


def test_keys_stay_what_they_were(tiny_joint, conf):
    training = {"data": "7e47443a12ff9efa", "precision": "32-true"}
    protocol = parse(ProtocolSettings, conf("protocol", "digits"))
    training["protocol"] = protocol.model_dump(mode="json", exclude={"epochs"})
    for point, (key, recipe) in zip(tiny_joint.sample(3, 0), GOLDEN.items(), strict=True):
        candidate = tiny_joint.candidate(point)
        assert list(candidate.recipe.values()) == recipe
        assert training_key(candidate, training, 1) == key


@pytest.mark.parametrize("seed", range(3))
def test_a_candidate_has_one_key_however_it_is_written(tiny_joint, seed):
    """Whole numbers for others, neutral keys and None left out or not, in any order."""
    rng = random.Random(seed)

    def rewritten(values):
        if isinstance(values, list):
            return [rewritten(value) for value in values]
        if not isinstance(values, dict):
            return int(values) if isinstance(values, float) and values.is_integer() else values
        return {key: rewritten(values[key]) for key in rng.sample(list(values), len(values))}

    for candidate in map(tiny_joint.candidate, tiny_joint.sample(30, seed)):
        other = rewritten(candidate.to_dict())
        for key, neutral in Recipe.neutral().items():
            if key not in other["recipe"]:
                other["recipe"][key] = neutral
            elif other["recipe"][key] == neutral and rng.random() < 0.5:
                del other["recipe"][key]
        other["architecture"]["stages"][0]["first_padding"] = None
        assert training_key(Candidate(**other), {}, 0) == training_key(candidate, {}, 0)
        assert Candidate(**other).checked() == candidate
        other["recipe"]["dropout"] = 0.5
        assert training_key(Candidate(**other), {}, 0) != training_key(candidate, {}, 0)


def test_blocks_have_one_key_however_they_are_written():
    def key(**changes) -> str:
        block = {"width": 24, "kernel": 3, "expansion": 4.0} | changes
        whole = {"resolution": 64, "stem_width": 16, "head": {"expansion": 6, "width": 64}}
        architecture = whole | {"stages": [{"stride": 2, "blocks": [block]}]}
        return training_key(
            Candidate(architecture=architecture, recipe=Recipe(lr=0.1, optimizer="sgd").to_dict()), {}, 0
        )

    same = ({}, {"expansion": 4}, {"groups": 1}, {"skip": False}, {"se": False}, {"activation": "hswish"})
    assert len({key(**changes) for changes in same}) == 1
    assert key(expansion=4.5) != key()


def test_protocols_have_one_key_however_they_are_written(conf):
    given = conf("protocol", "digits")
    whole = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in given.items()
    }
    left_out = {key: given[key] for key in ("epochs", "batch_size")}
    defaults = parse(ProtocolSettings, left_out).model_dump(mode="json")
    for first, second in ((given, whole), (left_out, dict(reversed(defaults.items())))):
        dumps = [parse(ProtocolSettings, values).model_dump(mode="json") for values in (first, second)]
        keys = {training_key(CANDIDATE, {"protocol": protocol}, 0) for protocol in dumps}
        assert len(keys) == 1
