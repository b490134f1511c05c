"""After which epoch the ranking of candidates already agrees with the final one."""

import numpy as np
from scipy.stats import kendalltau, spearmanr


def spearman(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman rank correlation of a (n,) and b (n,); None where it is undefined (n < 2 or all equal)."""
    return _defined(spearmanr, a, b)


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float | None:
    """Kendall's tau-b of a (n,) and b (n,); None where it is undefined."""
    return _defined(kendalltau, a, b)


def _defined(statistic, a, b) -> float | None:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if len(a) < 2 or (a == a[0]).all() or (b == b[0]).all():
        return None
    return float(statistic(a, b).statistic)


def correlation_by_epoch(curves: np.ndarray) -> list[float | None]:
    """Spearman correlation of the accuracies after each epoch with the final ones; curves (n, epochs)."""
    return [spearman(curves[:, epoch], curves[:, -1]) for epoch in range(curves.shape[1])]


def early_stop_epoch(correlations: list[float | None], threshold: float) -> int:
    """The first epoch (1 = first) whose correlation reaches `threshold`; the last one if none does. Source: paper."""
    for epoch, correlation in enumerate(correlations, start=1):
        if correlation is not None and correlation >= threshold - 1e-9:  # with ties, equal rankings give 1 less an ulp
            return epoch
    return len(correlations)
