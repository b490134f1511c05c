"""An architecture as a timm network."""

from dataclasses import dataclass
from functools import partial

from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn

from nars.costs.rounding import expanded_width, squeezed_width
from nars.networks.shuffled import shuffle_projection
from nars.networks.small_maps import speed_up_small_maps
from nars.settings import ConvHeadSettings, Recipe
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import AnyStage, Block

BATCH_NORM_MOMENTUM = 0.1  # timm's and the papers' 0.9, in PyTorch's direction
ACTIVATIONS = {"hswish": nn.Hardswish, "relu": nn.ReLU}


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """timm's arguments of a block, and what timm has no argument for."""

    arguments: dict
    padding: int | None = None
    groups: int = 1


def build_network(
    architecture: Architecture, *, num_classes: int, recipe: Recipe | None = None
) -> MobileNetV3 | EfficientNet:
    """timm's MobileNetV3 with the blocks of `architecture`, or its EfficientNet where the head is a convolution.

    Untrained. Input: images float32 (b, 3, r, r), r = `architecture.resolution` or any other size. The recipe's
    `dropout` acts before the classifier; the drop probability of residual branches rises linearly with depth to its
    `stochastic_depth`; None drops nothing. The last batch norm of every residual branch starts at zero, so that a deep
    untrained network starts as a shallow one (released code).
    """
    stacks = _stacks(architecture)
    head = architecture.head
    shared = {
        "num_classes": num_classes,
        "stem_size": architecture.stem_width,
        "round_chs_fn": _keep_width,
        "act_layer": ACTIVATIONS[head.activation],
        "norm_layer": partial(nn.BatchNorm2d, momentum=BATCH_NORM_MOMENTUM),
        "drop_rate": recipe.dropout if recipe else 0.0,
        "drop_path_rate": recipe.stochastic_depth if recipe else 0.0,
    }
    blocks = [[dict(layer.arguments) for layer in stack] for stack in stacks]
    if isinstance(head, ConvHeadSettings):
        network = EfficientNet(block_args=[*blocks, [_convolution(head.conv)]], num_features=0, **shared)
    else:
        last = _convolution(architecture.stages[-1].blocks[-1].width * head.expansion)
        network = MobileNetV3(block_args=[*blocks, [last]], num_features=head.width, head_bias=False, **shared)
    network.bn1.act = ACTIVATIONS[architecture.stem_activation](inplace=True)
    for stack, modules in zip(stacks, network.blocks, strict=False):
        for layer, module in zip(stack, modules, strict=True):
            _finish(module, layer)
    _zero_residual_norms(network)
    speed_up_small_maps(network)
    return network


def _stacks(architecture: Architecture) -> list[list[_Layer]]:
    """Layers grouped as timm groups them: a last stage of stride 1 goes with the one before, so weights interchange."""
    width, stacks = architecture.stem_width, []
    for stage in architecture.stages:
        stacks.append(_stage_layers(stage, width))
        width = stage.blocks[-1].width
    if architecture.stages[-1].stride == 1 and len(stacks) > 1:
        last = stacks.pop()
        stacks[-1].extend(last)
    return [stack for stack in stacks if stack]


def _stage_layers(stage: AnyStage, c_in: int) -> list[_Layer]:
    layers = []
    for i, block in enumerate(stage.blocks):
        stride, padding = (1, None) if i else (stage.stride, stage.first_padding)
        if not block.skip:
            arguments = _residual(block, c_in, stride, stage.rounding)
            layers.append(_Layer(arguments=arguments, padding=padding, groups=block.groups))
        elif block.changes_shape(c_in, stride):
            activation = ACTIVATIONS[block.activation]
            layers.append(_Layer(arguments=_convolution(block.width, stride=stride, act_layer=activation)))
        c_in = block.width
    return layers


def _residual(block: Block, c_in: int, stride: int, rounding: str) -> dict:
    """timm's arguments of an inverted residual, `ds` where it has no pointwise expansion."""
    middle = int(expanded_width(c_in, block.expansion, rounding=rounding))
    arguments = {
        "out_chs": block.width,
        "stride": stride,
        "dw_kernel_size": block.kernel,
        "act_layer": ACTIVATIONS[block.activation],
    }
    if block.se:
        squeezed = int(squeezed_width(middle, block.expansion if block.se == "input" else 1))
        arguments["se_layer"] = partial(SqueezeExcite, rd_channels=squeezed, gate_layer="hard_sigmoid")
    if middle == c_in:
        return {"block_type": "ds", **arguments}
    return {"block_type": "ir", "exp_ratio": middle / c_in, **arguments}


def _convolution(width: int, *, stride: int = 1, act_layer: type[nn.Module] | None = None) -> dict:
    """timm's arguments of a 1x1 convolution with norm and activation, by default that of the network."""
    return {"block_type": "cn", "out_chs": width, "stride": stride, "kernel_size": 1, "act_layer": act_layer}


def _keep_width(width: int, *_) -> int:
    """In place of timm's rounding to multiples of 8, which would lose searched widths such as 20 and 28."""
    return width


def _finish(module: nn.Module, layer: _Layer) -> None:
    if layer.padding is not None:
        module.conv_dw.padding = (layer.padding, layer.padding)
    if layer.groups > 1:
        shuffle_projection(module, layer.groups)


def _zero_residual_norms(network: nn.Module) -> None:
    for stage in network.blocks:
        for block in stage:
            if getattr(block, "has_skip", False):
                last = block.bn3 if hasattr(block, "bn3") else block.bn2
                nn.init.zeros_(last.weight)
