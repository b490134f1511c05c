"""Candidates: one content, one name, however it was written."""

import pytest

from nars.errors import UserError
from nars.spaces.candidate import Candidate, JointSpace


@pytest.fixture
def values(tiny_joint):
    return tiny_joint.candidate(tiny_joint.sample(1, 0)[0]).to_dict()


def test_dicts_are_inverted_and_parts_must_be_there(values):
    candidate = Candidate.from_dict(values)
    assert candidate.to_dict() == values
    for part in ("architecture", "recipe"):
        for wrong in (None, 3, [1]):
            with pytest.raises(UserError) as error:
                Candidate.from_dict(values | {part: wrong}, where="best.yaml")
            assert str(error.value) == f"best.yaml: no {part}; a candidate has an architecture and a recipe"


def test_a_checked_candidate_is_written_in_one_way(values):
    candidate = Candidate.from_dict(values)
    assert candidate.checked() == candidate
    other = {
        "architecture": dict(reversed(values["architecture"].items())),
        "recipe": {key: int(value) if value == 0 else value for key, value in reversed(values["recipe"].items())},
    }
    checked = Candidate.from_dict(other).checked()
    assert checked.name == candidate.name
    assert list(checked.recipe) == list(candidate.recipe)
    assert all(type(checked.recipe[key]) is type(value) for key, value in candidate.recipe.items())
    foreign = Candidate(architecture={"timm": "resnet18", "resolution": 224}, recipe={"rate": 1})
    assert foreign.checked() == foreign
    with pytest.raises(UserError, match="lr"):
        Candidate(architecture=foreign.architecture, recipe=values["recipe"] | {"lr": -1.0}).checked()
    with pytest.raises(UserError, match="resolution"):
        Candidate(architecture=values["architecture"] | {"resolution": "big"}, recipe=values["recipe"]).checked()


def test_names_differ_with_the_content(values):
    candidate = Candidate.from_dict(values)
    other = Candidate(architecture=candidate.architecture, recipe=candidate.recipe | {"lr": 0.123})
    assert len(candidate.name) == 8
    assert int(candidate.name, 16) >= 0
    assert candidate.name != other.name


def test_a_joint_space_has_one_dimension_of_a_name(tiny, tiny_recipes):
    with pytest.raises(UserError, match="architecture and recipe space both have a dimension dropout"):
        JointSpace(tiny_recipes, tiny_recipes)
    assert JointSpace(tiny, tiny_recipes).name == "tiny+tiny"
