"""Which points of the pool are trained next: one per cost bin."""

import numpy as np


def cost_bins(costs: np.ndarray, m: int) -> np.ndarray:
    """Bin int (n,) in 0 .. m - 1 of each cost (n,), in m bins of equal width from the lowest to the highest."""
    low, high = costs.min(), costs.max()
    if high == low:
        return np.arange(len(costs)) % m
    return np.minimum(((costs - low) / (high - low) * m).astype(int), m - 1)


def best_per_bin(scores: np.ndarray, costs: np.ndarray, m: int, taken: np.ndarray) -> np.ndarray:
    """Rows (<= m,) of the best score in each of m cost bins, without those in bool `taken`; low costs first.

    Bins that have none left are made up for by the best of the rest. Fewer than m only if the pool runs out.
    Source: paper (recalled), Algorithm 1.
    """
    bins = cost_bins(costs, m)
    order = np.argsort(-scores, kind="stable")
    order = order[~taken[order]]
    _, first = np.unique(bins[order], return_index=True)
    chosen = order[first]
    rest = order[~np.isin(order, chosen)]
    return np.concatenate([chosen, rest[: m - len(chosen)]])


def spread(costs: np.ndarray, m: int) -> np.ndarray:
    """Rows (<= m,) for the first round, when nothing can be predicted: the first of the pool in each cost bin.

    The pool is in Sobol' order, so its first points are spread over all dimensions.
    """
    return best_per_bin(-np.arange(len(costs), dtype=float), costs, m, np.zeros(len(costs), dtype=bool))
