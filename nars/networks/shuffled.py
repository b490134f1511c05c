"""FBNetV1's projection in groups, whose channels are shuffled so that the next layer sees all of every group."""

import torch
from timm.models._efficientnet_builder import efficientnet_init_weights
from torch import nn


class ShuffledPointwise(nn.Conv2d):
    """A 1x1 nn.Conv2d in groups, then a channel shuffle: (b, c, h, w) -> (b, c', h, w).

    Channel i of group j becomes channel i * groups + j (ShuffleNet's shuffle).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The shuffled convolution of x."""
        return super().forward(x).unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


def shuffle_projection(block: nn.Module, groups: int) -> None:
    """Replace the projection of one of timm's inverted residuals by one in groups, newly initialised as timm does."""
    name = "conv_pwl" if hasattr(block, "conv_pwl") else "conv_pw"
    conv = getattr(block, name)
    factory = {"device": conv.weight.device, "dtype": conv.weight.dtype}
    new = ShuffledPointwise(conv.in_channels, conv.out_channels, 1, groups=groups, bias=False, **factory)
    efficientnet_init_weights(new)
    setattr(block, name, new)
