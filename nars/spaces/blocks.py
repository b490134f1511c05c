"""Stages of networks as runs of blocks, in FBNetV3's short form or block by block."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, PositiveInt, Tag, model_validator

from nars.settings import BlockKind, Kernel, NonNegativeInt, Settings

STAGE_KEYS = ("width", "depth", "kernel_first", "kernel_rest", "expansion_first", "expansion_rest")


class Block(BlockKind):
    """One block of `width` output channels; with a residual connection where its shape stays the same."""

    width: PositiveInt

    @model_validator(mode="after")
    def _complete(self):
        if not self.skip and (self.kernel is None or self.expansion is None):
            raise ValueError("a block that is no skip has a kernel and an expansion")
        if self.width % self.groups:
            raise ValueError(f"width {self.width} cannot be divided into {self.groups} groups")
        return self

    @property
    def words(self) -> str:
        """In short, without the width: `k5 e4.5 g2 se relu`, `skip`; hswish is not mentioned."""
        activation = [] if self.activation == "hswish" else [self.activation]
        if self.skip:
            return " ".join(["skip", *activation])
        groups = [f"g{self.groups}"] * (self.groups > 1)
        se = {False: [], "input": ["se"], "expanded": ["se/expanded"]}[self.se]
        return " ".join([f"k{self.kernel}", f"e{self.expansion:g}", *groups, *se, *activation])


@dataclass(frozen=True, kw_only=True)
class PlacedBlock:
    """A block at its place in a network: channels that enter it, stride, padding (None = kernel // 2), rounding."""

    block: Block
    c_in: int
    stride: int
    padding: int | None
    rounding: str

    @property
    def keeps_shape(self) -> bool:
        """Whether what leaves the block has the shape of what enters it."""
        return self.stride == 1 and self.block.width == self.c_in

    @property
    def is_nothing(self) -> bool:
        """Whether the block is a skip without a layer."""
        return self.block.skip and self.keeps_shape


class Stage(Settings):
    """FBNetV3's short form: `depth` inverted-residual blocks (plain depthwise-separable where the expansion is 1).

    `first_padding` None pads the first depthwise convolution by kernel // 2. Channels inside the blocks are rounded as
    timm does it, which keeps searched widths such as 20 where the expansion is 1.
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

    rounding: ClassVar[str] = "timm"

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the stage."""
        shared = {"width": self.width, "se": "input" if self.se else False}
        first = Block(kernel=self.kernel_first, expansion=self.expansion_first, **shared)
        rest = Block(kernel=self.kernel_rest, expansion=self.expansion_rest, **shared)
        return (first,) + (rest,) * (self.depth - 1)


class BlockStage(Settings):
    """A stage block by block; its first block has the stride. Channels are rounded as in the released code."""

    stride: Literal[1, 2]
    blocks: Annotated[tuple[Block, ...], Field(min_length=1)]

    rounding: ClassVar[str] = "released"
    first_padding: ClassVar[None] = None


def placed(stage: Stage | BlockStage, c_in: int) -> tuple[PlacedBlock, ...]:
    """The blocks of a stage that `c_in` channels enter."""
    widths = [c_in, *(block.width for block in stage.blocks)]
    strides = [stage.stride] + [1] * (len(stage.blocks) - 1)
    paddings = [stage.first_padding] + [None] * (len(stage.blocks) - 1)
    return tuple(
        PlacedBlock(block=block, c_in=width, stride=stride, padding=padding, rounding=stage.rounding)
        for block, width, stride, padding in zip(stage.blocks, widths, strides, paddings, strict=False)
    )


def _form(given) -> str:
    long = isinstance(given, BlockStage) or (isinstance(given, dict) and "blocks" in given)
    return "long" if long else "short"


# Told apart before they are checked, so that an error speaks of the form that was meant.
AnyStage = Annotated[Annotated[Stage, Tag("short")] | Annotated[BlockStage, Tag("long")], Discriminator(_form)]
