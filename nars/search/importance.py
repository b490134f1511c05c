"""How much each dimension matters to a score."""

from collections.abc import Callable

import numpy as np


def permutation_importance(
    score: Callable[[np.ndarray], np.ndarray], points: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Mean absolute change (d,) of the scores of points (n, d) when one dimension is shuffled among them.

    score: points -> float (n,). In the score's unit; 0 for a dimension that it does not look at.
    """
    shuffled = np.repeat(points[None], points.shape[1] + 1, axis=0)  # the last stays as it is
    for i in range(points.shape[1]):
        shuffled[i, :, i] = rng.permutation(points[:, i])
    scores = score(shuffled.reshape(-1, points.shape[1])).reshape(len(shuffled), len(points))
    return np.abs(scores[:-1] - scores[-1]).mean(axis=1)
