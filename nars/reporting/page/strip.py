"""An architecture as a strip: one bar per block, as tall as it is wide."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nars.spaces.architecture import Architecture
from nars.spaces.blocks import Block, BlockStage, Stage

BAR, GAP, STAGE_GAP, HEIGHT = 5.0, 1.0, 6.0, 40.0  # units of the drawing


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A block: its place and height, and the kernel that colours it."""

    x: float
    height: float
    kernel: int


@dataclass(frozen=True, kw_only=True)
class StageStrip:
    """A stage: its blocks, where it begins and ends, words for it, and whether it is marked."""

    bars: tuple[Bar, ...]
    left: float
    right: float
    words: str
    marked: bool


def strip_of(architecture: Mapping, marked: Collection[str] = ()) -> list[StageStrip]:
    """The stages from left to right; empty if the architecture is not a stage table. A skip without a layer is a gap.

    `marked`: names of dimensions (`stage3/width`) whose stages are to be marked.
    """
    if "stages" not in architecture:
        return []
    network, stages, x = Architecture.from_dict(architecture), [], 0.0
    for i, (stage, blocks) in enumerate(zip(network.stages, network.placed_blocks, strict=True), start=1):
        left, bars = x, []
        for placed in blocks:
            if not placed.is_nothing:
                bars.append(Bar(x=round(x, 1), height=_height(placed.block.width), kernel=_kernel(placed.block)))
            x += BAR + GAP
        right = x - GAP
        marks = any(name.startswith(f"stage{i}/") for name in marked)
        words = f"stage {i}: {_words(stage)}"
        stages.append(StageStrip(bars=tuple(bars), left=left, right=right, words=words, marked=marks))
        x = right + STAGE_GAP
    return stages


def _height(width: int) -> float:
    """Widths from 8 to 256 and beyond, on a square-root scale."""
    return round(min(HEIGHT, HEIGHT * math.sqrt(width / 256)), 1)


def _kernel(block: Block) -> int:
    return 1 if block.skip else block.kernel


def _words(stage: Stage | BlockStage) -> str:
    if isinstance(stage, BlockStage):
        blocks = ", ".join(f"{block.words} to {block.width}" for block in stage.blocks)
        return f"{blocks}, stride {stage.stride}"
    kernels = _pair(stage.kernel_first, stage.kernel_rest)
    expansions = _pair(stage.expansion_first, stage.expansion_rest)
    se = ", squeeze-and-excite" if stage.se else ""
    shape = f"{stage.depth} blocks of width {stage.width}, kernel {kernels}, expansion {expansions}"
    return f"{shape}, stride {stage.stride}{se}"


def _pair(first: int, rest: int) -> str:
    return str(first) if first == rest else f"{first} then {rest}"
