"""Costs of architecture-recipe pairs: a recipe costs nothing."""

from collections.abc import Sequence

import numpy as np

from nars.costs.pricing import AS_PUBLISHED, Pricing
from nars.costs.statistics import costs
from nars.spaces.candidate import JointSpace


def price(
    space: JointSpace,
    points: np.ndarray,
    names: Sequence[str] = ("macs", "params"),
    pricing: Pricing = AS_PUBLISHED,
) -> np.ndarray:
    """Costs float64 (n, len(names)) of joint points (n, d)."""
    architectures, _ = space.split(points)
    return costs(space.architecture, architectures, tuple(names), pricing)
