"""A classification network as the backbone of a detector: its maps of several strides, and a pyramid of them."""

import math

import torch
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from nars.errors import UserError

STRIDES = (4, 8, 16, 32)
_SIDE = 256  # of the image by which a network's maps are told apart
_NOT_CALLED = (AttributeError, RuntimeError, TypeError, ValueError)


class Trunk(nn.Module):
    """A network without its classifier: images (b, 3, h, w) to the last map (b, c, h / s, w / s) of each stride s.

    `strides` and `channels` are those of the maps. What comes after the last map is left out, so is a convolution that
    widens it for the classifier. A network of the FBNet family keeps its own padding, by which some of its maps are a
    pixel smaller than others' (released code).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        # timm counts the ends of the resolutions; with `extra_blocks` every stage of these two families.
        self._by_block = {"extra_blocks": True} if isinstance(network, MobileNetV3 | EfficientNet) else {}
        found = self._last_of_each_stride()
        self.strides = tuple(found)
        self.taps = [index for index, _ in found.values()]
        self.channels = tuple(channels for _, channels in found.values())
        network.prune_intermediate_layers(self.taps, prune_norm=True, prune_head=True, **self._by_block)

    def _last_of_each_stride(self) -> dict[int, tuple[int, int]]:
        """The index and the channels of the last map of each stride."""
        training = self.network.training
        try:
            with torch.no_grad():
                self.network.eval()
                maps = self._maps(torch.zeros(1, 3, _SIDE, _SIDE), None)
        except _NOT_CALLED as error:
            reason = str(error).partition("\n")[0]
            raise UserError(f"the network gives no feature maps for a detector ({reason}); take another") from None
        finally:
            self.network.train(training)
        if isinstance(self.network, MobileNetV3):
            maps = maps[:-1]  # the last stage is the convolution before the classifier
        found = {}
        for index, features in enumerate(maps):
            stride = 2 ** round(math.log2(_SIDE / features.shape[-1])) if features.dim() == 4 else 0
            if stride in STRIDES:
                found[stride] = (index, features.shape[1])
        if len(found) < 2:
            raise UserError(
                "the network has maps of fewer than two of the strides 4, 8, 16 and 32, too few for a detector; take "
                "another"
            )
        return found

    def _maps(self, images: torch.Tensor, taps: list[int] | None) -> list[torch.Tensor]:
        """The maps of these taps, None: of all."""
        return self.network.forward_intermediates(images, taps, intermediates_only=True, **self._by_block)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """The maps by their number, as torchvision's pyramid names them: "0" is the finest."""
        maps = self._maps(images.contiguous(memory_format=torch.channels_last), self.taps)
        return {str(number): features for number, features in enumerate(maps)}


class Pyramid(nn.Module):
    """A trunk with torchvision's feature pyramid on its maps, batch norm in it: a backbone as torchvision's detectors
    take it, all maps of `out_channels`."""

    def __init__(self, trunk: Trunk, *, out_channels: int, extra: ExtraFPNBlock | None = None):
        super().__init__()
        self.trunk = trunk
        self.out_channels = out_channels
        self.fpn = FeaturePyramidNetwork(
            list(trunk.channels), out_channels, extra_blocks=extra, norm_layer=nn.BatchNorm2d
        )

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """The pyramid's maps by name, the finest first."""
        return self.fpn(self.trunk(images))
