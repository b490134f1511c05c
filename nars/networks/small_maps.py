"""Depthwise convolutions that train fast on a CPU when the feature map is smaller than the kernel.

oneDNN's gradient of a depthwise convolution takes a reference path there that is about ten times slower than on a map
one pixel larger than the kernel. Small images (digits at 32 to 64 pixels) spend a third of a training step in it.
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


def speed_up_small_maps(network: nn.Module) -> None:
    """Turn every bias-free, odd, square depthwise convolution inside `network` into a `SmallMapDepthwise`, in place."""
    for module in network.modules():
        for name, child in module.named_children():
            if _is_depthwise(child):
                faster = SmallMapDepthwise(
                    child.in_channels,
                    child.out_channels,
                    child.kernel_size,
                    stride=child.stride,
                    padding=child.padding,
                    groups=child.groups,
                    bias=False,
                )
                faster.weight = child.weight
                setattr(module, name, faster)


def _is_depthwise(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.groups == module.in_channels == module.out_channels > 1
        and module.bias is None
        and module.dilation == (1, 1)
        and module.kernel_size[0] == module.kernel_size[1]
        and module.kernel_size[0] % 2 == 1
    )
