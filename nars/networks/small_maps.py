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
        kernel = self.kernel_size[0]
        plain = self.stride == (1, 1) and self.dilation == (1, 1) and self.padding == (kernel // 2, kernel // 2)
        return _on_small_map(x, self.weight) if self.training and plain and _small(x, kernel) else super().forward(x)


def depthwise(x: torch.Tensor, weight: torch.Tensor, *, stride: int, training: bool) -> torch.Tensor:
    """The depthwise convolution of (b, c, h, w) by (c, 1, k, k), padded by k // 2, as `SmallMapDepthwise` takes it."""
    kernel = weight.shape[-1]
    if training and stride == 1 and _small(x, kernel):
        return _on_small_map(x, weight)
    return functional.conv2d(x, weight, None, stride, kernel // 2, 1, len(weight))


def _small(x: torch.Tensor, kernel: int) -> bool:
    return x.device.type == "cpu" and x.shape[-2] == x.shape[-1] <= kernel


def _on_small_map(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    kernel, side = weight.shape[-1], x.shape[-1]
    idle = max(0, kernel // 2 - (side - 1))  # outer kernel rows and columns that reach no pixel
    weight = weight[:, :, idle : kernel - idle, idle : kernel - idle]
    kernel -= 2 * idle
    more = kernel + 1 - side if kernel > 1 else 0
    padded = functional.pad(x, (0, more, 0, more))
    y = functional.conv2d(padded, weight, None, 1, kernel // 2, 1, len(weight))
    return y[:, :, :side, :side]


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
