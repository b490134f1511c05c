"""The pool: Sobol' points inside a window of costs, from which rounds choose what to train."""

from collections.abc import Callable

import numpy as np

from nars.costs.constraint import Constraint
from nars.errors import UserError
from nars.spaces.space import Space

CHUNK = 32_768
MAX_DRAWS_PER_POINT = 200

Price = Callable[[np.ndarray], np.ndarray]  # points (n, d) -> costs float64 (n, k)


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
