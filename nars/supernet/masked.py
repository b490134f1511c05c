"""FBNetV2's supernet (DMaskingNAS): one network as large as any of its space, with masks over channels and resolutions.

However many widths, expansions and resolutions there are to choose among, it has the layers of one network.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from timm.models._efficientnet_builder import efficientnet_init_weights
from torch import nn

from nars.errors import UserError
from nars.networks.build import ACTIVATIONS
from nars.settings import ConvHeadSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.choices import Choice, SpaceChoices, choices_of_space
from nars.supernet.masked_blocks import MaskedBlock, batch_norm, pointwise
from nars.supernet.masks import ChannelMask, Marginal, masked
from nars.supernet.resolution import Grid, mixed_over


class MaskedStem(nn.Module):
    """The first convolution (3x3, stride 2) with norm and activation, its channels masked."""

    def __init__(self, choices: SpaceChoices, *, activation: str):
        super().__init__()
        self.width = choices.stem_width
        self.mask = ChannelMask(self.width.values)
        self.conv = nn.Conv2d(3, self.mask.widest, 3, stride=2, padding=1, bias=False)
        self.bn1 = batch_norm(self.mask.widest)
        self.act = ACTIVATIONS[activation]()

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Maps of images, masked by the weights (widths,)."""
        return masked(self.act(self.bn1(self.conv(x))), None if self.mask.fixed else self.mask(weights))


class MaskedHead(nn.Module):
    """What comes after the blocks: a convolution, pooling, in FBNetV2 and V3 one more layer, and the classifier. The
    channels that pooling meets are masked where the last width decides them."""

    def __init__(self, choices: SpaceChoices, head, *, num_classes: int):
        super().__init__()
        widths = choices.last_width.values
        pooled = not isinstance(head, ConvHeadSettings)
        self.width = choices.last_width
        self.mask = ChannelMask([width * head.expansion for width in widths] if pooled else [head.conv])
        self.conv = pointwise(max(widths), self.mask.widest)
        self.bn1 = batch_norm(self.mask.widest)
        self.act = ACTIVATIONS[head.activation]()
        self.last = pointwise(self.mask.widest, head.width) if pooled else None
        self.classifier = nn.Linear(head.width if pooled else head.conv, num_classes)

    def forward(self, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Class scores (b, classes) of maps, masked by the weights (widths,) of the last width."""
        x = self.act(self.bn1(self.conv(x)))
        x = masked(x, None if self.mask.fixed else self.mask(weights)).mean((2, 3), keepdim=True)
        if self.last is not None:
            x = self.act(self.last(x))
        return self.classifier(x.flatten(1))


class MaskedSupernet(nn.Module):
    """See `nars.supernet.contract.Supernet`.

    `sides` are those of the images of each resolution while it is trained, None = the resolutions. It takes images of
    the largest side, and subsamples them. Theta is 0. UserError for spaces that it cannot hold (`check_space`).
    """

    def __init__(self, space: ArchitectureSpace, *, num_classes: int, sides: Sequence[int] | None = None):
        super().__init__()
        choices = check_space(space)
        self.space, self.choices = space, choices
        self.theta = nn.ParameterDict({d.name: torch.zeros(len(d.choices)) for d in space.dimensions})
        sides = choices.resolution.values if sides is None else tuple(sides)
        self.sides = Marginal(Choice(dimension=choices.resolution.dimension, values=sides))
        self.stem = MaskedStem(choices, activation=space.settings.stem_activation)
        self.blocks = nn.ModuleList(MaskedBlock(block) for block in choices.blocks)
        self.head = MaskedHead(choices, space.settings.head, num_classes=num_classes)
        for part in (self.stem, self.blocks, self.head):
            efficientnet_init_weights(part)

    @property
    def largest_side(self) -> int:
        """Side in pixels of the images that it takes."""
        return max(self.sides.values)

    def forward(self, images: torch.Tensor, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See `Supernet`; s is `largest_side`."""
        used = self._used_sides(mixture)
        mixture = {name: weights.to(images.device) for name, weights in mixture.items()}
        weights = [w if i in used else None for i, w in enumerate(self.sides(mixture, images))]
        grid = Grid(sides=self.sides.values)
        stem = self.choices.stem_width.weights(mixture, images)
        x = mixed_over((grid, grid.halved), images, weights, lambda x: self.stem(x, stem))
        grid = grid.halved
        for block in self.blocks:
            after = grid.halved if block.choices.stride == 2 else grid
            mix = block.mix(mixture, images)
            x = mixed_over((grid, after), x, weights, lambda x, block=block, mix=mix: block(x, mix))
            grid = after
        last = self.choices.last_width.weights(mixture, images)
        return mixed_over((grid, None), x, weights, lambda x: self.head(x, last))

    def _used_sides(self, mixture: Mapping[str, torch.Tensor]) -> set[int]:
        """Which sides have a weight other than 0."""
        choice = self.sides.choice
        weights = [1.0] if choice.dimension is None else mixture[choice.dimension].tolist()
        return {self.sides.values.index(side) for side, weight in zip(choice.values, weights, strict=True) if weight}

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """See `Supernet`."""
        return (parameter for name, parameter in self.named_parameters() if not name.startswith("theta."))


def check_space(space: ArchitectureSpace) -> SpaceChoices:
    """What can be chosen of the networks of `space`; UserError if they cannot be masked: with stages in short form, or
    projections in groups."""
    choices = choices_of_space(space, method="fbnetv2")
    grouped = [block.place for block in choices.blocks if max(block.groups.values) > 1]
    if grouped:
        raise UserError(
            f"method=fbnetv2 masks channels, which groups of a projection do not allow: {grouped[0]} of search_space="
            f"{space.name} offers some; leave them out, or take method=fbnetv1"
        )
    return choices
