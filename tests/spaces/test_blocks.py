"""Stages block by block: what they say, and spaces whose blocks choose among kinds."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from nars.errors import UserError
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import Architecture, ArchitectureSpace

KINDS = {
    "k3_e1": {"kernel": 3, "expansion": 1},
    "k3_e1_g2": {"kernel": 3, "expansion": 1, "groups": 2},
    "k3_e3": {"kernel": 3, "expansion": 3},
    "k3_e6": {"kernel": 3, "expansion": 6},
    "k5_e1": {"kernel": 5, "expansion": 1},
    "k5_e1_g2": {"kernel": 5, "expansion": 1, "groups": 2},
    "k5_e3": {"kernel": 5, "expansion": 3},
    "k5_e6": {"kernel": 5, "expansion": 6},
    "skip": {"skip": True},
}
STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))  # width, n, stride


def fbnet_values() -> dict:
    """FBNetV1's space: 22 blocks, each one of nine kinds."""
    return {
        "name": "fbnet",
        "resolution": 224,
        "stem_width": 16,
        "stem_activation": "relu",
        "kinds": {name: kind | {"activation": "relu"} for name, kind in KINDS.items()},
        "stages": [
            {"stride": stride, "blocks": [{"width": width, "kind": [*KINDS]} for _ in range(n)]}
            for width, n, stride in STAGES
        ],
        "head": {"conv": 1984, "activation": "relu"},
    }


def space_of(values: dict) -> ArchitectureSpace:
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values, where="search_space"))


def small_values(**block) -> dict:
    """One block with the given keys beside its width."""
    stages = [{"stride": 1, "blocks": [{"width": 8} | block]}]
    kinds = {"a": {"kernel": 3, "expansion": 2}, "skip": {"skip": True}}
    head = {"conv": 8}
    return {"name": "small", "resolution": 32, "stem_width": 8, "kinds": kinds, "stages": stages, "head": head}


def test_fbnet_s_space_has_a_category_for_each_of_its_22_blocks():
    space = space_of(fbnet_values())
    assert space.cardinality == 9**22
    assert [d.name for d in space.dimensions][:3] == ["stage1/block1/kind", "stage2/block1/kind", "stage2/block2/kind"]
    assert space.encode(space.sample(4, 0)).shape == (4, 22 * 9)
    assert "stage2/block1/kind=k5_e1_g2" in space.columns
    point = space.sample(1, 0)[0]
    values, decoded = space.values(point), space.decode(point)
    for i, (width, n, _) in enumerate(STAGES, start=1):
        for j in range(1, n + 1):
            block = dict(decoded["stages"][i - 1]["blocks"][j - 1])
            assert block == KINDS[values[f"stage{i}/block{j}/kind"]] | {"activation": "relu", "width": width}


@pytest.mark.parametrize("name", ["fbnet_a", "fbnet_b", "fbnet_c", "fbnet_s8", "fbnet_iphonex"])
def test_fbnet_s_networks_are_points_of_its_space(conf, name):
    """But for the width of the head, of which there are two."""
    architecture = Architecture.from_dict(conf("candidates", name)["architecture"]).to_dict()
    space = space_of(fbnet_values() | {"head": architecture["head"]})
    assert space.decode(space.locate(architecture)) == architecture


def test_the_space_that_the_readme_shows_can_be_made():
    (shown,) = re.findall(r"```yaml\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)
    space = space_of({"name": "shown", "resolution": 64, "stem_width": 16} | yaml.safe_load(shown))
    assert space.cardinality == 2 * (2 * 3) * (2 * 13 * 2)
    assert [choice for d in space.dimensions if d.name.endswith("expansion") for choice in d.choices][:2] == [0.75, 1.0]


@pytest.mark.parametrize("seed", range(15))
def test_decode_and_locate_are_inverses(random_block_space, seed):
    space = random_block_space(seed)
    for point in space.sample(20, seed):
        decoded = space.decode(point)
        through_json = json.loads(json.dumps(decoded))
        assert through_json == decoded
        np.testing.assert_array_equal(space.locate(through_json), point)
        assert Architecture.from_dict(decoded) == space.architecture(point)
        assert Architecture.from_dict(decoded).to_dict() == decoded


@pytest.mark.parametrize("seed", range(5))
def test_different_points_are_different_architectures(random_block_space, seed):
    space = random_block_space(seed)
    points = np.unique(space.sample(200, seed), axis=0)
    assert len({json.dumps(space.decode(point)) for point in points}) == len(points)


def test_what_is_neutral_is_left_out_and_one_spelling_is_kept():
    """So that a key added later changes no earlier file, and 6 is the network of 6.0."""
    block = {"kernel": 3, "expansion": 6, "width": 8, "groups": 1, "se": False, "activation": "hswish", "skip": False}
    values = {
        "resolution": 32,
        "stem_width": 8,
        "stem_activation": "hswish",
        "stages": [{"stride": 1, "blocks": [block]}],
    }
    written = Architecture.from_dict(values | {"head": {"conv": 8, "activation": "hswish"}}).to_dict()
    assert written["stages"] == [{"stride": 1, "blocks": [{"kernel": 3, "expansion": 6.0, "width": 8}]}]
    assert written["head"] == {"conv": 8}
    assert "stem_activation" not in written


def test_what_a_stage_follows_must_be_what_a_stage_can_have():
    """Expansions of blocks are no whole numbers."""
    values = small_values(kernel=[3, 5], expansion=[2, 4])
    short = {"width": 8, "depth": 1, "kernel": {"same_as": "stage1/block1"}, "expansion": 2, "stride": 1, "se": False}
    values["stages"] += [short]
    space = space_of(values)
    assert [space.decode(point)["stages"][1]["kernel_first"] for point in space.sample(9, 0)] == [
        space.values(point)["stage1/block1/kernel"] for point in space.sample(9, 0)
    ]
    short["expansion"] = {"same_as": "stage1/block1"}
    with pytest.raises(UserError, match=r"^search_space small: stage2/expansion: 2.0 is not a positive whole number$"):
        space_of(values)


def test_a_block_follows_another():
    values = small_values(kind=["a", "skip"])
    values["stages"][0]["blocks"] += [{"width": [8, 16], "kind": {"same_as": "stage1/block1"}}]
    values["stages"] += [{"stride": 2, "blocks": [{"width": {"same_as": "stage1/block2"}, "kind": "a"}]}]
    space = space_of(values)
    assert [d.name for d in space.dimensions] == ["stage1/block1/kind", "stage1/block2/width"]
    for point in space.sample(20, 0):
        (first, second), (third,) = (stage["blocks"] for stage in space.decode(point)["stages"])
        assert first.get("skip") == second.get("skip")
        assert second["width"] == third["width"]
    separate = json.loads(json.dumps(values))
    separate["stages"][1]["blocks"][0]["width"] = 8
    assert space.specification != space_of(separate).specification


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kinds", {"a": {"kernel": 5, "expansion": 2}, "skip": {"skip": True}}),
        ("stem_activation", "relu"),
        ("head", {"conv": 8, "activation": "relu"}),
        ("head", {"expansion": 1, "width": 8}),
    ],
)
def test_spaces_of_other_networks_are_told_apart(key, value):
    values = small_values(kind=["a", "skip"])
    assert space_of(values).specification != space_of(values | {key: value}).specification


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"kind": "b"}, "search_space small: stage1/block1/kind: 'b' is no kind; kinds: a, skip"),
        (
            {"kind": ["a", "skip"], "kernel": 3},
            "search_space small: stage1/block1: kernel is given by kind a and",
        ),
        ({"kernel": 3}, "search_space small: stage1/block1: no expansion; give it"),
        ({"kernel": [3, 4], "expansion": 1}, "search_space small: stage1/block1.kernel: Input should be 1, 3, 5"),
        (
            {"kernel": 3, "expansion": [0, 1]},
            "search_space small: stage1/block1.expansion: Input should be greater than 0",
        ),
        (
            {"kernel": 3, "expansion": 1, "se": True},
            "search_space small: stage1/block1.se: Input should be False",
        ),
        ({"kernel": 3, "expansion": [2, 1]}, "stage1/block1/expansion: numbers must be in rising order"),
        (
            {"kernel": 3, "expansion": 1, "width": 6, "groups": [1, 4]},
            "stage1/block1: width 6 has no 4 equal groups",
        ),
        (
            {"kernel": 3, "expansion": 1, "width": [0, 8]},
            "stage1/block1.width: Input should be greater",
        ),
        (
            {"kind": "a", "width": {"same_as": "stage1/block7"}},
            "stage1/block1/width: no earlier block has",
        ),
        ({"kind": "a", "depth": 2}, "search_space.stages.0.blocks.0.depth: unknown key"),
        ({"width": None, "kind": "a"}, "search_space.stages.0.blocks.0.width: Input should be a number, text"),
    ],
)
def test_a_block_that_makes_no_sense_is_refused(block, message):
    with pytest.raises(UserError) as error:
        space_of(small_values(**block))
    assert message in str(error.value)


def test_kinds_that_are_the_same_are_refused():
    values = small_values(kind=["a", "b"])
    values["kinds"]["b"] = {"kernel": 3, "expansion": 2.0, "groups": 1}
    with pytest.raises(UserError, match="stage1/block1: kinds a and b are the same; leave one out"):
        space_of(values)
    values["kinds"] = {"a": {"kernel": 3}, "b": {"expansion": 2}}
    with pytest.raises(UserError, match="stage1/block1: no expansion; give it, or in kind a"):
        space_of(values)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            {"kernel": 3, "width": 8},
            "architecture.stages.0.blocks.0: a block that is no skip has a kernel",
        ),
        ({"kernel": 3, "expansion": 1, "width": 10, "groups": 4}, "architecture.stages.0.blocks.0: width 10 cannot be"),
        ({"kernel": 3, "expansion": 1}, "architecture.stages.0.blocks.0.width: missing, and there is no default"),
        ({"skip": True, "width": 8, "depth": 3}, "architecture.stages.0.blocks.0.depth: unknown key"),
    ],
)
def test_a_block_that_cannot_be_is_refused(block, message):
    values = {"resolution": 32, "stem_width": 8, "stages": [{"stride": 1, "blocks": [block]}], "head": {"conv": 8}}
    with pytest.raises(UserError) as error:
        Architecture.from_dict(values)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"stages": [{"stride": 2, "blocks": [{"skip": True, "width": 8}]}]},
            "cannot express stage1/stride = 2: it would be 1",
        ),
        (
            {"stages": [{"stride": 1, "blocks": [{"kernel": 7, "expansion": 2.5, "width": 8, "se": "input"}]}]},
            "cannot express stage1/block1 = k7 e2.5 se; kinds: a, skip",
        ),
        (
            {"stages": [{"stride": 1, "blocks": [{"skip": True, "width": 8}] * 2}]},
            "has stage1 of 1 blocks, given of 2 blocks",
        ),
        ({"stem_activation": "relu"}, "cannot express stem_activation = relu: it would be hswish"),
        ({"head": {"expansion": 1, "width": 8}}, "has head {'conv': 8}, given {'expansion': 1, 'width': 8}"),
        ({"head": {"conv": 16}}, "cannot express head/conv = 16: it would be 8"),
    ],
)
def test_what_a_space_of_blocks_cannot_express_is_named(change, message):
    space = space_of(small_values(kind=["a", "skip"]))
    with pytest.raises(UserError) as error:
        space.locate(space.decode(space.sample(1, 0)[0]) | change)
    assert str(error.value) == f"space small {message}"


def test_a_stage_in_short_form_is_no_stage_of_blocks(tiny):
    values = small_values(kind=["a", "skip"])
    values["stages"] *= 3
    with pytest.raises(UserError, match="space tiny has stage1 in short form, given of 1 blocks"):
        tiny.locate(space_of(values).decode(np.zeros(3, dtype=np.int16)))
