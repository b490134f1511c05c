"""Architectures as stage tables, and the space of those that can be chosen.

The stage table expresses every released FBNetV3 network: first and remaining blocks of a stage may differ in
kernel and expansion, and the padding of a stage's first depthwise convolution may be overridden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from nars.errors import UserError
from nars.settings import (
    ArchitectureSpaceSettings,
    HeadSettings,
    NonNegativeInt,
    SameAs,
    Settings,
    StageSettings,
    parse,
)
from nars.spaces.dimension import Dimension, choices_of
from nars.spaces.space import Space

STAGE_KEYS = ("width", "depth", "kernel_first", "kernel_rest", "expansion_first", "expansion_rest")


Kernel = Literal[1, 3, 5, 7, 9, 11]


class Stage(Settings):
    """One stage of `depth` inverted-residual blocks (plain depthwise-separable where the expansion is 1).

    `first_padding` None pads the first depthwise convolution by kernel // 2.
    """

    width: PositiveInt
    depth: PositiveInt
    stride: Literal[1, 2]
    kernel_first: Kernel
    kernel_rest: Kernel
    expansion_first: PositiveInt
    expansion_rest: PositiveInt
    se: bool
    first_padding: NonNegativeInt | None = None


class Architecture(Settings):
    """A network of the FBNetV3 family: stem, stages, final expansion, pooling, head of `head.width`, classifier."""

    resolution: PositiveInt
    stem_width: PositiveInt
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    head: HeadSettings

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "architecture") -> "Architecture":
        """The architecture that `to_dict` describes; UserError names what is wrong."""
        return parse(cls, dict(values), where=where)

    def to_dict(self) -> dict:
        """Plain containers, as written to files."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def smallest_image(self) -> int:
        """Side in pixels of the smallest images that the network takes; above 1 only where padding is overridden."""
        return next(side for side in count(1) if self._takes(side))

    def _takes(self, side: int) -> bool:
        side = (side + 1) // 2
        for stage in self.stages:
            kernel = stage.kernel_first
            padding = kernel // 2 if stage.first_padding is None else stage.first_padding
            if side + 2 * padding < kernel:
                return False
            side = (side + 2 * padding - kernel) // stage.stride + 1
        return True


@dataclass(frozen=True, kw_only=True)
class ArchitectureTable:
    """n architectures as arrays of whole numbers in float64, for fast arithmetic on all of them at once.

    `resolution`, `stem_width`: (n,). Each stage: dict of `STAGE_KEYS` to (n,) or (1,) where fixed, plus `stride`, `se`,
    `first_padding` (None or int) shared by all rows. `head_expansion`, `head_width`: int.
    """

    resolution: np.ndarray
    stem_width: np.ndarray
    stages: tuple[dict, ...]
    head_expansion: int
    head_width: int

    @classmethod
    def of(cls, architecture: Architecture) -> "ArchitectureTable":
        """The one-row table of `architecture`."""
        stages = tuple(
            {key: np.array([getattr(stage, key)], dtype=np.float64) for key in STAGE_KEYS}
            | {"stride": stage.stride, "se": stage.se, "first_padding": stage.first_padding}
            for stage in architecture.stages
        )
        return cls(
            resolution=np.array([architecture.resolution], dtype=np.float64),
            stem_width=np.array([architecture.stem_width], dtype=np.float64),
            stages=stages,
            head_expansion=architecture.head.expansion,
            head_width=architecture.head.width,
        )


class ArchitectureSpace(Space):
    """The space that a `search_space` YAML describes. Dimensions are named `resolution`, `stem_width`,
    `stage3/width`, `stage3/expansion_first`, ...; a key with one fixed value makes no dimension."""

    def __init__(self, settings: ArchitectureSpaceSettings):
        self.settings = settings
        self._choices: dict[str, tuple] = {}  # dimension name or fixed key -> its values
        self._source: dict[str, str] = {}  # field of the table -> the key above that decides it
        for field in ("resolution", "stem_width"):
            self._declare(field, (field,), getattr(settings, field))
        for i, stage in enumerate(settings.stages, start=1):
            self._declare_stage(f"stage{i}", stage)
        dimensions = [Dimension(name=n, choices=c) for n, c in self._choices.items() if len(c) > 1]
        super().__init__(settings.name, dimensions)
        self._numbers = {name: np.array(c, dtype=np.float64) for name, c in self._choices.items()}

    def _declare_stage(self, stage_name: str, stage: StageSettings) -> None:
        for key in ("width", "depth"):
            self._declare(f"{stage_name}/{key}", (f"{stage_name}/{key}",), getattr(stage, key))
        for key in ("kernel", "expansion"):
            first, rest = f"{stage_name}/{key}_first", f"{stage_name}/{key}_rest"
            if getattr(stage, key) is not None:
                self._declare(f"{stage_name}/{key}", (first, rest), getattr(stage, key))
            else:
                self._declare(first, (first,), getattr(stage, f"{key}_first"))
                self._declare(rest, (rest,), getattr(stage, f"{key}_rest"))

    def _declare(self, name: str, fields: tuple[str, ...], spec) -> None:
        if isinstance(spec, SameAs):
            source = f"{spec.same_as}/{name.rpartition('/')[2]}"
            if source not in self._choices:
                raise UserError(f"search_space {self.settings.name}: {name}: no earlier stage has {source}")
            name = source
        else:
            choices = choices_of(spec)
            bad = [c for c in choices if not isinstance(c, int) or isinstance(c, bool) or c < 1]
            if bad:
                raise UserError(f"search_space {self.settings.name}: {name}: {bad[0]!r} is not a positive whole number")
            self._choices[name] = choices
        for field in fields:
            self._source[field] = name

    @property
    def specification(self) -> dict[str, list]:
        """Every dimension with its choices, all that is fixed, and what follows another stage."""
        fixed = {name: list(choices) for name, choices in self._choices.items() if len(choices) == 1}
        for field, source in self._source.items():
            if source.partition("/")[0] != field.partition("/")[0]:
                fixed[field] = [f"same_as {source}"]
        for i, stage in enumerate(self.settings.stages, start=1):
            fixed |= {f"stage{i}/stride": [stage.stride], f"stage{i}/se": [stage.se]}
        fixed |= {f"head/{key}": [value] for key, value in self.settings.head.model_dump().items()}
        return super().specification | fixed

    def table(self, points: np.ndarray) -> ArchitectureTable:
        """The architectures of points (n, d) as arrays."""
        columns = {
            name: values[points[:, self.position(name)]] if len(values) > 1 else values
            for name, values in self._numbers.items()
        }
        stages = tuple(
            {key: columns[self._source[f"stage{i}/{key}"]] for key in STAGE_KEYS}
            | {"stride": stage.stride, "se": stage.se, "first_padding": None}
            for i, stage in enumerate(self.settings.stages, start=1)
        )
        return ArchitectureTable(
            resolution=columns["resolution"],
            stem_width=columns["stem_width"],
            stages=stages,
            head_expansion=self.settings.head.expansion,
            head_width=self.settings.head.width,
        )

    def deciding(self, fields: Sequence[str]) -> tuple[int, ...]:
        """Columns of a point that decide these fields of the table (`resolution`, `stage3/width`, ...), ascending."""
        names = {self._source[field] for field in fields}
        return tuple(sorted(self.position(name) for name in names if len(self._choices[name]) > 1))

    def architecture(self, point: np.ndarray) -> Architecture:
        """The architecture of one point."""
        table = self.table(np.asarray(point)[None])
        stages = tuple(
            Stage(**{k: int(s[k][0]) for k in STAGE_KEYS}, stride=s["stride"], se=s["se"]) for s in table.stages
        )
        return Architecture(
            resolution=int(table.resolution[0]),
            stem_width=int(table.stem_width[0]),
            stages=stages,
            head=self.settings.head,
        )

    def decode(self, point: np.ndarray) -> dict:
        """The whole stage table: readable, and buildable without this space."""
        return self.architecture(point).to_dict()

    def locate(self, decoded: Mapping) -> np.ndarray:
        """The point of a stage table; UserError names the first field in which the space cannot express it."""
        wanted = Architecture.from_dict(decoded)
        if len(wanted.stages) != len(self.settings.stages):
            raise UserError(f"space {self.name} has {len(self.settings.stages)} stages, given {len(wanted.stages)}")
        fields = _fields(wanted)
        values = {name: fields[self._first_field(name)] for name, c in self._choices.items() if len(c) > 1}
        point = self.point(values)
        for field, value in _fields(self.architecture(point)).items():
            if fields[field] != value:
                raise UserError(f"space {self.name} cannot express {field} = {fields[field]}: it would be {value}")
        return point

    def _first_field(self, name: str) -> str:
        return next(field for field, source in self._source.items() if source == name)


def _fields(architecture: Architecture) -> dict:
    fields = {"resolution": architecture.resolution, "stem_width": architecture.stem_width}
    fields |= {f"head/{key}": value for key, value in architecture.head.model_dump().items()}
    for i, stage in enumerate(architecture.stages, start=1):
        fields |= {f"stage{i}/{key}": value for key, value in stage.model_dump().items()}
    return fields
