"""Many architectures as arrays, for fast arithmetic on all of them at once."""

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np

from nars.settings import Activation, ConvHeadSettings, HeadSettings, Squeeze
from nars.spaces.blocks import PlacedBlock

BLOCK_KEYS = ("width", "kernel", "expansion", "groups", "se", "activation", "skip")
WORDS = {"se": get_args(Squeeze), "activation": get_args(Activation)}
NO_SQUEEZE, SQUEEZE_INPUT, SQUEEZE_EXPANDED = range(len(get_args(Squeeze)))


@dataclass(frozen=True, kw_only=True)
class Run:
    """Equal blocks one after another: all but the first have their own width as input width, and stride 1.

    `count` and the keys of a block are float64 (n,), or (1,) where all rows agree, as `table_number` says. `stride` and
    `padding` (None = kernel // 2) are those of the first block; they and the way of `rounding` hold for all rows.
    """

    count: np.ndarray
    width: np.ndarray
    kernel: np.ndarray
    expansion: np.ndarray
    groups: np.ndarray
    se: np.ndarray
    activation: np.ndarray
    skip: np.ndarray
    stride: int
    padding: int | None
    rounding: str


@dataclass(frozen=True, kw_only=True)
class ArchitectureTable:
    """n architectures as arrays of numbers.

    `resolution`, `stem_width`: float64 (n,), or (1,) where all rows agree. The stem's activation and the head are those
    of all rows.
    """

    resolution: np.ndarray
    stem_width: np.ndarray
    stem_activation: Activation
    runs: tuple[Run, ...]
    head: HeadSettings | ConvHeadSettings

    @cached_property
    def sides(self) -> list[np.ndarray]:
        """Side in pixels of the maps that enter each run, and of those that leave the last; (n,) or (1,) each."""
        sides = [np.ceil(self.resolution / 2)]
        for run in self.runs:
            padding = run.kernel // 2 if run.padding is None else run.padding
            sides.append(np.floor((sides[-1] + (2 * padding - run.kernel)) / run.stride) + 1)
        return sides


def run_of(placed: PlacedBlock) -> Run:
    """The run of one block of one architecture."""
    numbers = {key: np.array([table_number(key, getattr(placed.block, key))]) for key in BLOCK_KEYS}
    return Run(count=np.ones(1), **numbers, stride=placed.stride, padding=placed.padding, rounding=placed.rounding)


def table_number(key: str, value) -> float:
    """A value of a block's key as it stands in tables: a word by its place among all, 1 for what a skip lacks."""
    if key in WORDS:
        return float(WORDS[key].index(value))
    return 1.0 if value is None else float(value)
