"""The pool: feasible, distinct, decided by the seed, and honest about what cannot be had."""

import numpy as np
import pytest

from nars.costs.constraint import Constraint
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.errors import UserError
from nars.search.pool import sample_pool
from nars.settings import WindowSettings
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

NAMES = ("macs", "params")
FBNETV3_WINDOW = Constraint.of(WindowSettings(), NAMES)
TINY_WINDOW = Constraint.of(WindowSettings(min_macs=0.5e6, max_macs=1.5e6, max_params=12e3), NAMES)
NO_WINDOW = Constraint.of(WindowSettings(min_macs=None, max_macs=None), NAMES)


def price_of(joint):
    """Costs of joint points, as the search has them."""
    return lambda points: costs(joint.architecture, joint.split(points)[0], NAMES, Pricing(num_classes=10))


def planted(*sizes: int) -> tuple[Space, callable]:
    """A space of numbers whose two costs are the sum and the largest of a point's indices, plus one."""
    space = Space("planted", [Dimension(name=f"d{i}", choices=tuple(range(size))) for i, size in enumerate(sizes)])
    return space, lambda points: np.stack([points.sum(axis=1), points.max(axis=1)], axis=1) + 1.0


def as_set(points: np.ndarray) -> set:
    return set(map(tuple, points.tolist()))


@pytest.mark.parametrize("seed", range(3))
def test_pools_are_feasible_distinct_and_decided_by_the_seed(joint, seed):
    window = FBNETV3_WINDOW if joint.name == "fbnetv3+fbnetv3" else TINY_WINDOW
    price = price_of(joint)
    pool, prices = sample_pool(joint, price, window, 500, seed)
    assert pool.shape == (500, len(joint))
    assert len(as_set(pool)) == 500
    np.testing.assert_array_equal(prices, price(pool))
    assert window.feasible(prices).all()
    again, prices_again = sample_pool(joint, price, window, 500, seed)
    np.testing.assert_array_equal(pool, again)
    np.testing.assert_array_equal(prices, prices_again)
    for n in (1, 77):
        np.testing.assert_array_equal(sample_pool(joint, price, window, n, seed)[0], pool[:n])
    assert len(as_set(pool) & as_set(sample_pool(joint, price, window, 500, seed + 1)[0])) < 250


def test_pools_are_in_sobol_order(tiny_joint):
    """Round one takes the first of a pool: they must be spread as the sequence is."""
    pool, _ = sample_pool(tiny_joint, price_of(tiny_joint), NO_WINDOW, 300, seed=4)
    sequence = tiny_joint.sample(400, seed=4)
    _, first = np.unique(sequence, axis=0, return_index=True)
    np.testing.assert_array_equal(pool, sequence[np.sort(first)][:300])


@pytest.mark.parametrize("seed", range(10))
def test_a_small_space_is_had_whole(seed):
    space, price = planted(3, 4, 5, 2)
    pool, _ = sample_pool(space, price, NO_WINDOW, 1000, seed)
    assert len(pool) == len(as_set(pool)) == space.cardinality == 120
    narrow = Constraint(names=NAMES, low=(4.0, 3.0), high=(6.0, np.inf))
    pool, prices = sample_pool(space, price, narrow, 1000, seed)
    every = np.indices(space.sizes).reshape(len(space), -1).T
    assert as_set(pool) == as_set(every[narrow.feasible(price(every))])
    assert narrow.feasible(prices).all()


def test_a_rare_point_is_found():
    """One in 10,000, which takes many draws."""
    space, price = planted(10, 10, 10, 10)
    pool, prices = sample_pool(
        space, price, Constraint(names=NAMES, low=(37.0, -np.inf), high=(np.inf, np.inf)), 5, seed=0
    )
    assert as_set(pool) == {(9, 9, 9, 9)}
    assert prices.tolist() == [[37.0, 10.0]]


def test_a_pool_of_rare_points_is_filled_by_drawing_on():
    """8,002 of a million points keep the window: 400 are found after about 50,000 draws, more than are made at once."""
    space, price = planted(10, 10, 10, 10, 10, 10)
    narrow = Constraint(names=NAMES, low=(45.0, -np.inf), high=(np.inf, np.inf))
    pool, prices = sample_pool(space, price, narrow, 400, seed=0)
    assert len(as_set(pool)) == len(pool) == 400
    assert narrow.feasible(prices).all()


@pytest.mark.parametrize("n", [5, 1000])
def test_an_impossible_window_is_named(n):
    space, price = planted(6, 6, 6)
    with pytest.raises(UserError) as error:
        sample_pool(space, price, Constraint(names=NAMES, low=(5.0, -np.inf), high=(np.inf, 1.0)), n, seed=0)
    assert "sampled points of space planted keeps macs >= 5, params <= 1; widen the limits" in str(error.value)
    assert str(error.value).startswith("none of 32,768 sampled points")


def test_an_impossible_window_of_a_large_space_ends(tiny_joint):
    tiniest = Constraint(names=NAMES, low=(-np.inf, -np.inf), high=(1e3, np.inf))
    with pytest.raises(UserError, match=r"none of [\d,]+ sampled points of space tiny\+tiny keeps macs <= 1k; widen"):
        sample_pool(tiny_joint, price_of(tiny_joint), tiniest, 200, seed=0)
