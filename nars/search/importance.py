"""How much each dimension matters to a score."""

from collections.abc import Callable

import numpy as np


def permutation_importance(
    score: Callable[[np.ndarray], np.ndarray], points: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Mean absolute change (d,) of the scores of points (n, d) when one dimension is shuffled among them.

    score: points -> float (n,). In the score's unit; 0 for a dimension that it does not look at.
    """
    scores = score(points)
    changes = np.empty(points.shape[1])
    for i in range(points.shape[1]):
        shuffled = points.copy()
        shuffled[:, i] = rng.permutation(points[:, i])
        changes[i] = np.abs(score(shuffled) - scores).mean()
    return changes
