"""The pool: Sobol' points inside a window of costs, from which rounds choose what to train."""

from collections.abc import Callable

import numpy as np

from nars.costs.constraint import Constraint
from nars.errors import UserError
from nars.spaces.space import Space

CHUNK = 32_768
MAX_DRAWS_PER_POINT = 200

Price = Callable[[np.ndarray], np.ndarray]  # points (n, d) -> costs float64 (n, k)
AxisCost = Callable[[np.ndarray], np.ndarray]  # points (n, d) -> the cost over which candidates are spread (n,)
Feasible = Callable[[np.ndarray], np.ndarray]  # points (n, d) -> bool (n,)


def sample_pool(space: Space, price: Price, constraint: Constraint, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The first n feasible points (n, d) of the Sobol' sequence of `seed`, without repeats, and their costs (n, k).

    UserError if fewer are found among `MAX_DRAWS_PER_POINT` x n draws and the space is not simply that small.
    """
    limit = max(CHUNK, MAX_DRAWS_PER_POINT * n)
    points, costs, drawn, seen = [], [], 0, np.empty((0, len(space)), dtype=np.int16)
    while len(seen) < n and drawn < limit:
        draw = space.sample(min(CHUNK, limit - drawn), seed, skip=drawn)
        drawn += len(draw)
        prices = price(draw)
        keep = constraint.feasible(prices)
        points.append(draw[keep])
        costs.append(prices[keep])
        seen = _distinct(np.concatenate(points))[1]
        if drawn >= 4 * space.cardinality:  # a small space, seen through
            break
    everything, prices = np.concatenate(points), np.concatenate(costs)
    first = _distinct(everything)[0][:n]
    if len(first) == 0:
        raise UserError(
            f"none of {drawn:,} sampled points of space {space.name} keeps {constraint.label}; widen the limits"
        )
    return everything[first], prices[first]


def _distinct(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of first occurrences in order, and the points there."""
    _, first = np.unique(points, axis=0, return_index=True)
    first = np.sort(first)
    return first, points[first]


class Pool:
    """The feasible points (n, d) that are offered, in Sobol' order, and their costs (n,)."""

    def __init__(self, points: np.ndarray, costs: np.ndarray):
        self.points = points
        self.costs = costs
        self._rows = {point.tobytes(): row for row, point in enumerate(points)}

    def rows(self, points: np.ndarray) -> np.ndarray:
        """Rows (k,) of points (k, d); -1 for one that is not in the pool."""
        points = np.asarray(points, dtype=self.points.dtype)
        return np.array([self._rows.get(point.tobytes(), -1) for point in points], dtype=int)

    def free(self, points: np.ndarray) -> np.ndarray:
        """Bool (n,): which points of the pool are not among `points` (k, d)."""
        free = np.ones(len(self.points), dtype=bool)
        rows = self.rows(points)
        free[rows[rows >= 0]] = False
        return free

    def random(self, n: int, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Up to n random points (m, d) that are not among `points`."""
        rows = np.flatnonzero(self.free(points))
        return self.points[rng.choice(rows, min(n, len(rows)), replace=False)]


def new_points(offered: np.ndarray, *known: np.ndarray) -> np.ndarray:
    """Distinct points (m, d) of `offered` (n, d), in order, that are in none of `known`."""
    seen = {point.tobytes() for points in known for point in points.astype(offered.dtype)}
    rows = []
    for row, point in enumerate(offered):
        if point.tobytes() not in seen:
            seen.add(point.tobytes())
            rows.append(row)
    return offered[rows]


def topped_up(chosen: np.ndarray, n: int, points: np.ndarray, pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """`chosen` (m, d) and as many random points of the pool as make n, or all that are left."""
    return np.concatenate([chosen, pool.random(n - len(chosen), np.concatenate([points, chosen]), rng)])
