"""What whole networks say of a table: how far sums over blocks are from them, and what mends that."""

import numpy as np
from scipy.optimize import nnls
from scipy.stats import kendalltau

from nars.latency.table import Check

FEWEST = 3  # networks from which base and scale can be told


def fit_base_and_scale(sums: np.ndarray, wholes: np.ndarray) -> tuple[float, float]:
    """`base` and `scale`, neither negative, with which base + scale * sums (n,) is nearest to what whole networks take
    (n,), in relative squares; of fewer than three networks only a scale."""
    columns = np.stack([np.ones(len(sums)), sums], axis=1) / wholes[:, None]
    if len(sums) < FEWEST:
        return 0.0, float(nnls(columns[:, 1:], np.ones(len(sums)))[0][0])
    base, scale = nnls(columns, np.ones(len(sums)))[0]
    return float(base), float(scale)


def check_sums(sums: np.ndarray, wholes: np.ndarray) -> Check:
    """How base and scale, fitted to all other networks, predict each."""
    predicted = np.empty(len(sums))
    for i in range(len(sums)):
        others = np.arange(len(sums)) != i
        base, scale = fit_base_and_scale(sums[others], wholes[others])
        predicted[i] = base + scale * sums[i]
    return agreement(predicted, wholes, tau_of=sums)


def agreement(predicted: np.ndarray, measured: np.ndarray, tau_of: np.ndarray | None = None) -> Check:
    """The `Check` of predictions (n,); the rank correlation is that of `tau_of`, None: of the predictions."""
    tau = kendalltau(predicted if tau_of is None else tau_of, measured).statistic
    return Check(
        networks=len(measured),
        mape=round(float(np.mean(np.abs(predicted / measured - 1))), 6),
        kendall_tau=round(float(tau), 6),
    )
