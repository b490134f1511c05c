"""Which points are best for their cost."""

import numpy as np


def pareto_front(costs: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows (k,) that no other row beats at equal or lower cost, cheapest first; costs and scores (n,).

    Scores rise strictly along the front; of equal rows the earlier one is taken.
    """
    order = np.lexsort((-np.asarray(scores), np.asarray(costs)))  # stable: by cost, then best first
    best_so_far = np.maximum.accumulate(np.asarray(scores)[order])
    rises = np.diff(best_so_far, prepend=-np.inf) > 0
    return order[rises]
