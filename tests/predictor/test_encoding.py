"""Steps of ordered choices: every value is told apart, neighbours differ in one step, all else stays as it is."""

import numpy as np
import pytest
import torch

from nars.predictor.encoding import MOST_STEPS, Thermometer, scaled_choices, seen_choices
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

MANY = tuple(range(MOST_STEPS + 1))
SPACE = Space(
    "mixed",
    [
        Dimension(name="width", choices=(8, 12, 24, 32)),
        Dimension(name="kernel", choices=(3, 5)),
        Dimension(name="kind", choices=("a", "b", "c")),
        Dimension(name="depth", choices=MANY),
        Dimension(name="expansion", choices=tuple(range(1, MOST_STEPS + 1))),
        Dimension(name="se", choices=(False, True)),
        Dimension(name="groups", choices=(1,)),
    ],
)
OUTPUTS = 3 + 1 + 3 + 1 + (MOST_STEPS - 1) + 2 + 1


def test_each_choice_has_as_many_steps_as_lie_below_it():
    points = np.zeros((len(SPACE), len(SPACE)), dtype=np.int16)
    width = np.array(
        [[0, *points[0, 1:]], [1, *points[0, 1:]], [2, *points[0, 1:]], [3, *points[0, 1:]]], dtype=np.int16
    )
    encode = Thermometer(scaled_choices(SPACE.columns, SPACE.specification))
    assert encode.outputs == OUTPUTS
    encoded = encode(torch.from_numpy(SPACE.encode(width)))
    assert encoded.shape == (4, OUTPUTS)
    assert encoded.dtype == torch.float32
    assert encoded[:, :3].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_other_columns_stay_as_they_are():
    x = SPACE.encode(SPACE.sample(64, 0))
    encoded = Thermometer(scaled_choices(SPACE.columns, SPACE.specification))(torch.from_numpy(x)).numpy()
    kept = [i for i, column in enumerate(SPACE.columns) if column not in ("width", "expansion")]
    ends = [3, 4, 5, 6, 7, *range(OUTPUTS - 3, OUTPUTS)]
    np.testing.assert_array_equal(encoded[:, ends], x[:, kept])


def test_choices_that_rows_hold_are_those_of_the_space():
    x = SPACE.encode(SPACE.sample(512, 0))
    for seen, told in zip(seen_choices(x), scaled_choices(SPACE.columns, SPACE.specification), strict=True):
        assert seen == pytest.approx(told)


def test_without_a_specification_nothing_becomes_steps():
    x = torch.from_numpy(SPACE.encode(SPACE.sample(8, 0)))
    assert torch.equal(Thermometer(scaled_choices(SPACE.columns, {}))(x), x)
    assert Thermometer([])(torch.zeros(5, 0)).shape == (5, 0)
