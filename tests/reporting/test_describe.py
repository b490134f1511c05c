"""Candidates in words, and what differs between them."""

import numpy as np
import pytest

from nars.reporting.facts.describe import differences, differing, dimensions, duration, recipe_line
from nars.reporting.page.strip import strip_of


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
