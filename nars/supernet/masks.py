"""Weights of values that several choices share, and masks of channels: one vector, however many widths there are."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from nars.supernet.choices import Choice, Mixture

SMALLEST = 1e-6  # probability that conditional ones are divided by


class Marginal(nn.Module):
    """Weights (values,) of the distinct `values` of a choice, whose choices may share one.

    Where not all choices are `counted`, the weights are those under the condition that one of these is made.
    """

    def __init__(self, choice: Choice, counted: Sequence[bool] | None = None):
        super().__init__()
        self.choice = choice
        counted = [True] * len(choice.values) if counted is None else counted
        self.values = tuple(dict.fromkeys(v for v, c in zip(choice.values, counted, strict=True) if c))
        belongs = [[c and v == value for value in self.values] for v, c in zip(choice.values, counted, strict=True)]
        self.register_buffer("belongs", torch.tensor(belongs, dtype=torch.float32), persistent=False)
        self.partial = not all(counted)

    def forward(self, mixture: Mixture, like: torch.Tensor) -> torch.Tensor:
        """The weights under a mixture; float32, on the device of `like`."""
        if len(self.values) == 1:
            return like.new_ones(1)
        weights = self.choice.weights(mixture, like) @ self.belongs
        return weights / weights.sum().clamp_min(SMALLEST) if self.partial else weights


class ChannelMask(nn.Module):
    """sum_i g_i * 1_i as one vector (widest,): 1_i is 1 for the first `widths`[i] channels and 0 for the others, g_i
    the weight of option i (paper). `fixed`: all options are equally wide, so that it is 1."""

    def __init__(self, widths: np.ndarray | Sequence[int]):
        super().__init__()
        self.register_buffer("widths", torch.tensor(np.asarray(widths), dtype=torch.int64).flatten(), persistent=False)
        self.widest = int(self.widths.max())
        self.fixed = int(self.widths.min()) == self.widest

    def forward(self, weights: torch.Tensor) -> torch.Tensor:
        """The mask (widest,) for the weights (options, ...) of as many options as there are widths."""
        narrower = weights.new_zeros(self.widest + 1).index_add(0, self.widths, weights.flatten())
        return narrower.flip(0).cumsum(0).flip(0)[1:]  # channel c is kept by all widths above it


def masked(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Maps (b, c, h, w) times a mask (c,); as they are without one."""
    return x if mask is None else x * mask.to(x.dtype)[:, None, None]


def fitted(x: torch.Tensor, channels: int) -> torch.Tensor:
    """Maps with `channels` channels: the first ones, or zeros added."""
    if x.shape[1] >= channels:
        return x[:, :channels]
    return nn.functional.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))
