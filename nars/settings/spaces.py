"""Settings of search spaces: groups `search_space`, `recipe_space` and `constraint`."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
    create_model,
    model_validator,
)

from nars.costs.table import COSTS, LIMITED
from nars.settings.base import Fraction, PathText, Settings, later, parse
from nars.settings.blocks import Activation, AnyHead, BlockKind

MAX_CHOICES = 32_767  # of one dimension: points hold the index of a choice as int16


class Range(Settings):
    """The choices low, low + step, ..., high, each times `unit`: an ordered dimension."""

    low: int
    high: int
    step: PositiveInt = 1
    unit: PositiveFloat = 1

    @model_validator(mode="after")
    def _ordered(self):
        if self.high < self.low or (self.high - self.low) % self.step:
            raise ValueError(f"high must be low + a multiple of step, not {self.low}..{self.high} by {self.step}")
        if (choices := (self.high - self.low) // self.step + 1) > MAX_CHOICES:
            raise ValueError(f"{choices:,} choices, at most {MAX_CHOICES:,}; raise step")
        return self


class SameAs(Settings):
    """The choice made for the same key of another stage or block: `{same_as: stage4}`, `{same_as: stage4/block1}`."""

    same_as: Annotated[str, Field(pattern=r"^stage\d+(/block\d+)?$")]


Value = bool | int | float | str


def _kind_of_choices(given) -> str:
    if isinstance(given, list | tuple):
        return "list"
    if isinstance(given, SameAs) or (isinstance(given, dict) and "same_as" in given):
        return "shared"
    return "range" if isinstance(given, Range | dict) else "value"


def _kind_of_own_choices(given) -> str:
    kind = _kind_of_choices(given)
    return "range" if kind == "shared" else kind


# Told apart before they are checked, so that an error speaks of the kind that was meant.
_Range = Annotated[Range, Tag("range")]
_List = Annotated[tuple[Value, ...], Field(min_length=1), Tag("list")]
_Value = Annotated[Value, Tag("value")]
OwnChoices = Annotated[_Range | _List | _Value, Discriminator(_kind_of_own_choices)]
Choices = Annotated[_Range | Annotated[SameAs, Tag("shared")] | _List | _Value, Discriminator(_kind_of_choices)]


class StageSettings(Settings):
    """One stage: each key a fixed value, a list of choices, a range, or `{same_as: stageN}`.

    `kernel` and `expansion` hold for all blocks of the stage; `*_first` and `*_rest` tell its first block apart.
    """

    width: Choices
    depth: Choices
    kernel: Choices | None = None
    kernel_first: Choices | None = None
    kernel_rest: Choices | None = None
    expansion: Choices | None = None
    expansion_first: Choices | None = None
    expansion_rest: Choices | None = None
    stride: Literal[1, 2]
    se: bool

    @model_validator(mode="after")
    def _one_spelling(self):
        for key in ("kernel", "expansion"):
            whole, first, rest = (getattr(self, key + suffix) is not None for suffix in ("", "_first", "_rest"))
            if (whole, first, rest) not in ((True, False, False), (False, True, True)):
                raise ValueError(f"give either {key}, or both {key}_first and {key}_rest")
        return self


class BlockSettings(Settings):
    """One block: its width, and the other keys of a block as `kind` or one by one; each as in `StageSettings`.

    `kind` chooses among the space's `kinds` by name; a key that they say is not said here.
    """

    width: Choices
    kind: Choices | None = later(None)
    kernel: Choices | None = later(None)
    expansion: Choices | None = later(None)
    groups: Choices | None = later(None)
    se: Choices | None = later(None)
    activation: Choices | None = later(None)


class BlockStageSettings(Settings):
    """One stage block by block; the first block has the stride."""

    stride: Literal[1, 2]
    blocks: Annotated[tuple[BlockSettings, ...], Field(min_length=1)]


def _form_of_stage(given) -> str:
    long = isinstance(given, BlockStageSettings) or (isinstance(given, dict) and "blocks" in given)
    return "long" if long else "short"


AnyStageSettings = Annotated[
    Annotated[StageSettings, Tag("short")] | Annotated[BlockStageSettings, Tag("long")], Discriminator(_form_of_stage)
]


class ArchitectureSpaceSettings(Settings):
    """What architectures can be chosen (group `search_space`); `kinds` names kinds of blocks to choose among."""

    name: str
    resolution: Choices
    stem_width: Choices
    stem_activation: Activation = later("hswish")
    kinds: dict[str, BlockKind] = later({})
    stages: Annotated[tuple[AnyStageSettings, ...], Field(min_length=1)]
    head: AnyHead


class FixedSpaceSettings(Settings):
    """One network, whose recipe alone is searched (group `search_space`): `candidate` is a file, the name of one in
    conf/candidates, or timm:<model name>; `resolution` of its images in pixels, null = its own.

    `architecture` is what the candidate says, in plain containers: filled in when a search is composed, so that what
    was searched is known from its settings."""

    name: str
    candidate: PathText
    resolution: PositiveInt | None = None
    architecture: dict | None = later(None)


def _kind_of_space(given) -> str:
    fixed = isinstance(given, FixedSpaceSettings) or (isinstance(given, dict) and "candidate" in given)
    return "fixed" if fixed else "several"


SearchSpaceSettings = Annotated[
    Annotated[ArchitectureSpaceSettings, Tag("several")] | Annotated[FixedSpaceSettings, Tag("fixed")],
    Discriminator(_kind_of_space),
]


def _several(settings):
    if isinstance(settings, FixedSpaceSettings):
        raise ValueError("one network is nothing to choose among, so search_space=fixed is for search.py alone")
    return settings


SeveralArchitectures = Annotated[SearchSpaceSettings, AfterValidator(_several)]


def search_space_of(values: Mapping) -> SearchSpaceSettings:
    """The settings that plain containers hold; UserError names what is wrong."""
    settings_class = FixedSpaceSettings if _kind_of_space(values) == "fixed" else ArchitectureSpaceSettings
    return parse(settings_class, dict(values), where="search_space")


class Recipe(Settings):
    """How one candidate is trained; the only list of recipe keys. A key's default is its neutral value, with which it
    does nothing; its title is what reports call it.

    `lr` is the initial learning rate for RMSProp at the protocol's `lr_batch_size`; SGD multiplies it by the
    protocol's `sgd_lr_multiplier`. `dropout` and `stochastic_depth` are drop probabilities, `mixup` is the alpha of
    the Beta distribution that mixing weights are drawn from, `cutmix` the same for the area of an image that is taken
    from another one (torchvision's CutMix); with both, one of them is drawn for every batch (ours).
    """

    lr: PositiveFloat
    optimizer: Literal["rmsprop", "sgd"]
    ema: bool = False
    dropout: Fraction = 0.0
    stochastic_depth: Annotated[Fraction, Field(title="depth-drop")] = 0.0
    mixup: Annotated[float, Field(ge=0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, title="wd")] = 0.0
    cutmix: float = later(0.0, ge=0)

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "recipe") -> "Recipe":
        """The recipe that `to_dict` describes; UserError names what is wrong."""
        return parse(cls, dict(values), where=where)

    def to_dict(self) -> dict:
        """Plain containers, as written to files."""
        return self.model_dump(mode="json")

    @classmethod
    def required(cls) -> tuple[str, ...]:
        """The keys that have no neutral value."""
        return tuple(key for key, field in cls.model_fields.items() if field.is_required())

    @classmethod
    def neutral(cls) -> dict:
        """All other keys, with the values that they have where they are left out."""
        return {key: field.default for key, field in cls.model_fields.items() if not field.is_required()}


def _searched(key: str) -> tuple:
    """Type and default of a recipe key in a recipe space."""
    if key in Recipe.required():
        return OwnChoices, ...
    return OwnChoices | None, Field(default=None, exclude_if=lambda choices: choices is None)


RecipeSpaceSettings = create_model(
    "RecipeSpaceSettings",
    __base__=Settings,
    __doc__="What training recipes can be chosen (group `recipe_space`); keys that are left out stay neutral.",
    name=(str, ...),
    **{key: _searched(key) for key in Recipe.model_fields},
)


class _Limits(Settings):
    @model_validator(mode="after")
    def _not_crossed(self):
        for name in LIMITED:
            low, high = self.bounds(name)
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{name} is above max_{name}")
        return self

    @property
    def limited(self) -> tuple[str, ...]:
        """Names of the costs that have a limit."""
        return tuple(name for name in LIMITED if self.bounds(name) != (None, None))

    def bounds(self, name: str) -> tuple[float | None, float | None]:
        """The least and the greatest that a cost may be; None = no limit."""
        return getattr(self, f"min_{name}"), getattr(self, f"max_{name}")


def _limit(name: str) -> tuple:
    """Type and default of a limit; those of costs that came later are left out of files while there is none."""
    return PositiveFloat | None, None if COSTS[name].always else later(None)


CostLimits = create_model(
    "CostLimits",
    __base__=_Limits,
    __doc__="The least and the greatest costs (`nars.costs.table`); null = no limit.",
    **{f"{end}_{name}": _limit(name) for name in LIMITED for end in ("max", "min")},
)


class ConstraintSettings(CostLimits):
    """Limits that the answer keeps (group `constraint`); costs count a classifier of `num_classes` classes, None =
    those of the data."""

    num_classes: PositiveInt | None = 1000
