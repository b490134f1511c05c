"""An architecture as a timm network."""

from functools import partial

from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn

from nars.costs.rounding import round_width
from nars.networks.small_maps import speed_up_small_maps
from nars.settings import Recipe
from nars.spaces.architecture import Architecture, Stage

BATCH_NORM_MOMENTUM = 0.1  # timm's and the papers' 0.9, in PyTorch's direction


def build_network(architecture: Architecture, *, num_classes: int, recipe: Recipe | None = None) -> MobileNetV3:
    """timm's MobileNetV3 with the stages of `architecture`, untrained.

    Input: images float32 (b, 3, r, r), r = `architecture.resolution` or any other size. The recipe's `dropout` acts
    before the classifier; the drop probability of residual branches rises linearly with depth to its
    `stochastic_depth`; None drops nothing. The last batch norm of every residual branch starts at zero, so that a deep
    untrained network starts as a shallow one (released code).
    """
    stacks = _stacks(architecture)
    blocks = [[block for stage in stack for block in _stage_blocks(stage)] for stack in stacks]
    blocks.append([_block("cn", width=architecture.stages[-1].width * architecture.head.expansion, kernel=1)])
    network = MobileNetV3(
        block_args=blocks,
        num_classes=num_classes,
        stem_size=architecture.stem_width,
        num_features=architecture.head.width,
        head_bias=False,
        round_chs_fn=_keep_width,
        se_from_exp=False,
        se_layer=partial(SqueezeExcite, gate_layer="hard_sigmoid", rd_round_fn=_squeezed_width),
        act_layer=nn.Hardswish,
        norm_layer=partial(nn.BatchNorm2d, momentum=BATCH_NORM_MOMENTUM),
        drop_rate=recipe.dropout if recipe else 0.0,
        drop_path_rate=recipe.stochastic_depth if recipe else 0.0,
    )
    _override_padding(network, stacks)
    _zero_residual_norms(network)
    speed_up_small_maps(network)
    return network


def _stacks(architecture: Architecture) -> list[list[Stage]]:
    """Stages grouped as timm groups them: a last stage of stride 1 goes with the one before, so weights interchange."""
    *stages, last = architecture.stages
    stacks = [[stage] for stage in stages]
    if last.stride == 1 and stacks:
        stacks[-1].append(last)
    else:
        stacks.append([last])
    return stacks


def _override_padding(network: MobileNetV3, stacks: list[list[Stage]]) -> None:
    for stack, modules in zip(stacks, network.blocks, strict=False):
        first = 0
        for stage in stack:
            if stage.first_padding is not None:
                modules[first].conv_dw.padding = (stage.first_padding, stage.first_padding)
            first += stage.depth


def _stage_blocks(stage: Stage) -> list[dict]:
    first = _block_of(stage, stage.kernel_first, stage.expansion_first, stage.stride)
    rest = [_block_of(stage, stage.kernel_rest, stage.expansion_rest, 1) for _ in range(stage.depth - 1)]
    return [first, *rest]


def _block_of(stage: Stage, kernel: int, expansion: int, stride: int) -> dict:
    se_ratio = 0.25 if stage.se else None
    if expansion == 1:
        return _block("ds", width=stage.width, kernel=kernel, stride=stride, se_ratio=se_ratio)
    return _block("ir", width=stage.width, kernel=kernel, stride=stride, se_ratio=se_ratio, exp_ratio=expansion)


def _block(kind: str, *, width: int, kernel: int, stride: int = 1, **keys) -> dict:
    """timm's block arguments of one block; `cn` is a plain convolution, whose kernel goes by another name."""
    kernel_key = "kernel_size" if kind == "cn" else "dw_kernel_size"
    return {"block_type": kind, "out_chs": width, "stride": stride, "act_layer": None, kernel_key: kernel} | keys


def _keep_width(width: int, *_) -> int:
    """In place of timm's rounding to multiples of 8, which would lose searched widths such as 20 and 28."""
    return width


def _squeezed_width(width: float) -> int:
    # timm passes expanded width x ratio as a float: 12 may arrive as 11.999999999999998.
    return int(round_width(int(width + 1e-6), limit=0.95))


def _zero_residual_norms(network: MobileNetV3) -> None:
    for stage in network.blocks:
        for block in stage:
            if getattr(block, "has_skip", False):
                last = block.bn3 if hasattr(block, "bn3") else block.bn2
                nn.init.zeros_(last.weight)
