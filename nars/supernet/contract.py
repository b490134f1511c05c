"""What every supernet is: a network that computes any mixture of its space's choices."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import nn

from nars.spaces.architecture import ArchitectureSpace


class Supernet(Protocol):
    """An `nn.Module` that holds all choices of `space`. `theta` has the logits float32 (choices,) of each dimension by
    its name."""

    space: ArchitectureSpace
    theta: nn.ParameterDict

    def __call__(self, images: torch.Tensor, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Class scores (b, classes) of images float32 (b, 3, s, s), every dimension mixed as `mixture` (choices,)
        says. A choice of weight 0 is not computed where it can be left out."""

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters but theta."""


class MixtureCosts(Protocol):
    """The costs `names` of mixtures of a space's choices."""

    names: tuple[str, ...]

    def __call__(self, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """float64 (k,), on the CPU, differentiable, from the weights (choices,) of each dimension."""


def one_hot(space: ArchitectureSpace, point) -> dict[str, torch.Tensor]:
    """The mixtures, float32 (choices,) by dimension, that are the architecture of a point (d,)."""
    return {
        dimension.name: torch.nn.functional.one_hot(torch.tensor(int(choice)), len(dimension.choices)).float()
        for dimension, choice in zip(space.dimensions, point, strict=True)
    }
