"""A decided architecture of FBNetV2's supernet as a network of its own, without masks."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from nars.costs.rounding import expanded_width
from nars.networks.build import build_network
from nars.spaces.blocks import PlacedBlock
from nars.supernet.masked import MaskedSupernet
from nars.supernet.masked_blocks import MaskedResidual, MaskedSkip


@torch.no_grad()
def sliced(supernet: MaskedSupernet, point: np.ndarray) -> nn.Module:
    """The network of the architecture of a point (d,), with the supernet's weights and statistics: in evaluation it
    gives the scores that the supernet gives for that choice, for images of its resolution."""
    architecture = supernet.space.architecture(point)
    classifier = supernet.head.classifier
    network = build_network(architecture, num_classes=classifier.out_features).to(classifier.weight)
    _copy(network.conv_stem, supernet.stem.conv)
    _copy(network.bn1, supernet.stem.bn1)
    modules: Iterator[nn.Module] = iter([module for stack in network.blocks for module in stack])
    placed = [block for stage in architecture.placed_blocks for block in stage]
    for place, block in zip(placed, supernet.blocks, strict=True):
        if place.is_nothing:
            continue
        if place.block.skip:
            _copy_skip(next(modules), block.skip)
        else:
            _copy_residual(next(modules), block.residual, place)
    _copy_head(network, next(modules, None), supernet)
    return network.eval()


def _copy_skip(module: nn.Module, skip: MaskedSkip) -> None:
    _copy(module.conv, skip.conv)
    _copy(module.bn1, skip.bn1)


def _copy_residual(module: nn.Module, residual: MaskedResidual, placed: PlacedBlock) -> None:
    expands = int(expanded_width(placed.c_in, placed.block.expansion, rounding=placed.rounding)) != placed.c_in
    norms = [residual.bn1] * expands + [residual.bn2, residual.bn3]
    for name, norm in zip(("bn1", "bn2", "bn3"), norms, strict=False):
        _copy(getattr(module, name), norm)
    if expands:
        _copy(module.conv_pw, residual.conv_pw)
    _copy(module.conv_dw, residual.conv_dw.convs[residual.kernel.values.index(placed.block.kernel)])
    _copy(module.conv_pwl if expands else module.conv_pw, residual.conv_pwl)
    if placed.block.se:
        _copy(module.se.conv_reduce, residual.squeeze.conv_reduce)
        _copy(module.se.conv_expand, residual.squeeze.conv_expand)


def _copy_head(network: nn.Module, expansion: nn.Module | None, supernet: MaskedSupernet) -> None:
    head = supernet.head
    if expansion is None:
        _copy(network.conv_head, head.conv)
        _copy(network.bn2, head.bn1)
    else:  # a block of timm's
        _copy(expansion.conv, head.conv)
        _copy(expansion.bn1, head.bn1)
    if head.last is not None:
        _copy(network.conv_head, head.last)
    _copy(network.classifier, head.classifier)


def _copy(target: nn.Module, source: nn.Module) -> None:
    """Fill the target's tensors with the first entries of the source's, along every axis."""
    for name, tensor in target.state_dict().items():
        tensor.copy_(source.state_dict()[name][tuple(slice(size) for size in tensor.shape)])
