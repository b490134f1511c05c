"""Spaces of any kind: sampling, encoding, points and values."""

import numpy as np
import pytest

from nars.errors import UserError
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

SEEDS = range(20)


def space_of(*choices: tuple, name: str = "made") -> Space:
    return Space(name, [Dimension(name=f"d{i}", choices=c) for i, c in enumerate(choices)])


def random_space(seed: int) -> Space:
    """Numbers, strings and booleans in random order and number."""
    rng = np.random.default_rng(seed)
    kinds = (
        lambda: tuple(np.unique(rng.integers(-50, 50, size=rng.integers(1, 12))).tolist()),
        lambda: tuple(np.unique(rng.normal(size=rng.integers(2, 9)).round(3)).tolist()),
        lambda: tuple(f"option{i}" for i in range(rng.integers(2, 6))),
        lambda: (True, False),
    )
    return space_of(*(kinds[rng.integers(len(kinds))]() for _ in range(rng.integers(1, 9))))


@pytest.mark.parametrize("seed", SEEDS)
def test_sampling_is_a_matter_of_the_seed_and_skips_like_slicing(joint, seed):
    points = joint.sample(300, seed)
    assert points.shape == (300, len(joint))
    assert points.dtype == np.int16
    assert ((points >= 0) & (points < joint.sizes)).all()
    np.testing.assert_array_equal(points, joint.sample(300, seed))
    for skip in (1, 64, 255):
        np.testing.assert_array_equal(points[skip:], joint.sample(300 - skip, seed, skip=skip))
    assert (points != joint.sample(300, seed + 1)).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_samples_are_spread_evenly(joint, seed):
    """Sobol': of 2^k points every choice gets its share, give or take less than two. Random points would not."""
    points = joint.sample(1024, seed)
    for column, size in zip(points.T, joint.sizes, strict=True):
        counts = np.bincount(column, minlength=size)
        assert np.abs(counts - 1024 / size).max() < 2


def test_seed_reads_the_global_generators_as_little_as_it_writes_them(tiny_joint):
    before = tiny_joint.sample(50, 3)
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    np.testing.assert_array_equal(tiny_joint.sample(50, 3), before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("seed", SEEDS)
def test_encoding_is_scaled_numbers_and_one_hot_categories(seed):
    space = random_space(seed)
    points = space.sample(200, seed)
    features = space.encode(points)
    assert features.dtype == np.float32
    assert features.shape == (200, len(space.columns))
    assert len(set(space.columns)) == len(space.columns)
    for point, row in zip(points, features, strict=True):
        expected = {}
        for name, value in space.values(point).items():
            dimension = space.dimensions[space.position(name)]
            if isinstance(value, str | bool):
                expected |= {f"{name}={choice}": float(choice == value) for choice in dimension.choices}
            else:
                low, high = min(dimension.choices), max(dimension.choices)
                expected[name] = (value - low) / (high - low) if high > low else 0.0
        assert dict(zip(space.columns, row.tolist(), strict=True)) == pytest.approx(expected, abs=1e-6)


def test_shipped_encodings_span_zero_to_one(joint):
    features = joint.encode(np.stack([np.zeros(len(joint), dtype=np.int16), joint.sizes - 1]))
    for name, column in zip(joint.columns, features.T, strict=True):
        fixed = len(joint.dimensions[joint.position(name)].choices) == 1 if "=" not in name else False
        assert fixed or set(column.tolist()) == {0.0, 1.0}


def test_different_points_have_different_features(joint):
    points = np.unique(joint.sample(2000, 5), axis=0)
    assert len(np.unique(joint.encode(points), axis=0)) == len(points)


def test_an_empty_batch_has_columns(joint):
    assert joint.encode(joint.sample(8, 0)[:0]).shape == (0, len(joint.columns))


@pytest.mark.parametrize("seed", SEEDS)
def test_values_and_points_are_inverses(seed):
    space = random_space(seed)
    for point in space.sample(50, seed):
        values = space.values(point)
        back = space.point(values)
        assert back.dtype == np.int16
        np.testing.assert_array_equal(back, point)
        np.testing.assert_array_equal(space.locate(space.decode(point)), point)
        assert space.values(back) == values


def test_values_are_plain(joint):
    """What goes to JSON and YAML must not be numpy's."""
    for value in joint.values(joint.sample(1, 0)[0]).values():
        assert type(value) in (bool, int, float, str)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"d0": 2, "d1": "a"}, "space made: d0: 2 is not offered; allowed: 1, 3, 5"),
        ({"d0": 3, "d1": "z"}, "space made: d1: 'z' is not offered; allowed: a, b"),
        ({"d0": True, "d1": "a"}, "space made: d0: True is not offered; allowed: 1, 3, 5"),
        ({"d0": 3, "d1": "a", "d2": 1}, "space made has no dimension d2; it has d0, d1"),
        ({"d0": 3}, "space made: no value for d1"),
    ],
)
def test_what_is_not_offered_is_named(values, message):
    with pytest.raises(UserError) as error:
        space_of((1, 3, 5), ("a", "b")).point(values)
    assert str(error.value) == message


def test_a_boolean_is_not_a_number():
    space = space_of((False, True))
    assert space.columns == ("d0=False", "d0=True")
    with pytest.raises(UserError, match="d0: 1 is not offered"):
        space.point({"d0": 1})


@pytest.mark.parametrize(
    ("choices", "message"),
    [((1, 2, 2), "d0: choices repeat"), ((3, 2), "d0: numbers must be in rising order, given [3, 2]")],
)
def test_impossible_choices_are_refused(choices, message):
    with pytest.raises(UserError) as error:
        space_of(choices)
    assert message in str(error.value)


def test_a_dimension_has_as_many_choices_as_points_can_count():
    space = space_of(tuple(range(32_767)))
    last = space.point({"d0": 32_766})
    assert (last.tolist(), space.values(last)) == ([32_766], {"d0": 32_766})
    assert space.sample(4096, 0).max() > 32_700
    assert space.encode(last[None]).tolist() == [[1.0]]
    with pytest.raises(UserError, match="d0: 32,768 choices; a dimension has at most 32,767"):
        space_of(tuple(range(32_768)))


def test_two_dimensions_of_one_name_are_refused():
    with pytest.raises(UserError, match="space made: two dimensions have the same name"):
        Space("made", [Dimension(name="d", choices=(1, 2)), Dimension(name="d", choices=(1, 2))])
