"""Candidates in words, and what differs between them."""

import json

import numpy as np
import pytest
import torch

from nars.candidates import load_architecture
from nars.networks.build import build_network
from nars.reporting.facts.describe import architecture_strip, differences, differing, dimensions, duration, recipe_line
from nars.reporting.page.strip import strip_of
from nars.spaces.architecture import Architecture
from nars.spaces.candidate import JointSpace


def test_two_candidates_differ_in_exactly_the_dimensions_that_were_changed(fbnetv3_joint):
    rng = np.random.default_rng(0)
    for point in fbnetv3_joint.sample(30, seed=0):
        column = rng.integers(len(point))
        other = point.copy()
        other[column] = (point[column] + 1) % fbnetv3_joint.sizes[column]
        name = fbnetv3_joint.dimensions[column].name
        pair = [fbnetv3_joint.candidate(p).to_dict() for p in (point, other)]
        shown = differing(pair)
        assert shown[0] == name.removesuffix("_first").removesuffix("_rest")
        assert all(extra.startswith("stage5/expansion") for extra in shown[1:])  # stage 5 follows stage 4
        assert len(differences(pair[1], pair[0])) == len(shown)


def test_equal_candidates_differ_in_nothing(tiny_joint):
    candidate = tiny_joint.candidate(tiny_joint.sample(1, seed=1)[0]).to_dict()
    assert differing([candidate, candidate]) == []
    assert differences(candidate, candidate) == []


def test_other_spaces_are_described_by_their_own_keys():
    a, b = ({"architecture": {"op_1": "conv", "cells": 4}, "recipe": {"lr": lr}} for lr in (0.1, 1e-5))
    assert dimensions(a) == {"op_1": "conv", "cells": "4", "lr": "0.1"}
    assert differing([a, b]) == ["lr"]
    assert differences(b, a) == ["lr 1e-05"]
    assert strip_of(a["architecture"]) == []


def test_a_key_that_is_left_out_differs_by_its_neutral_value():
    recipe = {"lr": 0.1, "optimizer": "sgd"}
    short, long = ({"architecture": {}, "recipe": recipe | keys} for keys in ({}, {"mixup": 0.2}))
    assert differing([short, long]) == ["mixup"]
    assert differences(short, long) == ["mixup 0"]
    assert differences(long, short) == ["mixup 0.2"]
    assert "mixup" not in recipe_line(short["recipe"])


def test_a_recipe_is_said_in_short():
    recipe = {"lr": 0.03, "optimizer": "sgd", "ema": False, "stochastic_depth": 0.1, "weight_decay": 2.1e-5}
    assert recipe_line(recipe) == "sgd, lr 0.03, no ema, depth-drop 0.1, wd 2.1e-05"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2.0 h"),
        (200_000, "2.3 days"),
    ],
)
def test_durations_are_said_in_a_fitting_unit(seconds, words):
    assert duration(seconds) == words


def test_a_strip_has_a_bar_per_block_and_marks_what_differs(fbnetv3_joint):
    for point in fbnetv3_joint.sample(20, seed=2):
        architecture = fbnetv3_joint.candidate(point).architecture
        strip = strip_of(architecture, marked=["stage3/width", "lr"])
        assert [len(stage.bars) for stage in strip] == [stage["depth"] for stage in architecture["stages"]]
        assert [stage.marked for stage in strip] == [False, False, True, False, False, False, False]
        places = [bar.x for stage in strip for bar in stage.bars]
        assert places == sorted(set(places))
        widths = [stage["width"] for stage in architecture["stages"]]
        heights = [stage.bars[0].height for stage in strip]
        assert np.argsort(heights, kind="stable").tolist() == np.argsort(widths, kind="stable").tolist()


BLOCKS = {
    "resolution": 64,
    "stem_width": 16,
    "stages": [
        {"stride": 1, "blocks": [{"skip": True, "width": 16}, {"kernel": 3, "expansion": 1, "width": 16, "groups": 2}]},
        {
            "stride": 2,
            "blocks": [
                {"kernel": 5, "expansion": 4.5, "width": 64, "se": "expanded", "activation": "relu"},
                {"skip": True, "width": 64},
                {"skip": True, "width": 104},
                {"kernel": 3, "expansion": 6, "width": 104, "se": "input"},
            ],
        },
        {"width": 24, "depth": 2, "stride": 1, "kernel_first": 5, "kernel_rest": 3, "expansion_first": 4}
        | {"expansion_rest": 2, "se": False},
    ],
    "head": {"conv": 32},
}
RECIPE = {"lr": 0.1, "optimizer": "sgd"}


def test_networks_of_blocks_are_said_by_their_widths_and_layers():
    assert architecture_strip(BLOCKS) == "64px 16 | 16x1 64x1+104x2 24x2"


def test_a_strip_of_blocks_leaves_a_gap_where_nothing_is():
    first, second, third = strip_of(BLOCKS, marked=["stage2/block4"])
    assert [bar.kernel for stage in (first, second, third) for bar in stage.bars] == [3, 5, 1, 3, 5, 3]
    assert [bar.x for bar in first.bars] == [6.0]  # the first place is free
    assert np.diff([bar.x for bar in second.bars]).tolist() == [12.0, 6.0]
    assert second.bars[0].height < second.bars[1].height == second.bars[2].height
    assert [stage.marked for stage in (first, second, third)] == [False, True, False]
    assert first.words == "stage 1: skip to 16, k3 e1 g2 to 16, stride 1"
    assert second.words.startswith("stage 2: k5 e4.5 se/expanded relu to 64, skip to 64, skip to 104, k3 e6 se to 104,")
    assert third.words == "stage 3: 2 blocks of width 24, kernel 5 then 3, expansion 4 then 2, stride 1"


@pytest.mark.parametrize("name", ["fbnet_a", "fbnetv2_f1", "fbnetv3_a"])
def test_a_strip_has_a_bar_for_every_block_that_is_built(name):
    values = load_architecture(name)
    with torch.device("meta"):
        network = build_network(Architecture.from_dict(values), num_classes=2)
    convolutions = [block.conv_dw if hasattr(block, "conv_dw") else block.conv for s in network.blocks for block in s]
    if "conv" not in values["head"]:
        del convolutions[-1]  # the head's
    bars = [bar for stage in strip_of(values) for bar in stage.bars]
    assert [bar.kernel for bar in bars] == [convolution.kernel_size[0] for convolution in convolutions]


def test_blocks_that_differ_are_said_one_by_one():
    other = json.loads(json.dumps(BLOCKS))
    other["stages"][1]["blocks"][3] |= {"kernel": 5, "width": 112}
    pair = [{"architecture": architecture, "recipe": RECIPE} for architecture in (BLOCKS, other)]
    assert differing(pair) == ["stage2/block4"]
    assert differences(pair[1], pair[0]) == ["stage2/block4 112 k5 e6 se"]
    assert dimensions(pair[0])["head/conv"] == "32"


@pytest.mark.parametrize("seed", range(10))
def test_two_candidates_of_blocks_differ_where_they_were_changed(random_block_space, fbnetv3_recipes, seed):
    rng, space = np.random.default_rng(seed), JointSpace(random_block_space(seed), fbnetv3_recipes)
    for point in space.sample(10, seed):
        column = rng.integers(len(space.architecture))
        other = point.copy()
        other[column] = (point[column] + 1) % space.sizes[column]
        name = space.dimensions[column].name
        pair = [space.candidate(p).to_dict() for p in (point, other)]
        if name.endswith("/expansion") and _skips(pair[0], name):  # which has none
            assert differing(pair) == []
        else:
            assert differing(pair) in ([name], [name.rpartition("/")[0]])


def _skips(candidate: dict, name: str) -> bool:
    stage, *block = [int(part.strip("stageblock")) - 1 for part in name.split("/")[:-1]]
    stage = candidate["architecture"]["stages"][stage]
    return bool(block) and stage["blocks"][block[0]].get("skip", False)
