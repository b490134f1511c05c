"""Limits on costs: feasible or not for whole batches, and whether a space can meet them at all."""

from dataclasses import dataclass

import numpy as np

from nars.costs.statistics import costs
from nars.errors import UserError
from nars.settings import ConstraintSettings, WindowSettings
from nars.spaces.architecture import ArchitectureSpace

COSTS = ("macs", "params")


def short_number(value: float) -> str:
    """1.2e9 -> 1.2G, 600e6 -> 600M, 500 -> 500: for labels and messages."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.4g}"


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """Lower and upper limits on the costs `COSTS`, in that order; infinite where there is none."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, settings: ConstraintSettings | WindowSettings) -> "Constraint":
        """The limits that the settings give."""
        low = tuple(getattr(settings, f"min_{name}") or -np.inf for name in COSTS)
        high = tuple(getattr(settings, f"max_{name}") or np.inf for name in COSTS)
        return cls(low=low, high=high)

    def feasible(self, costs: np.ndarray) -> np.ndarray:
        """Bool (n,): whether costs float64 (n, len(COSTS)) keep all limits, the limits themselves included."""
        return ((costs >= self.low) & (costs <= self.high)).all(axis=1)

    @property
    def label(self) -> str:
        """All limits as text: `macs <= 600M, params <= 8M`; `none` without limits."""
        parts = []
        for name, low, high in zip(COSTS, self.low, self.high, strict=True):
            if low > -np.inf:
                parts.append(f"{name} >= {short_number(low)}")
            if high < np.inf:
                parts.append(f"{name} <= {short_number(high)}")
        return ", ".join(parts) or "none"


def check_reachable(constraint: Constraint, space: ArchitectureSpace, *, num_classes: int, what: str) -> None:
    """UserError if `space` has no architecture inside any one limit; names the nearest cost it can reach.

    Costs never fall when a choice rises, so the first and the last choice everywhere are the extremes.
    """
    extremes = np.stack([np.zeros(len(space), dtype=np.int16), space.sizes - 1])
    smallest, largest = costs(space, extremes, COSTS, num_classes=num_classes)
    for i, name in enumerate(COSTS):
        if constraint.high[i] < smallest[i]:
            raise UserError(
                f"{what} {name} <= {short_number(constraint.high[i])} cannot be met: the smallest architecture of "
                f"search_space={space.name} needs {short_number(smallest[i])}; raise max_{name}"
            )
        if constraint.low[i] > largest[i]:
            raise UserError(
                f"{what} {name} >= {short_number(constraint.low[i])} cannot be met: the largest architecture of "
                f"search_space={space.name} has {short_number(largest[i])}; lower min_{name}"
            )
