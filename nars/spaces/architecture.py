"""Architectures as tables of stages, and the space of those that can be chosen.

A stage is given in FBNetV3's short form (first and remaining blocks may differ in kernel and expansion, and the padding
of the first depthwise convolution may be overridden), which expresses every released FBNetV3 network, or block by
block, which expresses those of FBNetV1 and V2.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from nars.errors import UserError
from nars.settings import (
    Activation,
    AnyHead,
    ArchitectureSpaceSettings,
    BlockKind,
    BlockSettings,
    BlockStageSettings,
    SameAs,
    Settings,
    StageSettings,
    later,
    parse,
)
from nars.spaces.blocks import STAGE_KEYS, AnyStage, Block, BlockStage, PlacedBlock, Stage, placed
from nars.spaces.dimension import Dimension, choices_of
from nars.spaces.kinds import BlockKinds
from nars.spaces.space import Space
from nars.spaces.table import BLOCK_KEYS, ArchitectureTable, Run, run_of, table_number

MIN_IMAGE_SIZE = 32  # networks halve the side five times
LONG = (BlockStage, BlockStageSettings)  # stages given block by block


class Architecture(Settings):
    """A network of the FBNet family: stem (3x3, stride 2), stages, head, classifier."""

    resolution: PositiveInt
    stem_width: PositiveInt
    stem_activation: Activation = later("hswish")
    stages: Annotated[tuple[AnyStage, ...], Field(min_length=1)]
    head: AnyHead

    @model_validator(mode="after")
    def _skips_fit(self):
        for i, (first, *_) in enumerate(self.placed_blocks, start=1):
            if first.padding is not None and first.keeps_shape and first.padding != (first.block.kernel or 1) // 2:
                raise ValueError(
                    f"stage{i}: first_padding {first.padding} changes the side of the map, past which its first block "
                    "has a skip (stride 1, as many channels out as in); leave first_padding out"
                )
        return self

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "architecture") -> "Architecture":
        """The architecture that `to_dict` describes; UserError names what is wrong."""
        return parse(cls, dict(values), where=where)

    def to_dict(self) -> dict:
        """Plain containers, as written to files."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def placed_blocks(self) -> tuple[tuple[PlacedBlock, ...], ...]:
        """The blocks of each stage at their places."""
        widths = [self.stem_width, *(stage.blocks[-1].width for stage in self.stages)]
        return tuple(placed(stage, width) for stage, width in zip(self.stages, widths, strict=False))

    def image_side(self, scale: float) -> int:
        """Side in pixels of the images of a training: resolution times `scale`, at least `MIN_IMAGE_SIZE` and what the
        network takes."""
        return max(MIN_IMAGE_SIZE, self.smallest_image, round(self.resolution * scale))

    @property
    def table(self) -> ArchitectureTable:
        """The architecture as a table of one row, each block a run of its own."""
        return ArchitectureTable(
            resolution=np.array([self.resolution], dtype=np.float64),
            stem_width=np.array([self.stem_width], dtype=np.float64),
            stem_activation=self.stem_activation,
            runs=tuple(run_of(block) for stage in self.placed_blocks for block in stage),
            head=self.head,
        )

    @property
    def smallest_image(self) -> int:
        """Side in pixels of the smallest images that the network takes; above 1 only where padding is overridden."""
        return next(side for side in count(1) if self._takes(side))

    def _takes(self, side: int) -> bool:
        side = (side + 1) // 2
        for stage in self.stages:
            kernel = stage.blocks[0].kernel or 1
            padding = kernel // 2 if stage.first_padding is None else stage.first_padding
            if side + 2 * padding < kernel:
                return False
            side = (side + 2 * padding - kernel) // stage.stride + 1
        return True


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A field of the table: the key of the space that decides it (None = fixed), and the number for each choice."""

    source: str | None
    numbers: np.ndarray

    @classmethod
    def fixed(cls, number: float) -> "_Column":
        return cls(source=None, numbers=np.array([number], dtype=np.float64))


class ArchitectureSpace(Space):
    """The space that a `search_space` YAML describes. Dimensions are named `resolution`, `stem_width`, `stage3/width`,
    `stage3/expansion_first`, `stage3/block2/kind`, ...; a key with one fixed value makes no dimension."""

    def __init__(self, settings: ArchitectureSpaceSettings):
        self.settings = settings
        self._choices: dict[str, tuple] = {}  # dimension name or fixed key -> its values
        self._source: dict[str, str] = {}  # field of an architecture -> the key above that decides it
        self._kinds: dict[str, BlockKinds] = {}  # block -> its kinds
        self._columns: dict[str, _Column] = {}  # field of the table -> what decides it
        self._runs: list[dict] = []  # of each run of the table, what all rows share
        for field in ("resolution", "stem_width"):
            self._declare(field, (field,), getattr(settings, field), self._whole)
            self._columns[field] = self._column(field)
        for i, stage in enumerate(settings.stages, start=1):
            if isinstance(stage, BlockStageSettings):
                for j, block in enumerate(stage.blocks, start=1):
                    self._declare_block(f"stage{i}/block{j}", block, stride=stage.stride if j == 1 else 1)
            else:
                self._declare_stage(f"stage{i}", stage)
        dimensions = [Dimension(name=n, choices=c) for n, c in self._choices.items() if len(c) > 1]
        super().__init__(settings.name, dimensions)

    def _declare_stage(self, stage_name: str, stage: StageSettings) -> None:
        for key in ("width", "depth"):
            self._declare(f"{stage_name}/{key}", (f"{stage_name}/{key}",), getattr(stage, key), self._whole)
        for key, check in (("kernel", self._block_value), ("expansion", self._whole)):
            first, rest = f"{stage_name}/{key}_first", f"{stage_name}/{key}_rest"
            if getattr(stage, key) is not None:
                self._declare(f"{stage_name}/{key}", (first, rest), getattr(stage, key), check)
            else:
                self._declare(first, (first,), getattr(stage, f"{key}_first"), check)
                self._declare(rest, (rest,), getattr(stage, f"{key}_rest"), check)
        se = table_number("se", "input" if stage.se else False)
        depth = self._column(f"{stage_name}/depth")
        counts = {"first": _Column.fixed(1), "rest": _Column(source=depth.source, numbers=depth.numbers - 1)}
        for blocks in ("first", "rest"):
            columns = {key: self._column(f"{stage_name}/{key}_{blocks}") for key in ("kernel", "expansion")}
            columns |= {"count": counts[blocks], "width": self._column(f"{stage_name}/width")}
            fixed = {"groups": 1, "se": se, "activation": table_number("activation", "hswish"), "skip": 0}
            columns |= {key: _Column.fixed(value) for key, value in fixed.items()}
            self._add_run(columns, stride=stage.stride if blocks == "first" else 1, rounding=Stage.rounding)

    def _declare_block(self, block_name: str, block: BlockSettings, *, stride: int) -> None:
        given = {key: spec for key in BlockSettings.model_fields if (spec := getattr(block, key)) is not None}
        for key, spec in given.items():
            check = self._known_kind if key == "kind" else self._block_value
            self._declare(f"{block_name}/{key}", (f"{block_name}/{key}",), spec, check)
        kinds = {"": BlockKind()}
        if "kind" in given:
            kinds = {name: self.settings.kinds[name] for name in self._choices[self._source[f"{block_name}/kind"]]}
        own = [key for key in given if key != "kind"]
        self._kinds[block_name] = BlockKinds(where=f"{self._where}: {block_name}", kinds=kinds, own=own)
        columns = {"count": _Column.fixed(1)}
        for key in BLOCK_KEYS:
            if key in given:
                columns[key] = self._column(f"{block_name}/{key}", key)
            else:
                source = self._source.get(f"{block_name}/kind")
                numbers = [table_number(key, getattr(kind, key)) for kind in kinds.values()]
                columns[key] = _Column(source=source, numbers=np.array(numbers))
        for width in columns["width"].numbers:
            for groups in columns["groups"].numbers:
                if width % groups:
                    raise UserError(f"{self._where}: {block_name}: width {width:g} has no {groups:g} equal groups")
        self._add_run(columns, stride=stride, rounding=BlockStage.rounding)

    def _add_run(self, columns: Mapping[str, _Column], *, stride: int, rounding: str) -> None:
        self._columns |= {f"run{len(self._runs)}/{key}": column for key, column in columns.items()}
        self._runs.append({"stride": stride, "padding": None, "rounding": rounding})

    def _column(self, field: str, key: str = "width") -> _Column:
        source = self._source[field]
        numbers = [table_number(key, choice) for choice in self._choices[source]]
        return _Column(source=source, numbers=np.array(numbers, dtype=np.float64))

    def _declare(self, name: str, fields: tuple[str, ...], spec, check: Callable) -> None:
        """Note the choices of a key, as `check` returns them, and the fields of architectures that it decides."""
        if isinstance(spec, SameAs):
            source = f"{spec.same_as}/{name.rpartition('/')[2]}"
            if source not in self._choices:
                raise UserError(f"{self._where}: {name}: no earlier {_level(spec.same_as)} has {source}")
            for choice in self._choices[source]:  # that suits there may not suit here
                check(name, choice)
            name = source
        else:
            self._choices[name] = tuple(check(name, choice) for choice in choices_of(spec))
        for field in fields:
            self._source[field] = name

    @property
    def _where(self) -> str:
        return f"search_space {self.settings.name}"

    def _whole(self, name: str, choice) -> int:
        if not isinstance(choice, int) or isinstance(choice, bool) or choice < 1:
            raise UserError(f"{self._where}: {name}: {choice!r} is not a positive whole number")
        return choice

    def _block_value(self, name: str, choice):
        place, _, key = name.rpartition("/")
        key = key.removesuffix("_first").removesuffix("_rest")
        values = {"width": 4, "kernel": 1, "expansion": 1, key: choice}
        return getattr(parse(Block, values, where=f"{self._where}: {place}"), key)

    def _known_kind(self, name: str, choice) -> str:
        if choice not in self.settings.kinds:
            known = ", ".join(self.settings.kinds) or "none"
            raise UserError(f"{self._where}: {name}: {choice!r} is no kind; kinds: {known}")
        return choice

    @property
    def specification(self) -> dict[str, list]:
        """Every dimension with its choices, all that is fixed, and what follows another stage or block."""
        fixed = {name: list(choices) for name, choices in self._choices.items() if len(choices) == 1}
        for field, source in self._source.items():
            if source.rpartition("/")[0] != field.rpartition("/")[0]:
                fixed[field] = [f"same_as {source}"]
        for i, stage in enumerate(self.settings.stages, start=1):
            fixed[f"stage{i}/stride"] = [stage.stride]
            if isinstance(stage, StageSettings):
                fixed[f"stage{i}/se"] = [stage.se]
        fixed |= {f"head/{key}": [value] for key, value in self.settings.head.model_dump().items()}
        if self.settings.stem_activation != "hswish":
            fixed["stem_activation"] = [self.settings.stem_activation]
        kinds = self.settings.kinds.items()
        fixed |= {f"kinds/{name}": [kind.model_dump()] for name, kind in kinds}
        return super().specification | fixed

    @property
    def runs(self) -> int:
        """Number of runs in the table."""
        return len(self._runs)

    def table(self, points: np.ndarray) -> ArchitectureTable:
        """The architectures of points (n, d) as arrays."""
        columns = {field: self._numbers(points, column) for field, column in self._columns.items()}
        runs = [
            Run(**{key: columns[f"run{i}/{key}"] for key in ("count", *BLOCK_KEYS)}, **shared)
            for i, shared in enumerate(self._runs)
        ]
        return ArchitectureTable(
            resolution=columns["resolution"],
            stem_width=columns["stem_width"],
            stem_activation=self.settings.stem_activation,
            runs=tuple(runs),
            head=self.settings.head,
        )

    def _numbers(self, points: np.ndarray, column: _Column) -> np.ndarray:
        if len(column.numbers) == 1:
            return column.numbers
        return column.numbers[points[:, self.position(column.source)]]

    def deciding(self, fields: Sequence[str]) -> tuple[int, ...]:
        """Columns of a point that decide these fields of the table (`resolution`, `run3/width`, ...), ascending."""
        columns = [self._columns[field] for field in fields]
        return tuple(sorted({self.position(column.source) for column in columns if len(column.numbers) > 1}))

    def architecture(self, point: np.ndarray) -> Architecture:
        """The architecture of one point."""
        values = {name: choices[0] for name, choices in self._choices.items()} | self.values(point)
        chosen = {field: values[source] for field, source in self._source.items()}
        return Architecture(
            resolution=chosen["resolution"],
            stem_width=chosen["stem_width"],
            stem_activation=self.settings.stem_activation,
            stages=tuple(self._stage(f"stage{i}", s, chosen) for i, s in enumerate(self.settings.stages, start=1)),
            head=self.settings.head,
        )

    def _stage(self, name: str, stage: StageSettings | BlockStageSettings, chosen: Mapping) -> Stage | BlockStage:
        if isinstance(stage, StageSettings):
            return Stage(**{k: chosen[f"{name}/{k}"] for k in STAGE_KEYS}, stride=stage.stride, se=stage.se)
        blocks = []
        for block_name in (f"{name}/block{j}" for j in range(1, len(stage.blocks) + 1)):
            kinds = self._kinds[block_name]
            own = {key: chosen[f"{block_name}/{key}"] for key in kinds.own}
            blocks.append(kinds.block(chosen.get(f"{block_name}/kind", ""), own))
        return BlockStage(stride=stage.stride, blocks=tuple(blocks))

    def decode(self, point: np.ndarray) -> dict:
        """The whole stage table: readable, and buildable without this space."""
        return self.architecture(point).to_dict()

    def locate(self, decoded: Mapping) -> np.ndarray:
        """The point of a stage table; UserError names the first field in which the space cannot express it."""
        wanted = Architecture.from_dict(decoded)
        self._check_form(wanted)
        fields = _fields(wanted)
        values = {}
        for name, choices in self._choices.items():
            if len(choices) > 1:
                field = next(field for field, source in self._source.items() if source == name)
                values[name] = self._kind_in(wanted, field) if field.endswith("/kind") else fields[field]
        point = self.point(values)
        for field, value in _fields(self.architecture(point)).items():
            if fields[field] != value:
                raise UserError(f"space {self.name} cannot express {field} = {fields[field]}: it would be {value}")
        return point

    def _check_form(self, wanted: Architecture) -> None:
        own = self.settings.stages
        if len(wanted.stages) != len(own):
            raise UserError(f"space {self.name} has {len(own)} stages, given {len(wanted.stages)}")
        for i, stages in enumerate(zip(own, wanted.stages, strict=True), start=1):
            forms = [f"of {len(s.blocks)} blocks" if isinstance(s, LONG) else "in short form" for s in stages]
            if forms[0] != forms[1]:
                raise UserError(f"space {self.name} has stage{i} {forms[0]}, given {forms[1]}")
        if type(wanted.head) is not type(self.settings.head):
            heads = [head.model_dump() for head in (self.settings.head, wanted.head)]
            raise UserError(f"space {self.name} has head {heads[0]}, given {heads[1]}")

    def _kind_in(self, wanted: Architecture, field: str) -> str:
        stage, block, _ = field.split("/")
        given = wanted.stages[int(stage.removeprefix("stage")) - 1].blocks[int(block.removeprefix("block")) - 1]
        kinds = self._kinds[f"{stage}/{block}"]
        if (kind := kinds.kind_of(given)) is None:
            allowed = ", ".join(kinds.kinds)
            raise UserError(f"space {self.name} cannot express {stage}/{block} = {given.words}; kinds: {allowed}")
        return kind


def _level(place: str) -> str:
    return "block" if "/" in place else "stage"


def _fields(architecture: Architecture) -> dict:
    fields = _values(architecture, ("resolution", "stem_width", "stem_activation"))
    fields |= _values(architecture.head, type(architecture.head).model_fields, "head/")
    for i, stage in enumerate(architecture.stages, start=1):
        if isinstance(stage, BlockStage):
            fields[f"stage{i}/stride"] = stage.stride
            for j, block in enumerate(stage.blocks, start=1):
                fields |= _values(block, Block.model_fields, f"stage{i}/block{j}/")
        else:
            fields |= _values(stage, Stage.model_fields, f"stage{i}/")
    return fields


def _values(settings: Settings, keys: Iterable[str], prefix: str = "") -> dict:
    return {prefix + key: getattr(settings, key) for key in keys}
