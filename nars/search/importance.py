"""How much each dimension matters to a score."""

from collections.abc import Callable, Sequence

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


def partial_dependence(
    score: Callable[[np.ndarray], np.ndarray], points: np.ndarray, sizes: Sequence[int], *, most: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each dimension, positions int (k,) among its `sizes` choices, at most `most` and evenly spread, and the mean
    scores (k,) of points (n, d) that all have that choice in it.

    score: points -> float (n,).
    """
    positions = [np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(int)) for size in sizes]
    changed = np.repeat(points[None], sum(map(len, positions)), axis=0)
    ends = np.cumsum([len(chosen) for chosen in positions])
    for i, (end, chosen) in enumerate(zip(ends, positions, strict=True)):
        changed[end - len(chosen) : end, :, i] = chosen[:, None]
    means = score(changed.reshape(-1, points.shape[1])).reshape(len(changed), len(points)).mean(axis=1)
    return list(zip(positions, np.split(means, ends[:-1]), strict=True))
