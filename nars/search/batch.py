"""Bins of costs, and the best points of each."""

import numpy as np
from scipy.stats.qmc import discrepancy

SETS = 512  # random batches of which the most even one is taken


def cost_bins(costs: np.ndarray, m: int) -> np.ndarray:
    """Bin int (n,) in 0 .. m - 1 of each cost (n,), in m bins of equal width from the lowest to the highest.

    Where all cost the same they are one bin."""
    low, high = costs.min(), costs.max()
    if high == low:
        return np.zeros(len(costs), dtype=int)
    return np.minimum(((costs - low) / (high - low) * m).astype(int), m - 1)


def best_of_each(scores: np.ndarray, bins: np.ndarray, n: int, taken: np.ndarray) -> np.ndarray:
    """Rows (m,) of the n best scores in each bin, without those in bool `taken`; lowest bin first, best first."""
    order = np.lexsort((np.arange(len(scores)), -scores, bins))
    order = order[~taken[order]]
    starts = np.searchsorted(bins[order], bins[order])
    return order[np.arange(len(order)) - starts < n]


def best_per_bin(scores: np.ndarray, bins: np.ndarray, n: int, taken: np.ndarray) -> np.ndarray:
    """Rows (<= n,) of the best scores, as many of each cost bin, without those in bool `taken`; low costs first.

    What is missing to n, because bins have none left or n is no multiple of them, is made up for by the best of the
    rest. Fewer than n only if the pool runs out. Source: paper (recalled), Algorithm 1, with a bin per candidate.
    """
    chosen = best_of_each(scores, bins, max(1, n // (bins.max() + 1)), taken)[:n]
    order = np.argsort(-scores, kind="stable")
    rest = order[~taken[order] & ~np.isin(order, chosen)]
    return np.concatenate([chosen, rest[: n - len(chosen)]])


def first_batch(costs: np.ndarray, n: int) -> np.ndarray:
    """Rows (<= n,) for the first round, when nothing can be predicted: the first of the pool in each of n cost bins.

    The pool is in Sobol' order, so its first points are spread over all dimensions.
    """
    order = -np.arange(len(costs), dtype=float)
    return best_per_bin(order, cost_bins(costs, n), n, np.zeros(len(costs), dtype=bool))


def spread_batch(points: np.ndarray, sizes: np.ndarray, costs: np.ndarray, n: int, *, seed: int) -> np.ndarray:
    """Rows (n,) of a pool of points (m, d), with `sizes` (d,) choices each and costs (m,), that fill the space and the
    costs evenly: one in each of n parts of the pool, of equal size, from the cheapest to the dearest. All if m <= n.

    Of `SETS` random batches the one of least centred discrepancy over all dimensions and the rank of the cost (ours).
    """
    if len(points) <= n:
        return np.arange(len(points))
    ranks = np.argsort(np.argsort(costs, kind="stable"))
    unit = np.column_stack([(points + 0.5) / sizes, (ranks + 0.5) / len(points)])
    rng = np.random.default_rng(seed)
    parts = [rng.choice(np.flatnonzero(ranks * n // len(points) == part), SETS) for part in range(n)]
    return min(np.column_stack(parts), key=lambda rows: discrepancy(unit[rows]))
