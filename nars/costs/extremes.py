"""The cheapest and the dearest architecture of a space, whether a cost rises or falls with its choices."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nars.costs.pricing import AS_PUBLISHED, Pricing
from nars.costs.statistics import costs, part_tables
from nars.spaces.fixed import Architectures

MAX_ENTRIES = 2**22  # of a table that variable elimination makes


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """A point (d,) with the least or the greatest `cost`; not `exact`: only the best that was found."""

    point: np.ndarray
    cost: float
    exact: bool


@lru_cache(maxsize=64)
def extreme(space: Architectures, name: str, pricing: Pricing = AS_PUBLISHED, *, greatest: bool = False) -> Extreme:
    """The architecture of `space` with the least, or the greatest, cost `name`.

    Exact by variable elimination over the costs of the parts. Where the space is too large for that, one choice after
    the other is improved, from the first or the last of all.
    """
    sign = -1 if greatest else 1
    tables = part_tables(space, (name,), pricing)
    point = None if tables is None else least([(t.dimensions, sign * t.values[0]) for t in tables], len(space))
    exact = point is not None
    if not exact:
        start = space.sizes - 1 if greatest else np.zeros(len(space), dtype=np.int16)
        point = _improved(lambda points: sign * costs(space, points, (name,), pricing)[:, 0], space, start)
    cost = costs(space, point[None], (name,), pricing)[0, 0]
    return Extreme(point=point, cost=float(cost), exact=exact)


def least(tables: Sequence[tuple[tuple[int, ...], np.ndarray]], dimensions: int) -> np.ndarray | None:
    """The point int16 (dimensions,) with the least sum over the tables, of equal ones one with low choices.

    A table is the ascending dimensions that it depends on, and its values over their choices. Dimensions are eliminated
    one by one, first those whose neighbours have the fewest combinations: the tables that know it are added up and
    replaced by their minimum over it. None where that would take more than `MAX_ENTRIES` values at once.
    """
    left, eliminated = list(tables), []
    while open_ := {d for scope, _ in left for d in scope}:
        joint = {d: _joint(d, left) for d in open_}
        chosen = min(open_, key=lambda d: (np.prod(list(joint[d].values()), dtype=float), d))
        sizes = joint[chosen]
        if np.prod(list(sizes.values()), dtype=float) > MAX_ENTRIES:
            return None
        total = np.zeros(tuple(sizes.values()))
        for scope, values in left:
            if chosen in scope:
                total += values.reshape([size if d in scope else 1 for d, size in sizes.items()])
        axis = list(sizes).index(chosen)
        rest = tuple(d for d in sizes if d != chosen)
        eliminated.append((chosen, rest, total.argmin(axis=axis)))
        left = [table for table in left if chosen not in table[0]] + [(rest, total.min(axis=axis))]
    point = np.zeros(dimensions, dtype=np.int16)
    for chosen, rest, best in reversed(eliminated):
        point[chosen] = best[tuple(point[list(rest)])]
    return point


def _joint(dimension: int, tables: Sequence[tuple[tuple[int, ...], np.ndarray]]) -> dict[int, int]:
    """All dimensions of the tables that know this one, ascending, with their sizes."""
    together = [zip(scope, values.shape, strict=True) for scope, values in tables if dimension in scope]
    return dict(sorted(pair for pairs in together for pair in pairs))


def _improved(cost, space: Architectures, point: np.ndarray) -> np.ndarray:
    """A point of which no single choice can be replaced by a cheaper one."""
    changed = True
    while changed:
        changed = False
        for dimension, size in enumerate(space.sizes):
            points = np.tile(point, (int(size), 1))
            points[:, dimension] = np.arange(size)
            prices = cost(points)
            if prices.min() < prices[point[dimension]]:
                point, changed = points[prices.argmin()], True
    return point
