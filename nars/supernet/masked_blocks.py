"""Blocks of FBNetV2's supernet: each as wide as it can become, with masks for what is narrower.

All kinds of a block share their layers (ours; a branch for each kind would take its memory many times): kernels are
mixed as weights, which is the mixture of their outputs since convolutions are linear; activations, and whether there is
squeeze-and-excite, are mixed where they act. For a block that is decided this is the block itself.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nars.costs.rounding import expanded_width, squeezed_width
from nars.networks.build import ACTIVATIONS, BATCH_NORM_MOMENTUM
from nars.networks.small_maps import PooledPointwise, depthwise
from nars.supernet.choices import BlockChoices, Choice, Mixture, joint
from nars.supernet.masks import SMALLEST, ChannelMask, Marginal, fitted, masked


def pointwise(c_in: int, c_out: int, *, stride: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """The batch norm of the networks."""
    return nn.BatchNorm2d(channels, momentum=BATCH_NORM_MOMENTUM)


@dataclass(frozen=True, kw_only=True)
class ShapeMix:
    """What a mixture means for the output of a block: the mask of its channels, None where all options are equally
    wide, and how probable it is that they are as many as those that enter."""

    out: torch.Tensor | None
    same: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class InsideMix:
    """What a mixture means inside an inverted residual: weights of kernels, activations and squeeze-and-excites, how
    probable it is that the block expands its input, and masks of the channels inside and squeezed."""

    kernels: torch.Tensor
    activations: torch.Tensor
    squeezes: torch.Tensor
    expanded: torch.Tensor
    inside: torch.Tensor | None
    squeezed: torch.Tensor | None


class MixedActivation(nn.Module):
    """A mixture of activations by name."""

    def __init__(self, names: tuple[str, ...]):
        super().__init__()
        self.functions = nn.ModuleList(ACTIVATIONS[name]() for name in names)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The sum of the activations of x, each times its entry of weights (names,)."""
        if len(self.functions) == 1:
            return self.functions[0](x)
        return sum(weight * function(x) for weight, function in zip(weights, self.functions, strict=True))


class MixedDepthwise(nn.Module):
    """A mixture of depthwise convolutions, computed as one with the mixture of their kernels."""

    def __init__(self, channels: int, kernels: tuple[int, ...], *, stride: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, k, groups=channels, bias=False) for k in kernels)
        self.largest = max(kernels)
        self.stride = stride

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """The convolution of x by the sum of the kernels, each times its entry of weights (kernels,)."""
        kernel = self.convs[0].weight
        if len(self.convs) > 1:
            kernel = sum(weight * self._centred(conv) for weight, conv in zip(weights, self.convs, strict=True))
        return depthwise(x, kernel, stride=self.stride, training=self.training)

    def _centred(self, conv: nn.Conv2d) -> torch.Tensor:
        return functional.pad(conv.weight, ((self.largest - conv.kernel_size[0]) // 2,) * 4)


class MaskedSqueeze(nn.Module):
    """Squeeze-and-excite whose squeezed channels are masked."""

    def __init__(self, channels: int, squeezed: int):
        super().__init__()
        self.conv_reduce = PooledPointwise(channels, squeezed, 1)
        self.conv_expand = PooledPointwise(squeezed, channels, 1)

    def forward(self, x: torch.Tensor, activation, mask: torch.Tensor | None) -> torch.Tensor:
        """The factors (b, c, 1, 1), from 0 to 1, of the channels of x."""
        y = masked(activation(self.conv_reduce(x.mean((2, 3), keepdim=True))), mask)
        return functional.hardsigmoid(self.conv_expand(y))


class MaskedResidual(nn.Module):
    """All inverted residuals that a block can be."""

    def __init__(self, choices: BlockChoices):
        super().__init__()
        self.choices = choices
        self.expansion = self._marginal(choices.expansion)
        self.kernel, self.se = self._marginal(choices.kernel), self._marginal(choices.se)
        self.act = self._marginal(choices.activation)
        c_in, expansion = np.array(choices.c_in.values)[:, None], np.array(self.expansion.values)
        inside = expanded_width(c_in, expansion, rounding=choices.rounding).astype(int)
        self.inside, self.widest = ChannelMask(inside), max(choices.width.values)
        expands = inside != c_in
        self.register_buffer("expands", torch.tensor(expands, dtype=torch.float32), persistent=False)
        self.always_expands = bool(expands.all())
        self.conv_pw = pointwise(int(c_in.max()), self.inside.widest) if expands.any() else None
        self.bn1 = batch_norm(self.inside.widest) if expands.any() else None
        self.conv_dw = MixedDepthwise(self.inside.widest, self.kernel.values, stride=choices.stride)
        self.bn2 = batch_norm(self.inside.widest)
        self.squeeze = None
        if any(self.se.values):
            ratios = [expansion if se == "input" else 1 for se in self.se.values if se]
            self.squeezed = ChannelMask(np.stack([squeezed_width(inside, ratio) for ratio in ratios], axis=-1))
            self.squeeze = MaskedSqueeze(self.inside.widest, self.squeezed.widest)
        self.conv_pwl = pointwise(self.inside.widest, self.widest)
        self.bn3 = batch_norm(self.widest)
        self.activation = MixedActivation(self.act.values)

    def _marginal(self, choice: Choice) -> Marginal:
        return Marginal(choice, self.choices.counted(choice, skips=False))

    def mix(self, mixture: Mixture, like: torch.Tensor) -> InsideMix:
        """What a mixture means inside."""
        se = self.se(mixture, like)
        insides = torch.outer(self.choices.c_in.weights(mixture, like), self.expansion(mixture, like))
        squeezed = None
        if self.squeeze is not None and not self.squeezed.fixed:
            kinds = torch.stack([weight for weight, value in zip(se, self.se.values, strict=True) if value])
            kinds = kinds / kinds.sum().clamp_min(SMALLEST) if len(kinds) > 1 else like.new_ones(1)
            squeezed = self.squeezed(insides[..., None] * kinds)
        return InsideMix(
            kernels=self.kernel(mixture, like),
            activations=self.act(mixture, like),
            squeezes=se,
            expanded=(insides * self.expands).sum(),
            inside=None if self.inside.fixed else self.inside(insides),
            squeezed=squeezed,
        )

    def forward(self, x: torch.Tensor, shape: ShapeMix, mix: InsideMix) -> torch.Tensor:
        """The mixture of the blocks: (b, c, h, w) -> (b, c', h', w')."""
        y = self.conv_dw(self._expanded(x, mix), mix.kernels)
        y = masked(self.activation(self.bn2(y), mix.activations), mix.inside)
        if self.squeeze is not None:
            y = y * self._factors(y, mix)
        y = masked(self.bn3(self.conv_pwl(y)), shape.out)
        return y if self.choices.stride != 1 else y + shape.same * fitted(x, self.widest)

    def _expanded(self, x: torch.Tensor, mix: InsideMix) -> torch.Tensor:
        as_it_is = fitted(x, self.inside.widest)
        if self.conv_pw is None:
            return as_it_is
        y = self.activation(self.bn1(self.conv_pw(x)), mix.activations)
        return y if self.always_expands else mix.expanded * y + (1 - mix.expanded) * as_it_is

    def _factors(self, x: torch.Tensor, mix: InsideMix) -> torch.Tensor:
        factors = self.squeeze(x, lambda y: self.activation(y, mix.activations), mix.squeezed)
        if all(self.se.values):
            return factors
        without = mix.squeezes[self.se.values.index(False)]
        return without + (1 - without) * factors


class MaskedSkip(nn.Module):
    """All skips that a block can be: as far as the shape stays the same nothing, else a 1x1 convolution with norm and
    activation."""

    def __init__(self, choices: BlockChoices):
        super().__init__()
        self.choices = choices
        self.widest = max(choices.width.values)
        self.act = Marginal(choices.activation, choices.counted(choices.activation, skips=True))
        self.activation = MixedActivation(self.act.values)
        self.conv = pointwise(max(choices.c_in.values), self.widest, stride=choices.stride)
        self.bn1 = batch_norm(self.widest)

    def forward(self, x: torch.Tensor, shape: ShapeMix, activations: torch.Tensor) -> torch.Tensor:
        """The mixture of the skips: (b, c, h, w) -> (b, c', h', w')."""
        y = masked(self.activation(self.bn1(self.conv(x)), activations), shape.out)
        if self.choices.stride != 1:
            return y
        return shape.same * fitted(x, self.widest) + (1 - shape.same) * y


class MaskedBlock(nn.Module):
    """All that one block can be."""

    def __init__(self, choices: BlockChoices):
        super().__init__()
        self.choices = choices
        self.residual = None if all(choices.skip.values) else MaskedResidual(choices)
        self.skip = MaskedSkip(choices) if any(choices.skip.values) else None
        self.skipped = Marginal(choices.skip)
        self.out = ChannelMask(choices.width.values)
        same = [[c_in == c_out for c_out in choices.width.values] for c_in in choices.c_in.values]
        self.register_buffer("same", torch.tensor(same, dtype=torch.float32), persistent=False)

    def mix(self, mixture: Mixture, like: torch.Tensor) -> "BlockMix":
        """What a mixture means for the block; `like` has the type and the device of the images."""
        out = None if self.out.fixed else self.out(self.choices.width.weights(mixture, like))
        pairs = joint(self.choices.c_in, self.choices.width, mixture, like)
        skipped = self.skipped(mixture, like)
        return BlockMix(
            shape=ShapeMix(out=out, same=(pairs * self.same).sum()),
            skipped=skipped[self.skipped.values.index(True)] if self.skip is not None else like.new_zeros(()),
            inside=self.residual.mix(mixture, like) if self.residual is not None else None,
            skip_activations=self.skip.act(mixture, like) if self.skip is not None else None,
        )

    def forward(self, x: torch.Tensor, mix: "BlockMix") -> torch.Tensor:
        """The mixture of all that the block can be: (b, c, h, w) -> (b, c', h', w')."""
        if self.skip is None:
            return self.residual(x, mix.shape, mix.inside)
        skip = self.skip(x, mix.shape, mix.skip_activations)
        if self.residual is None:
            return skip
        return mix.skipped * skip + (1 - mix.skipped) * self.residual(x, mix.shape, mix.inside)


@dataclass(frozen=True, kw_only=True)
class BlockMix:
    """What a mixture means for one block: `skipped` is how probable it is that it is a skip."""

    shape: ShapeMix
    skipped: torch.Tensor
    inside: InsideMix | None
    skip_activations: torch.Tensor | None
