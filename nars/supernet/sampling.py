"""Mixtures of choices that are drawn so that gradients reach the logits, and how decided logits are.

A mixture is float32 (choices,), not negative, with sum 1. The mean of drawn mixtures is not softmax(logits): at a high
temperature they are nearly even, whatever the logits. Only the index of the largest entry has these probabilities.
"""

import math
from collections.abc import Mapping

import torch

from nars.settings import TemperatureSettings


def gumbel_softmax(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """A mixture float32 (n,) of logits (n,): softmax((logits + Gumbel noise) / temperature) (paper).

    The noise comes from a generator of the CPU, whatever the device, so that it is the same on all of them.
    """
    noise = -torch.empty(logits.shape, dtype=torch.float32).exponential_(generator=generator).log()
    return torch.softmax((logits.float() + noise.to(logits.device)) / temperature, dim=-1)


def one_path(mixture: torch.Tensor) -> torch.Tensor:
    """1 at the largest entry of a mixture (n,) and exactly 0 elsewhere, with the gradient of the mixture: of what has
    weight 0 nothing need be computed (GDAS, Dong and Yang 2019)."""
    hard = torch.zeros_like(mixture)
    hard[mixture.argmax()] = 1.0
    return hard + (mixture - mixture.detach())


def sampled_mixtures(
    theta: Mapping[str, torch.Tensor], temperature: float, generator: torch.Generator, *, paths: str
) -> dict[str, torch.Tensor]:
    """A mixture for each dimension; of one path where `paths` is sampled."""
    mixtures = {name: gumbel_softmax(logits, temperature, generator) for name, logits in theta.items()}
    return {name: one_path(mixture) for name, mixture in mixtures.items()} if paths == "sampled" else mixtures


def temperature_at(epoch: int, settings: TemperatureSettings) -> float:
    """The temperature of an epoch (0 = the first)."""
    return settings.start * math.exp(-settings.decay * epoch)


def probabilities_of(theta: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """softmax(theta) float32 (choices,) of each dimension: how probable each choice is."""
    return {name: torch.softmax(logits.float(), dim=-1) for name, logits in theta.items()}


def entropy_of(probabilities: Mapping[str, torch.Tensor]) -> float:
    """The mean over the dimensions of the entropy as a share of that of even probabilities: 1 where nothing is decided,
    0 where all is."""
    shares = [float(-(p * p.clamp_min(1e-30).log()).sum()) / math.log(len(p)) for p in probabilities.values()]
    return sum(shares) / len(shares)
