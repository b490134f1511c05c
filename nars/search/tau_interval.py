"""How far a rank correlation may be from that of more candidates."""

from statistics import NormalDist

import numpy as np

GRID = np.linspace(-1, 1, 2001)


def kendall_interval(tau: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Between which values Kendall's tau of the population lies, at confidence `level`, where that of n >= 2 pairs is
    `tau`.

    All values from which `tau` is no farther than so many of their standard deviations (ours; as Wilson's interval of a
    share). The deviation is that of n independent normal pairs: Esscher, "On a method of determining correlation from
    the ranks of the variates", Skandinavisk Aktuarietidskrift 7, 1924; recalled, and checked by simulation.
    """
    reach = NormalDist().inv_cdf((1 + level) / 2)
    kept = GRID[np.abs(tau - GRID) <= reach * _deviation(GRID, n) + 1e-9]
    return float(min(kept.min(), tau)), float(max(kept.max(), tau))


def _deviation(tau: np.ndarray, n: int) -> np.ndarray:
    """Of the tau of n normal pairs whose true one is `tau`."""
    half = np.arcsin(np.sin(np.pi / 2 * tau) / 2)
    variance = 1 - tau**2 + 2 * (n - 2) * (1 / 9 - 4 * half**2 / np.pi**2)
    return np.sqrt(np.maximum(2 / (n * (n - 1)) * variance, 0))
