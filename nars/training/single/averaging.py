"""The average of a training's weights (EMA)."""

import torch
from timm.utils import ModelEmaV3
from torch import nn


class WeightAverage(ModelEmaV3):
    """timm's ModelEmaV3 to the bit, which makes two state dicts of the network in every step; this one makes none.

    Call `follow` when the network has got its device.
    """

    def follow(self, network: nn.Module) -> None:
        """Average the tensors of `network` from now on, those that `update` is handed."""
        pairs = list(zip(self.module.state_dict().values(), network.state_dict().values(), strict=True))
        self._averaged = list(zip(*[pair for pair in pairs if pair[0].is_floating_point()], strict=True))
        self._copied = list(zip(*[pair for pair in pairs if not pair[0].is_floating_point()], strict=True))

    def apply_update_(self, model: nn.Module, decay: float) -> None:
        """See ModelEmaV3: move floating-point tensors by 1 - decay towards the network's, copy the others."""
        torch._foreach_lerp_(*self._averaged, weight=1.0 - decay)
        if self._copied:
            torch._foreach_copy_(*self._copied)
