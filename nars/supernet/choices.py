"""Which dimension of a space decides what, block by block, with the value that each of its choices stands for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from nars.errors import UserError
from nars.spaces.architecture import Architecture, ArchitectureSpace
from nars.spaces.blocks import BlockStage

KEYS = ("width", "kernel", "expansion", "groups", "se", "activation", "skip")
IDLE = ("kernel", "expansion", "groups", "se")  # what means nothing for a skip
Mixture = Mapping[str, torch.Tensor]  # dimension -> weights (choices,) that add up to 1


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is chosen: the dimension of the space that decides it (None = fixed) and the value of each choice."""

    dimension: str | None
    values: tuple

    def weights(self, mixture: Mixture, like: torch.Tensor) -> torch.Tensor:
        """Weights (choices,) of the values; of the type and on the device of `like` where it is fixed."""
        return like.new_ones(1) if self.dimension is None else mixture[self.dimension]


@dataclass(frozen=True, kw_only=True)
class BlockChoices:
    """What can be chosen of the block at `place`: channels that enter it, and its keys; stride and rounding are
    fixed."""

    place: str
    c_in: Choice
    width: Choice
    kernel: Choice
    expansion: Choice
    groups: Choice
    se: Choice
    activation: Choice
    skip: Choice
    stride: int
    rounding: str

    def counted(self, choice: Choice, *, skips: bool) -> list[bool] | None:
        """Which choices are made where the block is a skip, or is none; None = all, as another dimension decides it."""
        if self.skip.dimension is not None and choice.dimension == self.skip.dimension:
            return [skip == skips for skip in self.skip.values]
        return None


@dataclass(frozen=True, kw_only=True)
class SpaceChoices:
    """What can be chosen of the networks of a space; `stages` holds blocks."""

    resolution: Choice
    stem_width: Choice
    blocks: tuple[BlockChoices, ...]

    @property
    def last_width(self) -> Choice:
        """Channels that enter the head."""
        return self.blocks[-1].width


def choices_of_space(space: ArchitectureSpace, *, method: str) -> SpaceChoices:
    """What can be chosen of the networks of `space`, whose stages are given block by block; UserError, which names
    `method`, for others."""
    first = space.architecture(np.zeros(len(space), dtype=np.int16))
    for i, stage in enumerate(first.stages, start=1):
        if not isinstance(stage, BlockStage):
            raise UserError(
                f"method={method} takes spaces whose stages are given block by block; search_space={space.name} has "
                f"stage{i} in short form: give its blocks"
            )
    found = {field: Choice(dimension=None, values=(value,)) for field, value in _fields(first).items()}
    for column, dimension in enumerate(space.dimensions):
        points = np.zeros((len(dimension.choices), len(space)), dtype=np.int16)
        points[:, column] = np.arange(len(points))
        architectures = [_fields(space.architecture(point)) for point in points]
        for field in found:
            values = tuple(architecture[field] for architecture in architectures)
            if any(value != values[0] for value in values):
                found[field] = Choice(dimension=dimension.name, values=values)
    c_in, blocks = found["stem_width"], []
    for i, stage in enumerate(first.stages, start=1):
        for j in range(1, len(stage.blocks) + 1):
            place = f"stage{i}/block{j}"
            own = {key: found[f"{place}/{key}"] for key in KEYS}
            stride = stage.stride if j == 1 else 1
            blocks.append(BlockChoices(place=place, c_in=c_in, stride=stride, rounding=stage.rounding, **own))
            c_in = own["width"]
    return SpaceChoices(resolution=found["resolution"], stem_width=found["stem_width"], blocks=tuple(blocks))


def _fields(architecture: Architecture) -> dict:
    fields = {"resolution": architecture.resolution, "stem_width": architecture.stem_width}
    for i, stage in enumerate(architecture.stages, start=1):
        for j, block in enumerate(stage.blocks, start=1):
            fields |= {f"stage{i}/block{j}/{key}": getattr(block, key) for key in KEYS}
    return fields


def joint(first: Choice, second: Choice, mixture: Mixture, like: torch.Tensor) -> torch.Tensor:
    """Weights (n, m) of every pair of values; where one dimension decides both, only of values at the same place."""
    weights = first.weights(mixture, like)
    if first.dimension is not None and first.dimension == second.dimension:
        return torch.diag(weights)
    return torch.outer(weights, second.weights(mixture, like))


def without_idle_choices(space: ArchitectureSpace, choices: SpaceChoices, points: np.ndarray) -> np.ndarray:
    """The points (n, d) with the first choice wherever a block is a skip, for which its kernel, expansion, groups and
    squeeze-and-excite mean nothing: the same networks, and equal points where networks are equal so far."""
    points = points.copy()
    deciding: dict[str, list[np.ndarray]] = {}  # dimension -> for each of its blocks, whether it is a skip
    for block in choices.blocks:
        skip = np.array(block.skip.values)[_column(space, block.skip.dimension, points)]
        for key in IDLE:
            name = getattr(block, key).dimension
            if name is not None and name != block.skip.dimension:
                deciding.setdefault(name, []).append(np.broadcast_to(skip, len(points)))
    for name, skips in deciding.items():
        points[np.all(skips, axis=0), space.position(name)] = 0
    return points


def _column(space: ArchitectureSpace, dimension: str | None, points: np.ndarray) -> np.ndarray:
    return np.zeros(len(points), dtype=np.intp) if dimension is None else points[:, space.position(dimension)]
