"""Convolutions that train fast on a CPU when the feature map is small: the same numbers by another way.

oneDNN's gradient of a depthwise convolution takes a reference path on a map smaller than the kernel, about ten times
slower than on a map one pixel larger than the kernel; and a 1x1 convolution of a 1x1 map is slower than the matrix
product that it is. Small images (digits at 32 to 64 pixels) spend a third of a training step in these.
"""

import torch
from torch import nn
from torch.nn import functional


class SmallMapDepthwise(nn.Conv2d):
    """A depthwise nn.Conv2d with the same numbers; only the way to them differs while training on a CPU.

    Input (b, c, h, w) -> (b, c, h', w') as nn.Conv2d. For stride 1 and centred padding, kernel rows that only ever
    meet padding are left out and the map is padded with zeros beyond the kernel's size, then cut back.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution of x."""
        kernel, side = self.kernel_size[0], max(x.shape[-2:])
        if not self._applies(x, kernel, side):
            return super().forward(x)
        idle = max(0, kernel // 2 - (side - 1))  # outer kernel rows and columns that reach no pixel
        weight = self.weight[:, :, idle : kernel - idle, idle : kernel - idle]
        kernel -= 2 * idle
        more = kernel + 1 - side if kernel > 1 else 0
        padded = functional.pad(x, (0, more, 0, more))
        y = functional.conv2d(padded, weight, None, 1, kernel // 2, 1, self.groups)
        return y[:, :, : x.shape[-2], : x.shape[-1]]

    def _applies(self, x: torch.Tensor, kernel: int, side: int) -> bool:
        plain = self.stride == (1, 1) and self.dilation == (1, 1) and self.padding == (kernel // 2, kernel // 2)
        return self.training and x.device.type == "cpu" and plain and x.shape[-2] == x.shape[-1] and side <= kernel


class PooledPointwise(nn.Conv2d):
    """A 1x1 nn.Conv2d that is a matrix product where its map is one pixel: (b, c, 1, 1) -> (b, c', 1, 1)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution of x."""
        if not self.training or x.device.type != "cpu" or x.shape[-2:] != (1, 1):
            return super().forward(x)
        return functional.linear(x.flatten(1), self.weight.flatten(1), self.bias)[..., None, None]


def speed_up_small_maps(network: nn.Module) -> None:
    """Replace the convolutions inside `network` that meet small maps, in place; parameters stay the same objects."""
    for module in network.modules():
        for name, child in module.named_children():
            if _is_depthwise(child):
                setattr(module, name, _recast(child, SmallMapDepthwise))
            elif type(child) is nn.Conv2d and name in ("conv_reduce", "conv_expand", "conv_head"):
                setattr(module, name, _recast(child, PooledPointwise))


def _recast(conv: nn.Conv2d, kind: type[nn.Conv2d]) -> nn.Conv2d:
    new = kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        stride=conv.stride,
        padding=conv.padding,
        groups=conv.groups,
        bias=conv.bias is not None,
        device="meta",
    )
    new.weight, new.bias = conv.weight, conv.bias
    return new


def _is_depthwise(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.groups == module.in_channels == module.out_channels > 1
        and module.bias is None
        and module.dilation == (1, 1)
        and module.kernel_size[0] == module.kernel_size[1]
        and module.kernel_size[0] % 2 == 1
    )
