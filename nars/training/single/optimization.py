"""Optimizer and learning rate of a recipe under a protocol."""

import math

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


def build_optimizer(network: nn.Module, recipe: Recipe, protocol: ProtocolSettings) -> torch.optim.Optimizer:
    """RMSProp (TensorFlow flavour) or SGD with momentum; no weight decay on norms and biases."""
    groups = param_groups_weight_decay(network, weight_decay=recipe.weight_decay)
    lr = base_lr(recipe, protocol)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=protocol.momentum)
    return RMSpropTF(groups, lr=lr, alpha=protocol.rmsprop_alpha, eps=protocol.rmsprop_eps, momentum=protocol.momentum)
