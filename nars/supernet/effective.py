"""What a supernet's mixture costs on effective sizes: FBNetV2's estimate, differentiable.

The effective size of something is the mean of its choices under the mixture: .8 * 16 + .2 * 12 = 15.2 channels (paper).
A layer costs the product of its effective sizes. So what two sizes have in common is lost: the channels inside a block
follow those that enter it, and the mean of their product is more than the product of their means. For a decided
mixture it is exact; otherwise `nars.supernet.expected` is exact and this is not.
"""

from collections.abc import Mapping

import numpy as np
import torch

from nars.costs.pricing import Pricing
from nars.costs.rounding import expanded_width, squeezed_width
from nars.errors import UserError
from nars.settings import ConvHeadSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.choices import BlockChoices, Choice, Mixture, choices_of_space, joint
from nars.supernet.masks import Marginal
from nars.supernet.resolution import Grid

KNOWN = ("macs", "params", "activations")
Sizes = torch.Tensor | float


class EffectiveCosts:
    """The costs `names` of mixtures of the networks of `space`; UserError for a cost that no product of sizes gives."""

    def __init__(self, space: ArchitectureSpace, names: tuple[str, ...], pricing: Pricing):
        unknown = [name for name in names if name not in KNOWN]
        if unknown:
            raise UserError(
                f"method.costs=effective knows {', '.join(KNOWN)}, not {unknown[0]}; take method.costs=expected"
            )
        self.names = names
        self._choices = choices_of_space(space, method="fbnetv2")
        self._blocks = [_EffectiveBlock(block) for block in self._choices.blocks]
        self._head, self._num_classes = space.settings.head, pricing.num_classes

    def __call__(self, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """float64 (k,), on the CPU, from the weights (choices,) of each dimension."""
        mixture = {name: weights.to("cpu", torch.float64) for name, weights in mixture.items()}
        resolution = self._choices.resolution
        weights = resolution.weights(mixture, torch.zeros((), dtype=torch.float64))
        grid = Grid(sides=resolution.values).halved
        width, side = _mean(self._choices.stem_width, mixture), _side(grid, weights)
        total = _conv(3, width, side**2, kernel=3)
        for block in self._blocks:
            before, side_in = width, side
            grid = grid.halved if block.choices.stride == 2 else grid
            width, side = _mean(block.choices.width, mixture), _side(grid, weights)
            total = total + block.costs(mixture, before, width, side_in**2, side**2)
        total = total + self._head_costs(width, side**2)
        return total[[KNOWN.index(name) for name in self.names]]

    def _head_costs(self, width: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        head = self._head
        if isinstance(head, ConvHeadSettings):
            return _conv(width, head.conv, pixels) + _linear(head.conv, self._num_classes, bias=True)
        final = width * head.expansion
        layers = _linear(final, head.width, bias=False) + _linear(head.width, self._num_classes, bias=True)
        return _conv(width, final, pixels) + layers


class _EffectiveBlock:
    """The costs of one block."""

    def __init__(self, choices: BlockChoices):
        self.choices = choices
        c_in, c_out = np.array(choices.c_in.values), np.array(choices.width.values)
        self._same = torch.tensor(c_in[:, None] == c_out, dtype=torch.float64)
        self._skip = Marginal(choices.skip).double()
        self._works = not all(choices.skip.values)
        if self._works:
            self._expansion, self._kernel, self._se = (
                Marginal(choice, choices.counted(choice, skips=False)).double()
                for choice in (choices.expansion, choices.kernel, choices.se)
            )
            expansion = np.array(self._expansion.values)
            inside = expanded_width(c_in[:, None], expansion, rounding=choices.rounding)
            squeezed = [squeezed_width(inside, expansion if se == "input" else 1) * bool(se) for se in self._se.values]
            self._inside, self._squeezed = torch.tensor(inside), torch.tensor(np.stack(squeezed, axis=-1))
            self._expands = torch.tensor(inside != c_in[:, None], dtype=torch.float64)

    def costs(self, mixture: Mixture, c_in: Sizes, c_out: Sizes, entering: Sizes, leaving: Sizes) -> torch.Tensor:
        """(KNOWN,) for effective channels and pixels in and out."""
        like = torch.zeros((), dtype=torch.float64)
        weights = self._skip(mixture, like)
        skipped = weights[self._skip.values.index(True)] if True in self._skip.values else like
        changes = like + 1
        if self.choices.stride == 1:
            changes = 1 - (joint(self.choices.c_in, self.choices.width, mixture, like) * self._same).sum()
        total = skipped * changes * _conv(c_in, c_out, leaving)
        if self._works:
            total = total + (1 - skipped) * self._residual(mixture, like, c_in, c_out, entering, leaving)
        return total

    def _residual(self, mixture, like, c_in, c_out, entering, leaving) -> torch.Tensor:
        pairs = torch.outer(self.choices.c_in.weights(mixture, like), self._expansion(mixture, like))
        inside, expands = (pairs * self._inside).sum(), (pairs * self._expands).sum()
        kernels = self._kernel(mixture, like) @ torch.tensor([k * k for k in self._kernel.values], dtype=torch.float64)
        total = expands * _conv(c_in, inside, entering) + _conv(1, inside, leaving, kernel=kernels**0.5)
        for weight, squeeze, se in zip(
            self._se(mixture, like), self._squeezed.unbind(-1), self._se.values, strict=True
        ):
            if se:
                squeezed = (pairs * squeeze).sum()
                excite = _linear(inside, squeezed, bias=True) + _linear(squeezed, inside, bias=True)
                total = total + weight * excite
        return total + _conv(inside, c_out, leaving)


def _mean(choice: Choice, mixture: Mixture) -> torch.Tensor:
    """The effective size of a choice among numbers."""
    values = torch.tensor(choice.values, dtype=torch.float64)
    return choice.weights(mixture, values) @ values


def _side(grid: Grid, weights: torch.Tensor) -> torch.Tensor:
    return weights @ torch.tensor(grid.sides, dtype=torch.float64)


def _conv(c_in: Sizes, c_out: Sizes, pixels: Sizes, *, kernel: Sizes = 1) -> torch.Tensor:
    """(KNOWN,) of a convolution with norm."""
    weights = c_in * c_out * kernel**2
    return _stacked(weights * pixels, weights + 2 * c_out, c_out * pixels)


def _linear(c_in: Sizes, c_out: Sizes, *, bias: bool) -> torch.Tensor:
    """(KNOWN,) of a layer that meets one pixel."""
    return _stacked(c_in * c_out, c_in * c_out + bias * c_out, c_out)


def _stacked(*costs: Sizes) -> torch.Tensor:
    return torch.stack([torch.as_tensor(cost, dtype=torch.float64) for cost in costs])
