"""Limits on costs: feasible or not for whole batches, and whether a space can meet them at all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.costs.table import ALWAYS, LATENCY, LIMITED, short_number
from nars.errors import UserError
from nars.settings import CostLimits
from nars.spaces.fixed import Architectures


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """Lower and upper limits on the costs `names`, in that order; infinite where there is none."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, settings: CostLimits, names: tuple[str, ...] = LIMITED) -> "Constraint":
        """The limits that the settings give, for costs priced as `names`."""
        assert set(settings.limited) <= set(names), "a cost is limited and not priced"
        bounds = [settings.bounds(name) for name in names]
        low = tuple(-np.inf if low is None else low for low, _ in bounds)
        high = tuple(np.inf if high is None else high for _, high in bounds)
        return cls(names=names, low=low, high=high)

    def feasible(self, costs: np.ndarray) -> np.ndarray:
        """Bool (n,): whether costs float64 (n, len(names)) keep all limits, the limits themselves included."""
        kept = np.ones(len(costs), dtype=bool)
        for cost, low, high in zip(costs.T, self.low, self.high, strict=True):
            if low > -np.inf:
                kept &= cost >= low
            if high < np.inf:
                kept &= cost <= high
        return kept

    def kept_by(self, costs: Mapping[str, float]) -> bool:
        """Whether costs by name keep all limits; a cost that is not known breaks none."""
        limits = zip(self.names, self.low, self.high, strict=True)
        return all(low <= costs[name] <= high for name, low, high in limits if name in costs)

    @property
    def label(self) -> str:
        """All limits as text: `macs <= 600M, params <= 8M`; `none` without limits."""
        parts = []
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            if low > -np.inf:
                parts.append(f"{name} >= {short_number(low)}")
            if high < np.inf:
                parts.append(f"{name} <= {short_number(high)}")
        return ", ".join(parts) or "none"


def priced(axis: str, *limits: CostLimits, latency: bool = False) -> tuple[str, ...]:
    """Names of the costs that a search with these limits prices, in the order of the table; `axis` is the one that it
    chooses by, `latency` whether there is a table of it."""
    needed = {*ALWAYS, axis, *([LATENCY] if latency else [])}.union(*(settings.limited for settings in limits))
    return tuple(name for name in LIMITED if name in needed)


def check_reachable(constraint: Constraint, space: Architectures, pricing: Pricing, *, what: str) -> None:
    """UserError if `space` has no architecture inside any one limit; names the nearest cost it can reach."""
    for name, low, high in zip(constraint.names, constraint.low, constraint.high, strict=True):
        if high < np.inf:
            smallest = extreme(space, name, pricing)
            if smallest.exact and smallest.cost > high:
                raise UserError(
                    f"{what} {name} <= {short_number(high)} cannot be met: the smallest architecture of "
                    f"search_space={space.name} needs {short_number(smallest.cost)}; raise max_{name}"
                )
        if low > -np.inf:
            largest = extreme(space, name, pricing, greatest=True)
            if largest.exact and largest.cost < low:
                raise UserError(
                    f"{what} {name} >= {short_number(low)} cannot be met: the largest architecture of "
                    f"search_space={space.name} has {short_number(largest.cost)}; lower min_{name}"
                )


def extremes(constraint: Constraint, space: Architectures, pricing: Pricing) -> np.ndarray:
    """Points (k, d) with the least of each cost that has an upper limit, and the greatest of each that has a lower
    one: where hardly any architecture keeps the limits, these may."""
    points = []
    for name, low, high in zip(constraint.names, constraint.low, constraint.high, strict=True):
        points += [extreme(space, name, pricing).point] if high < np.inf else []
        points += [extreme(space, name, pricing, greatest=True).point] if low > -np.inf else []
    return np.array(points, dtype=np.int16).reshape(len(points), len(space))
