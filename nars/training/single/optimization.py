"""Optimizer and learning rate of a recipe under a protocol."""

import math
from collections.abc import Mapping, Sequence

import torch
from timm.optim import RMSpropTF, param_groups_weight_decay
from torch import nn

from nars.settings import ProtocolSettings, ScheduleSettings
from nars.spaces.recipe import Recipe


def base_lr(recipe: Recipe, protocol: ProtocolSettings) -> float:
    """Learning rate after warm-up: the recipe's, scaled linearly with the batch size, times SGD's own factor."""
    factor = protocol.sgd_lr_multiplier if recipe.optimizer == "sgd" else 1.0
    return recipe.lr * factor * protocol.batch_size / protocol.lr_batch_size


def lr_factor(step: int, steps_per_epoch: int, protocol: ScheduleSettings) -> float:
    """What the base learning rate is multiplied by in step `step` (0 = the first).

    Rises linearly over `warmup_epochs`, then falls by `lr_decay` with every epoch begun. Does not depend on the
    number of epochs, so a training stopped early equals the beginning of a longer one.
    """
    warmup_steps = protocol.warmup_epochs * steps_per_epoch
    if step + 1 < warmup_steps:
        return (step + 1) / warmup_steps
    return protocol.lr_decay ** max(0, step // steps_per_epoch - math.ceil(protocol.warmup_epochs))


def build_optimizer(
    network: nn.Module, recipe: Recipe, protocol: ProtocolSettings, lr_factors: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """RMSProp (TensorFlow flavour) or SGD with momentum; no weight decay on norms and biases. `lr_factors` multiply the
    learning rates of all parameters, by name; none: they are as they are."""
    lr = base_lr(recipe, protocol)
    groups = param_groups_weight_decay(network, weight_decay=recipe.weight_decay)
    if lr_factors:
        groups = by_factor(groups, network, lr, lr_factors)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=protocol.momentum)
    return RMSpropTF(groups, lr=lr, alpha=protocol.rmsprop_alpha, eps=protocol.rmsprop_eps, momentum=protocol.momentum)


def by_factor(groups: Sequence[dict], network: nn.Module, lr: float, lr_factors: Mapping[str, float]) -> list[dict]:
    """Groups of parameters parted by learning rate, since torch's optimizers know nothing of timm's `lr_scale`."""
    factor_of = {parameter: lr_factors[name] for name, parameter in network.named_parameters()}
    return [
        group | {"lr": lr * factor, "params": [p for p in group["params"] if factor_of[p] == factor]}
        for group in groups
        for factor in sorted({factor_of[parameter] for parameter in group["params"]})
    ]
