"""The block of a shape as a module of its own, as it stands in a network."""

import torch
from torch import nn

from nars.costs.shapes import Shape
from nars.networks.build import block_of, build_network
from nars.settings import ConvHeadSettings, HeadSettings
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import Block, BlockStage

HEAD = HeadSettings(expansion=1, width=1)


def module_of(shape: Shape) -> nn.Module:
    """The block, untrained, in evaluation mode: float32 (b, c_in, side, side) -> (b, c_out, side_out, side_out); the
    head gives (b, c_out), the classifier takes (b, c_in)."""
    return _made(shape).eval()


def input_of(shape: Shape, batch: int) -> torch.Tensor:
    """Random numbers that the block takes."""
    size = (batch, shape.c_in) if shape.kind == "classifier" else (batch, shape.c_in, shape.side, shape.side)
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


def _made(shape: Shape) -> nn.Module:
    match shape.kind:
        case "block" | "skip":
            return block_of(shape)
        case "stem":
            network = _smallest(stem=shape.c_out, stem_activation=shape.activation)
            return nn.Sequential(network.conv_stem, network.bn1)
        case "head":
            head = HeadSettings(expansion=shape.middle // shape.c_in, width=shape.c_out, activation=shape.activation)
            network = _smallest(stem=shape.c_in, head=head)
            return nn.Sequential(network.blocks, network.global_pool, network.conv_head, network.act2, network.flatten)
        case "conv_head":
            head = ConvHeadSettings(conv=shape.c_out, activation=shape.activation)
            network = _smallest(stem=shape.c_in, head=head)
            return nn.Sequential(network.blocks, network.conv_head, network.bn2, network.global_pool)
        case "classifier":
            return _smallest(head=HeadSettings(expansion=1, width=shape.c_in), num_classes=shape.c_out).classifier
    raise AssertionError(shape.kind)


def _smallest(
    *,
    stem: int = 8,
    stem_activation: str = "hswish",
    head: HeadSettings | ConvHeadSettings = HEAD,
    num_classes: int = 1,
) -> nn.Module:
    """A network of a stem and a head."""
    nothing = BlockStage(stride=1, blocks=(Block(width=stem, skip=True),))
    architecture = Architecture(
        resolution=32, stem_width=stem, stem_activation=stem_activation, stages=(nothing,), head=head
    )
    return build_network(architecture, num_classes=num_classes)
