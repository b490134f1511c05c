"""Recipe spaces, and candidates of joint spaces."""

import json
import math

import numpy as np
import pytest

from nars.errors import UserError
from nars.files import content_key
from nars.reporting.facts.describe import recipe_line
from nars.settings import RecipeSpaceSettings, parse
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.recipe import Recipe, recipe_space


def test_fbnetv3_has_the_published_number_of_recipes(fbnetv3_recipes):
    """11 lr, 2 optimizers, EMA, 31 dropout, 22 stochastic depth, 42 mixup, 15 weight decay."""
    assert fbnetv3_recipes.sizes.tolist() == [11, 2, 2, 31, 22, 42, 15]
    assert fbnetv3_recipes.cardinality == 11 * 2 * 2 * 31 * 22 * 42 * 15
    assert f"{fbnetv3_recipes.cardinality:.1e}" == "1.9e+07"


def test_values_are_the_decimal_numbers_to_the_bit(fbnetv3_recipes):
    choices = {d.name: d.choices for d in fbnetv3_recipes.dimensions}
    assert choices["lr"] == (0.02, 0.021, 0.022, 0.023, 0.024, 0.025, 0.026, 0.027, 0.028, 0.029, 0.03)
    assert choices["dropout"] == tuple(float(f"{n}e-2") for n in range(1, 32))
    assert choices["stochastic_depth"] == tuple(float(f"{n}e-2") for n in range(10, 32))
    assert choices["mixup"] == tuple(float(f"{n}e-2") for n in range(42))
    assert choices["weight_decay"] == tuple(float(f"{n}e-6") for n in range(7, 22))
    assert choices["optimizer"] == ("rmsprop", "sgd")
    assert choices["ema"] == (True, False)


@pytest.mark.parametrize("seed", range(5))
def test_candidates_come_back_exactly_from_json(joint, seed):
    names = set()
    points = joint.sample(60, seed)
    for point in points:
        candidate = joint.candidate(point)
        back = Candidate.from_dict(json.loads(json.dumps(candidate.to_dict())))
        assert back == candidate
        assert back.name == candidate.name
        located = joint.locate_candidate(back)
        assert located.dtype == np.int16
        np.testing.assert_array_equal(located, point)
        assert Recipe.from_dict(back.recipe).to_dict() == candidate.recipe
        names.add(candidate.name)
    assert len(names) == len(np.unique(points, axis=0))


def test_joint_spaces_put_architectures_first(joint):
    points = joint.sample(20, 0)
    architectures, recipes = joint.split(points)
    assert architectures.shape[1] == len(joint.architecture)
    assert recipes.shape[1] == len(joint.recipe)
    assert joint.columns == joint.architecture.columns + joint.recipe.columns
    assert joint.cardinality == joint.architecture.cardinality * joint.recipe.cardinality
    parts = [joint.architecture.encode(architectures), joint.recipe.encode(recipes)]
    np.testing.assert_array_equal(joint.encode(points), np.concatenate(parts, axis=1))


def test_keys_that_a_space_leaves_out_are_neutral(conf, tiny):
    whole = conf("recipe_space", "tiny")
    settings = parse(RecipeSpaceSettings, {key: whole[key] for key in ("name", *Recipe.required(), "dropout")})
    assert set(settings.model_dump(mode="json")) == {"name", *Recipe.required(), "dropout"}  # answers are named by it
    space = recipe_space(settings)
    assert {d.name for d in space.dimensions} == {*Recipe.required(), "dropout"}
    searched = recipe_space(parse(RecipeSpaceSettings, whole))
    for point in space.sample(20, 0):
        recipe = space.decode(point)
        assert Recipe.neutral() | recipe == Recipe.neutral() | space.values(point)
        np.testing.assert_array_equal(space.locate(recipe), point)
        np.testing.assert_array_equal(space.locate(space.values(point)), point)
        with pytest.raises(UserError, match=r"space tiny cannot express mixup = 0.2: it has no such key"):
            space.locate(recipe | {"mixup": 0.2})
        # What both spaces can express is one recipe, and one candidate.
        other = searched.values(searched.sample(1, 0)[0]) | {"mixup": 0.0, "stochastic_depth": 0.0, "ema": False}
        other |= space.values(point)
        assert searched.decode(searched.point(other)) == recipe | {"weight_decay": 1e-5}


def test_a_key_that_came_later_is_written_only_where_it_does_something(conf):
    values = conf("recipe_space", "tiny")
    old = recipe_space(parse(RecipeSpaceSettings, values))
    new = recipe_space(parse(RecipeSpaceSettings, values | {"cutmix": {"low": 0, "high": 10, "unit": 0.1}}))
    assert new.dimensions[-1].choices == tuple(n / 10 for n in range(11))
    assert new.cardinality == 11 * old.cardinality
    for point in new.sample(30, 0):
        recipe, cutmix = new.decode(point), new.values(point)["cutmix"]
        assert ("cutmix" in recipe) == (cutmix > 0)
        assert ("cutmix" in recipe_line(recipe)) == (cutmix > 0)
        assert Recipe.from_dict(recipe).cutmix == cutmix
        np.testing.assert_array_equal(new.locate(recipe), point)
        assert old.decode(point[:-1]) == {key: value for key, value in recipe.items() if key != "cutmix"}
        if cutmix:
            with pytest.raises(UserError, match="space tiny cannot express cutmix = "):
                old.locate(recipe)
        else:
            np.testing.assert_array_equal(old.locate(recipe), point[:-1])


@pytest.mark.parametrize("key", Recipe.required())
def test_a_space_cannot_leave_out_a_key_without_a_neutral_value(conf, key):
    values = conf("recipe_space", "tiny")
    del values[key]
    with pytest.raises(UserError, match=rf"recipe_space\.{key}: missing, and there is no default"):
        parse(RecipeSpaceSettings, values, where="recipe_space")


def test_whole_numbers_of_a_space_are_the_numbers_of_its_recipes(conf):
    values = conf("recipe_space", "tiny") | {"mixup": {"low": 0, "high": 2}, "dropout": [0, 0.1], "weight_decay": 0}
    space = recipe_space(parse(RecipeSpaceSettings, values))
    spoken = json.dumps(space.specification)
    assert '"mixup": [0.0, 1.0, 2.0], "weight_decay": [0.0]' in spoken
    assert '"dropout": [0.0, 0.1]' in spoken


def test_dimensions_of_one_name_cannot_be_joined(tiny_recipes):
    with pytest.raises(UserError, match="architecture and recipe space both have a dimension dropout"):
        JointSpace(tiny_recipes, tiny_recipes)


def test_keys_are_of_the_content(tiny_joint):
    content = tiny_joint.candidate(tiny_joint.sample(1, 0)[0]).to_dict()
    backwards = {
        part: dict(reversed(values.items())) if isinstance(values, dict) else values
        for part, values in reversed(content.items())
    }
    assert content_key(backwards) == content_key(content)
    changed = json.loads(json.dumps(content))
    changed["recipe"]["lr"] = math.nextafter(changed["recipe"]["lr"], 1)
    assert content_key(changed) != content_key(content)
    assert len(content_key(content)) == 16


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("optimizer", ["rmsprop", "adam"], "recipe_space tiny.optimizer: "),
        ("dropout", [0.5, 1.0], "recipe_space tiny.dropout: Input should be less than 1, given 1.0"),
        ("lr", {"low": 0, "high": 2}, "recipe_space tiny.lr: Input should be greater than 0, given 0"),
        ("ema", ["on", "off"], "recipe_space tiny.ema: Input should be a valid boolean, given 'on'"),
        ("weight_decay", [n * 1e-7 for n in range(32_768)], "weight_decay: 32,768 choices; a dimension has at most"),
        ("mixup", [-0.1, 0.1], "recipe_space tiny.mixup: Input should be greater than or equal to 0, given -0.1"),
    ],
)
def test_values_that_no_recipe_has_are_refused(conf, key, value, message):
    with pytest.raises(UserError) as error:
        recipe_space(parse(RecipeSpaceSettings, conf("recipe_space", "tiny") | {key: value}))
    assert str(error.value).startswith(message)


def test_a_recipe_key_has_no_stages_to_share_with(conf):
    with pytest.raises(UserError, match=r"recipe_space\.lr\.same_as: unknown key"):
        parse(RecipeSpaceSettings, conf("recipe_space", "tiny") | {"lr": {"same_as": "stage1"}}, where="recipe_space")


@pytest.mark.parametrize("part", ["architecture", "recipe"])
def test_a_candidate_without_a_part_is_refused(tiny_joint, part):
    values = tiny_joint.candidate(tiny_joint.sample(1, 0)[0]).to_dict()
    with pytest.raises(UserError, match=f"some file: no {part}; a candidate has an architecture and a recipe"):
        Candidate.from_dict({k: v for k, v in values.items() if k != part}, where="some file")
