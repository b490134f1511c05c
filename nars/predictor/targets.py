"""Accuracies as learning targets and back: standardised, or as normal scores of their ranks."""

from typing import Literal

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import rankdata
from torch import nn

Kind = Literal["standardised", "normal_scores"]


class Targets(nn.Module):
    """A rising, piecewise linear map between accuracies and targets; targets have mean 0 and standard deviation 1.

    Accuracies crowd below their maximum and trail off far below it. Ranks turned into quantiles of the normal
    distribution ("normal_scores") take both away, so that squared errors and Gaussian noise suit them (ours).
    Beyond the ends the map goes on with the mean slope of the outer fifth, so that ranks survive it.
    """

    def __init__(self, knots: int):
        super().__init__()
        for name in ("accuracies", "targets"):
            self.register_buffer(name, torch.zeros(knots, dtype=torch.float64))

    @classmethod
    def of(cls, accuracies: np.ndarray, kind: Kind) -> "Targets":
        """The map for accuracies float64 (n,), n >= 1; equal accuracies all map to 0, and 0 +- anything to them."""
        values = np.unique(accuracies)
        if values[-1] - values[0] <= 1e-9 * (1 + np.abs(values[-1])):
            knots = values[:1], np.zeros(1)
        elif kind == "standardised":
            knots = values[[0, -1]], (values[[0, -1]] - accuracies.mean()) / accuracies.std()
        else:
            scores = ndtri((rankdata(accuracies) - 0.5) / len(accuracies))
            knots = values, np.unique(scores) / scores.std()
        this = cls(len(knots[0]))
        this.accuracies, this.targets = (torch.as_tensor(knot) for knot in knots)
        return this

    def of_accuracies(self, accuracies: np.ndarray) -> np.ndarray:
        """Targets float64 of accuracies of any shape."""
        return _piecewise(accuracies, self.accuracies.numpy(), self.targets.numpy())

    def to_accuracies(self, targets: np.ndarray) -> np.ndarray:
        """Accuracies float64 of targets of any shape: inverse of `of_accuracies`."""
        return _piecewise(targets, self.targets.numpy(), self.accuracies.numpy())


def _piecewise(x: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear interpolation of (knots, values), extended by the mean slopes of the outer fifths of the knots."""
    y = np.interp(x, knots, values)
    if len(knots) > 1:
        outer = -(-len(knots) // 5)
        low = (values[outer] - values[0]) / (knots[outer] - knots[0])
        high = (values[-1] - values[-1 - outer]) / (knots[-1] - knots[-1 - outer])
        y += low * np.minimum(x - knots[0], 0) + high * np.maximum(x - knots[-1], 0)
    return y
