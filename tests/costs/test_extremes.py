"""The cheapest and the dearest architecture are those that looking at all of them finds."""

import itertools

import numpy as np
import pytest

from nars.costs import extremes, statistics
from nars.costs.extremes import _improved, extreme, least
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.costs.table import COUNTED
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace


def random_tables(rng: np.random.Generator, sizes: list[int], *, whole: bool) -> list:
    """Tables over a few of the dimensions each, with values that neither rise nor fall."""
    tables = []
    for _ in range(rng.integers(1, 9)):
        scope = tuple(sorted(rng.permutation(len(sizes))[: rng.integers(0, 4)].tolist()))
        shape = [sizes[d] for d in scope]
        tables.append((scope, rng.integers(-5, 6, size=shape).astype(float) if whole else rng.normal(size=shape)))
    return tables


def total(tables, points: np.ndarray) -> np.ndarray:
    return sum(np.broadcast_to(values[tuple(points[:, list(scope)].T)], len(points)) for scope, values in tables)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_the_least_of_random_tables_is_found(seed, whole):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, size=rng.integers(1, 7)).tolist()
    tables = random_tables(rng, sizes, whole=whole)
    every = np.array(list(itertools.product(*map(range, sizes))), dtype=np.int16)
    point = least(tables, len(sizes))
    assert point.dtype == np.int16
    assert total(tables, point[None])[0] == pytest.approx(total(tables, every).min(), abs=1e-12)


def test_tables_that_would_be_too_large_are_given_up(monkeypatch):
    tables = [((0, 1), np.ones((3, 4))), ((1, 2), np.ones((4, 5)))]
    monkeypatch.setattr(extremes, "MAX_ENTRIES", 12)
    assert least(tables, 3) is None
    monkeypatch.setattr(extremes, "MAX_ENTRIES", 20)
    assert least(tables, 3).tolist() == [0, 0, 0]


def small_space(seed: int) -> ArchitectureSpace:
    """A few hundred architectures."""
    rng = np.random.default_rng(seed)

    def some(*values):
        return sorted(rng.permutation(values)[: rng.integers(1, 4)].tolist())

    stages = [
        {
            "width": some(8, 12, 20, 33),
            "depth": some(1, 2, 3),
            "kernel": some(3, 5),
            "expansion_first": some(1, 2, 4),
            "expansion_rest": 2,
            "stride": 2,
            "se": bool(rng.integers(2)),
        }
        for _ in range(2)
    ]
    values = {"name": "small", "resolution": some(24, 32, 40), "stem_width": some(8, 12), "stages": stages}
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values | {"head": {"expansion": 2, "width": 16}}))


def every_point(space) -> np.ndarray:
    return np.indices(space.sizes).reshape(len(space), -1).T.astype(np.int16)


@pytest.mark.parametrize("greatest", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_extremes_of_small_spaces_are_found(seed, greatest, monkeypatch):
    """Also of a cost that is no whole number and rises and falls with every choice, as measured latencies do."""
    monkeypatch.setitem(statistics._NAMES, "wavy", lambda part: np.sin(np.asarray(part.macs)))
    space = small_space(seed)
    for name in (*COUNTED, "wavy"):
        prices = costs(space, every_point(space), (name,), Pricing(num_classes=10))[:, 0]
        found = extreme(space, name, Pricing(num_classes=10), greatest=greatest)
        assert found.exact
        assert found.cost == pytest.approx(prices.max() if greatest else prices.min(), abs=1e-9)
        assert len(set(prices)) > 1
        assert costs(space, found.point[None], (name,), Pricing(num_classes=10))[0, 0] == found.cost


@pytest.mark.parametrize("greatest", [False, True])
def test_of_equal_and_rising_costs_the_first_choices_are_the_cheapest(architecture_space, greatest):
    for name in COUNTED:
        ends = np.stack([np.zeros(len(architecture_space), dtype=np.int16), architecture_space.sizes - 1])
        expected = costs(architecture_space, ends, (name,), Pricing(num_classes=10))[:, 0]
        found = extreme(architecture_space, name, Pricing(num_classes=10), greatest=greatest)
        assert found.cost == expected[int(greatest)]
        assert greatest or not found.point.any()


@pytest.mark.parametrize("greatest", [False, True])
def test_without_tables_what_is_found_says_that_it_may_not_be_all(tiny, monkeypatch, greatest):
    expected = extreme(tiny, "macs", Pricing(num_classes=11), greatest=greatest)
    monkeypatch.setattr(statistics, "MAX_ENTRIES", 1)
    forget_tables()
    found = extreme(tiny, "macs", Pricing(num_classes=11), greatest=greatest)
    forget_tables()
    assert (expected.exact, found.exact) == (True, False)
    assert found.cost == expected.cost  # of this space, where more choices cost more


def forget_tables() -> None:
    for cached in (extreme, statistics.part_tables, statistics._lookup):
        cached.cache_clear()


@pytest.mark.parametrize("seed", range(5))
def test_choice_by_choice_a_cheapest_neighbour_is_reached(tiny, seed):
    """Where each choice has a price of its own, that is the cheapest of all; else no neighbour is cheaper."""
    rng = np.random.default_rng(seed)
    prices = [rng.random(size) for size in tiny.sizes]

    def alone(points):
        return sum(price[points[:, i]] for i, price in enumerate(prices))

    def together(points):
        return alone(points) + np.sin(points.astype(float) @ np.arange(len(tiny)))

    start = tiny.sizes - 1
    np.testing.assert_array_equal(_improved(alone, tiny, start), [price.argmin() for price in prices])
    point = _improved(together, tiny, start)
    assert together(point[None])[0] < together(start[None])[0]
    for i, size in enumerate(tiny.sizes):
        neighbours = np.tile(point, (int(size), 1))
        neighbours[:, i] = np.arange(size)
        assert together(neighbours).min() == pytest.approx(together(point[None])[0])
