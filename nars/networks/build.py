"""An architecture as a timm network."""

from functools import partial

from timm.layers import DropPath
from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import EfficientNetBuilder
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn

from nars.costs.shapes import Shape, run_shapes
from nars.networks.shuffled import shuffle_projection
from nars.networks.small_maps import speed_up_small_maps
from nars.settings import ConvHeadSettings, Recipe
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import PlacedBlock
from nars.spaces.table import run_of

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
    blocks = [[_arguments(shape) for shape in stack] for stack in stacks]
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
        for shape, module in zip(stack, modules, strict=True):
            _finish(module, shape)
    if recipe and recipe.stochastic_depth:
        _set_drop_paths(network, recipe.stochastic_depth)
    _zero_residual_norms(network)
    speed_up_small_maps(network)
    return network


def block_names(architecture: Architecture) -> dict[tuple[int, int], str]:
    """What the network calls its blocks, by stage and place in the stage; those without a layer are none of it."""
    stacks = _places(architecture)
    return {place: f"blocks.{i}.{j}" for i, stack in enumerate(stacks) for j, place in enumerate(stack)}


def _stacks(architecture: Architecture) -> list[list[Shape]]:
    """The shapes of blocks, grouped as timm groups them."""
    placed = architecture.placed_blocks
    return [[_shape(placed[i][j]) for i, j in stack] for stack in _places(architecture)]


def _places(architecture: Architecture) -> list[list[tuple[int, int]]]:
    """Stage and place in it of the blocks that have a layer, grouped as timm groups them, so weights interchange: a
    last stage of stride 1 goes with the one before (FBNetV3), except before a head that is a convolution (FBNetV1)."""
    stages = enumerate(architecture.placed_blocks)
    stacks = [[(i, j) for j, placed in enumerate(stage) if not placed.is_nothing] for i, stage in stages]
    pooled = not isinstance(architecture.head, ConvHeadSettings)
    if pooled and architecture.stages[-1].stride == 1 and len(stacks) > 1:
        last = stacks.pop()
        stacks[-1].extend(last)
    return [stack for stack in stacks if stack]


def block_of(shape: Shape) -> nn.Module:
    """The block or skip of a shape alone, as it is in networks; untrained."""
    norm = partial(nn.BatchNorm2d, momentum=BATCH_NORM_MOMENTUM)
    [[block]] = EfficientNetBuilder(round_chs_fn=_keep_width, norm_layer=norm)(shape.c_in, [[_arguments(shape)]])
    _finish(block, shape)
    speed_up_small_maps(block)
    return block


def _shape(placed: PlacedBlock) -> Shape:
    """The shape of a block that has a layer, on a map of any side."""
    found = [some.rows() for some in run_shapes(run_of(placed), placed.c_in, 1)]
    [shape] = [Shape.of_row(rows[0]) for rows, count in found if count[0]]
    return shape


def _arguments(shape: Shape) -> dict:
    """timm's arguments of a block: a skip, or an inverted residual, `ds` where it has no pointwise expansion."""
    activation = ACTIVATIONS[shape.activation]
    if shape.kind == "skip":
        return _convolution(shape.c_out, stride=shape.stride, act_layer=activation)
    arguments = {
        "out_chs": shape.c_out,
        "stride": shape.stride,
        "dw_kernel_size": shape.kernel,
        "act_layer": activation,
    }
    if shape.squeezed:
        arguments["se_layer"] = partial(SqueezeExcite, rd_channels=shape.squeezed, gate_layer="hard_sigmoid")
    if shape.middle == shape.c_in:
        return {"block_type": "ds", **arguments}
    return {"block_type": "ir", "exp_ratio": shape.middle / shape.c_in, **arguments}


def _convolution(width: int, *, stride: int = 1, act_layer: type[nn.Module] | None = None) -> dict:
    """timm's arguments of a 1x1 convolution with norm and activation, by default that of the network."""
    return {"block_type": "cn", "out_chs": width, "stride": stride, "kernel_size": 1, "act_layer": act_layer}


def _keep_width(width: int, *_) -> int:
    """In place of timm's rounding to multiples of 8, which would lose searched widths such as 20 and 28."""
    return width


def _finish(module: nn.Module, shape: Shape) -> None:
    """Give a block of timm's what timm has no argument for."""
    if shape.kind == "block" and shape.padding != shape.kernel // 2:
        module.conv_dw.padding = (shape.padding, shape.padding)
    if shape.groups > 1:
        shuffle_projection(module, shape.groups)


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
