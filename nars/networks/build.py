"""An architecture as a timm network."""

from functools import partial

from timm.layers import DropPath
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn

from nars.costs.rounding import expanded_width, squeezed_width
from nars.networks.shuffled import shuffle_projection
from nars.networks.small_maps import speed_up_small_maps
from nars.settings import ConvHeadSettings, Recipe
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import PlacedBlock

BATCH_NORM_MOMENTUM = 0.1  # timm's and the papers' 0.9, in PyTorch's direction
ACTIVATIONS = {"hswish": nn.Hardswish, "relu": nn.ReLU}


def build_network(
    architecture: Architecture, *, num_classes: int, recipe: Recipe | None = None
) -> MobileNetV3 | EfficientNet:
    """timm's MobileNetV3 with the blocks of `architecture`, or its EfficientNet where the head is a convolution.

    Untrained. Input: images float32 (b, 3, r, r), r = `architecture.resolution` or any other size. The recipe's
    `dropout` acts before the classifier. The l-th of L residual blocks drops its branch with probability
    `stochastic_depth` * l / L, so that the last one gets all of it (linear rule of Huang et al. 2016, paper; timm's
    own, index / number of all blocks, never gets there). No recipe drops nothing. The last batch norm of every residual
    branch starts at zero, so that a deep untrained network starts as a shallow one (released code).
    """
    stacks, head = _stacks(architecture), architecture.head
    blocks = [[_arguments(placed) for placed in stack] for stack in stacks]
    shared = {
        "num_classes": num_classes,
        "stem_size": architecture.stem_width,
        "round_chs_fn": _keep_width,
        "act_layer": ACTIVATIONS[head.activation],
        "norm_layer": partial(nn.BatchNorm2d, momentum=BATCH_NORM_MOMENTUM),
        "drop_rate": recipe.dropout if recipe else 0.0,
    }
    if isinstance(head, ConvHeadSettings) and blocks:
        network = EfficientNet(block_args=blocks, num_features=head.conv, **shared)
    elif isinstance(head, ConvHeadSettings):  # timm wants one block: where all are nothing, the head is it
        network = EfficientNet(block_args=[[_convolution(head.conv)]], num_features=0, **shared)
    else:
        last = _convolution(architecture.stages[-1].blocks[-1].width * head.expansion)
        network = MobileNetV3(block_args=[*blocks, [last]], num_features=head.width, head_bias=False, **shared)
    network.bn1.act = ACTIVATIONS[architecture.stem_activation](inplace=True)
    for stack, modules in zip(stacks, network.blocks, strict=False):
        for placed, module in zip(stack, modules, strict=True):
            _finish(module, placed)
    if recipe and recipe.stochastic_depth:
        _set_drop_paths(network, recipe.stochastic_depth)
    _zero_residual_norms(network)
    speed_up_small_maps(network)
    return network


def _stacks(architecture: Architecture) -> list[list[PlacedBlock]]:
    """Blocks grouped as timm groups them, so weights interchange: a last stage of stride 1 goes with the one before
    (FBNetV3), except before a head that is a convolution (FBNetV1)."""
    stacks = [[placed for placed in stage if not placed.is_nothing] for stage in architecture.placed_blocks]
    pooled = not isinstance(architecture.head, ConvHeadSettings)
    if pooled and architecture.stages[-1].stride == 1 and len(stacks) > 1:
        last = stacks.pop()
        stacks[-1].extend(last)
    return [stack for stack in stacks if stack]


def _arguments(placed: PlacedBlock) -> dict:
    """timm's arguments of a block: a skip, or an inverted residual, `ds` where it has no pointwise expansion."""
    block = placed.block
    activation = ACTIVATIONS[block.activation]
    if block.skip:
        return _convolution(block.width, stride=placed.stride, act_layer=activation)
    middle = int(expanded_width(placed.c_in, block.expansion, rounding=placed.rounding))
    arguments = {
        "out_chs": block.width,
        "stride": placed.stride,
        "dw_kernel_size": block.kernel,
        "act_layer": activation,
    }
    if block.se:
        squeezed = int(squeezed_width(middle, block.expansion if block.se == "input" else 1))
        arguments["se_layer"] = partial(SqueezeExcite, rd_channels=squeezed, gate_layer="hard_sigmoid")
    if middle == placed.c_in:
        return {"block_type": "ds", **arguments}
    return {"block_type": "ir", "exp_ratio": middle / placed.c_in, **arguments}


def _convolution(width: int, *, stride: int = 1, act_layer: type[nn.Module] | None = None) -> dict:
    """timm's arguments of a 1x1 convolution with norm and activation, by default that of the network."""
    return {"block_type": "cn", "out_chs": width, "stride": stride, "kernel_size": 1, "act_layer": act_layer}


def _keep_width(width: int, *_) -> int:
    """In place of timm's rounding to multiples of 8, which would lose searched widths such as 20 and 28."""
    return width


def _finish(module: nn.Module, placed: PlacedBlock) -> None:
    """Give a block of timm's what timm has no argument for."""
    if placed.padding is not None:
        module.conv_dw.padding = (placed.padding, placed.padding)
    if placed.block.groups > 1 and not placed.block.skip:
        shuffle_projection(module, placed.block.groups)


def _set_drop_paths(network: nn.Module, largest: float) -> None:
    residual = [block for stage in network.blocks for block in stage if getattr(block, "has_skip", False)]
    for number, block in enumerate(residual, start=1):
        block.drop_path = DropPath(largest * (number / len(residual)))


def _zero_residual_norms(network: nn.Module) -> None:
    for stage in network.blocks:
        for block in stage:
            if getattr(block, "has_skip", False):
                last = block.bn3 if hasattr(block, "bn3") else block.bn2
                nn.init.zeros_(last.weight)
