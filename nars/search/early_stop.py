"""After which epoch the ranking of candidates already agrees with the final one."""

from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class EarlyStop:
    """The `epoch` after which trainings stop, the rank correlation with the end after each epoch, and, where trainings
    run to the end, `why_not`. `round` is the one whose candidates said so."""

    epoch: int
    correlations: tuple[float | None, ...] = ()
    why_not: str | None = None
    round: int = 1

    @property
    def decided(self) -> bool:
        """Whether enough candidates have said where, or that trainings run to the end."""
        return bool(self.correlations)


def early_stop(curves: np.ndarray, threshold: float, *, fewest: int, noise_level: float) -> EarlyStop:
    """Where trainings may stop, by the accuracies (n, epochs) of the first candidates after each epoch.

    The first epoch from which on the correlation stays at `threshold` or above, and half of the accuracies are above
    `noise_level`, which an untrained network hardly exceeds. The paper (recalled) takes the first epoch that reaches
    it. That it lasts, that the accuracies mean something, and that at least `fewest` candidates say so is ours:
    otherwise a few candidates stop where they agree by accident.
    """
    n, epochs = curves.shape
    if n < fewest:
        return EarlyStop(
            epoch=epochs,
            why_not=f"{n} candidate{'s are' if n != 1 else ' is'} too few to tell where ({fewest} are needed)",
        )
    correlations = tuple(correlation_by_epoch(curves))
    learnt = np.median(curves, axis=0) > noise_level
    # With ties, equal rankings give a correlation of 1 less an ulp.
    agrees = [c is not None and c >= threshold - 1e-9 for c in correlations] & learnt
    last_without = max((epoch for epoch in range(1, epochs + 1) if not agrees[epoch - 1]), default=0)
    if last_without >= epochs - 1:
        reason = "no earlier epoch ranks the candidates as the last one does" if learnt[-1] else "half are at chance"
        return EarlyStop(epoch=epochs, correlations=correlations, why_not=reason)
    return EarlyStop(epoch=last_without + 1, correlations=correlations)
