"""Batches: the best of each cost bin, never one that was taken."""

import numpy as np
import pytest
from scipy.stats.qmc import discrepancy

from nars.search.batch import best_of_each, best_per_bin, cost_bins, first_batch, spread_batch
from nars.search.pool import Pool
from nars.search.strategies import Nars
from nars.settings import NarsSettings
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

SEEDS = range(40)


def random_pool(seed: int) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
    """Scores with ties, uneven costs, a batch size and what is taken."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    costs = rng.lognormal(size=n) * 1e8
    return rng.integers(0, 30, size=n) / 10, costs, int(rng.integers(2, 50)), rng.random(n) < rng.random()


@pytest.mark.parametrize("seed", SEEDS)
def test_bins_are_of_equal_width(seed):
    _, costs, m, _ = random_pool(seed)
    bins = cost_bins(costs, m)
    assert bins.shape == costs.shape
    assert ((bins >= 0) & (bins < m)).all()
    if len(costs) > 1:
        assert bins[costs.argmin()] == 0
        assert bins[costs.argmax()] == m - 1
    edges = np.linspace(costs.min(), costs.max(), m + 1)
    slack = 1e-9 * costs.max()
    assert (costs >= edges[bins] - slack).all() or len(costs) == 1
    assert (costs <= edges[bins + 1] + slack).all() or len(costs) == 1


def test_bins_of_known_costs():
    assert cost_bins(np.array([0.0, 1.0, 2.4, 2.6, 5.0, 9.9, 10.0]), 4).tolist() == [0, 0, 0, 1, 2, 3, 3]


def test_equal_costs_are_one_bin():
    assert cost_bins(np.full(10, 4e8), 4).tolist() == [0] * 10


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_of_each_bin_that_is_not_taken(seed):
    scores, costs, m, taken = random_pool(seed)
    bins = cost_bins(costs, m)
    rows = best_per_bin(scores, bins, m, taken)
    assert len(rows) == len(set(rows.tolist())) == min(m, (~taken).sum())
    assert not taken[rows].any()
    filled = sorted(set(bins[~taken].tolist()))
    for row, b in zip(rows, filled, strict=False):
        assert bins[row] == b
        assert scores[row] == scores[(bins == b) & ~taken].max()
    topped_up = rows[len(filled) :]
    left = np.setdiff1d(np.flatnonzero(~taken), rows)
    if len(topped_up) and len(left):
        assert scores[topped_up].min() >= scores[left].max()
    assert (np.diff(scores[topped_up]) <= 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_rounds_of_batches_never_repeat_and_use_the_pool_up(seed):
    scores, costs, m, _ = random_pool(seed)
    taken = np.zeros(len(costs), dtype=bool)
    for _ in range(len(costs) // m + 2):
        rows = best_per_bin(scores, cost_bins(costs, m), m, taken)
        assert not taken[rows].any()
        taken[rows] = True
    assert taken.all()
    assert len(best_per_bin(scores, cost_bins(costs, m), m, taken)) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_batch_is_the_first_of_each_bin(seed):
    _, costs, m, _ = random_pool(seed)
    rows = first_batch(costs, m)
    bins = cost_bins(costs, m)
    filled = sorted(set(bins.tolist()))
    assert len(rows) == min(m, len(costs))
    assert rows[: len(filled)].tolist() == [int(np.flatnonzero(bins == b)[0]) for b in filled]
    rest = np.setdiff1d(np.arange(len(costs)), rows[: len(filled)])
    assert rows[len(filled) :].tolist() == rest[: m - len(filled)].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spread_batch_has_one_in_each_part_by_cost(seed):
    rng = np.random.default_rng(seed)
    m, n, sizes = int(rng.integers(1, 60)), int(rng.integers(1, 9)), np.array([5, 2, 1])
    points, costs = rng.integers(0, sizes, (m, 3)), rng.integers(1, 20, m).astype(float)
    rows = spread_batch(points, sizes, costs, n, seed=seed)
    part_of = np.empty(m, dtype=int)
    part_of[np.argsort(costs, kind="stable")] = np.arange(m) * n // m
    assert rows.tolist() == list(range(m)) if m <= n else part_of[rows].tolist() == list(range(n))


def test_a_first_batch_of_its_own_is_spread_over_dimensions_and_costs():
    """Closer to filling the space than one drawn at random, by discrepancy, for several seeds."""
    space = Space("unit", [Dimension(name=f"x{i}", choices=tuple(range(10))) for i in range(3)])
    points = np.stack(np.meshgrid(*[np.arange(10)] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.int16)
    pool = Pool(points, points @ np.array([1.0, 2.0, 3.0]))
    found = {}
    for first in (8, None):
        settings = NarsSettings(name="nars", batch=8, first_batch=first)
        batches = [Nars(settings, space, pool, None, seed=seed).choose(8, points[:0], np.empty(0)) for seed in range(8)]
        found[first] = np.mean([discrepancy((batch + 0.5) / 10) for batch in batches])
    random = np.random.default_rng(0)
    by_chance = np.mean([discrepancy((points[random.choice(1000, 8, replace=False)] + 0.5) / 10) for _ in range(64)])
    assert found[8] < 0.7 * by_chance
    assert found[8] < found[None]


def test_of_equal_scores_the_first_is_taken():
    costs = np.array([1.0, 1.1, 9.0, 9.1])
    assert best_per_bin(np.zeros(4), cost_bins(costs, 2), 2, np.zeros(4, dtype=bool)).tolist() == [0, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_few_of_each_bin(seed):
    scores, costs, m, taken = random_pool(seed)
    bins, n = cost_bins(costs, m), 1 + seed % 4
    rows = best_of_each(scores, bins, n, taken)
    expected = []
    for b in range(m):
        inside = [int(row) for row in np.flatnonzero((bins == b) & ~taken)]
        expected += sorted(inside, key=lambda row: (-scores[row], row))[:n]
    assert rows.tolist() == expected


def test_fewer_bins_than_candidates_give_as_many_each_and_the_best_of_the_rest():
    scores, bins = np.array([0.1, 0.9, 0.8, 0.2, 0.3, 0.7]), np.array([0, 0, 0, 1, 1, 0])
    taken = np.array([False, True, False, False, False, False])
    assert best_per_bin(scores, bins, 4, taken).tolist() == [2, 5, 4, 3]
    assert best_per_bin(scores, bins, 5, taken).tolist() == [2, 5, 4, 3, 0]
    assert best_per_bin(scores, bins, 3, taken).tolist() == [2, 4, 5]
