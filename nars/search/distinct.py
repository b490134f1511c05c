"""Answers that differ: of many ranked points, the best that lie apart."""

import math

import numpy as np

from nars.spaces.candidate import JointSpace

SHARE = 0.1  # of the architecture's dimensions, in which two answers differ at least


def distance_apart(space: JointSpace) -> int:
    """In how many dimensions of the architecture two answers differ at least: a tenth of those that can be chosen, and
    no fewer than two (ours). Of the recipe, where the architecture is fixed."""
    return max(2, math.ceil(SHARE * np.count_nonzero(space.sizes[_compared(space)] > 1)))


def _compared(space: JointSpace) -> slice:
    """The columns of joint points by which answers are told apart."""
    return slice(len(space.architecture) or None)


def best_apart(points: np.ndarray, n: int, space: JointSpace) -> np.ndarray:
    """Rows (k,), k <= n, of the best of joint points (m, d), which come best first, that are `distance_apart`, in their
    order.

    Taken greedily from the best one on. Where fewer than n lie so far apart, others make up n, the farthest first; none
    is the same pair as another.
    """
    compared = points[:, _compared(space)]
    nearest = np.full(len(points), compared.shape[1] + 1)  # to the chosen ones, in dimensions
    left, chosen, apart = np.ones(len(points), dtype=bool), [], distance_apart(space)
    while len(chosen) < n and left.any():
        apart = min(apart, int(nearest[left].max()))
        best = int(np.argmax(left & (nearest >= apart)))
        chosen.append(best)
        nearest = np.minimum(nearest, (compared != compared[best]).sum(axis=1))
        left &= (points != points[best]).any(axis=1)
    return np.sort(np.array(chosen, dtype=int))
