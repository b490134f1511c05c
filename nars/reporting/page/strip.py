"""An architecture as a strip: one bar per block, as tall as the stage is wide."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

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
    """The stages from left to right; empty if the architecture is not a stage table.

    `marked`: names of dimensions (`stage3/width`) whose stages are to be marked.
    """
    stages, x = [], 0.0
    for i, stage in enumerate(architecture.get("stages", ()), start=1):
        left = x
        bars = []
        for block in range(stage["depth"]):
            kernel = stage["kernel_first"] if block == 0 else stage["kernel_rest"]
            bars.append(Bar(x=round(x, 1), height=_height(stage["width"]), kernel=kernel))
            x += BAR + GAP
        right = x - GAP
        marks = any(name.startswith(f"stage{i}/") for name in marked)
        stages.append(StageStrip(bars=tuple(bars), left=left, right=right, words=_words(i, stage), marked=marks))
        x = right + STAGE_GAP
    return stages


def _height(width: int) -> float:
    """Widths from 8 to 256 and beyond, on a square-root scale."""
    return round(min(HEIGHT, HEIGHT * math.sqrt(width / 256)), 1)


def _words(number: int, stage: Mapping) -> str:
    kernels = _pair(stage["kernel_first"], stage["kernel_rest"])
    expansions = _pair(stage["expansion_first"], stage["expansion_rest"])
    se = ", squeeze-and-excite" if stage["se"] else ""
    return (
        f"stage {number}: {stage['depth']} blocks of width {stage['width']}, kernel {kernels}, expansion {expansions}, "
        f"stride {stage['stride']}{se}"
    )


def _pair(first: int, rest: int) -> str:
    return str(first) if first == rest else f"{first} then {rest}"
