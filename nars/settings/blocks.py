"""What blocks and heads of networks may be: the common language of FBNetV1, V2 and V3."""

from typing import Annotated, Literal

from pydantic import Discriminator, PositiveFloat, PositiveInt, Tag

from nars.settings.base import Settings, later

Kernel = Literal[1, 3, 5, 7, 9, 11]
Activation = Literal["hswish", "relu"]
Squeeze = Literal[False, "input", "expanded"]


class BlockKind(Settings):
    """A block but for its width: an inverted residual, or a skip.

    `expansion`: the block works on round8(its input width x expansion) channels, and has no pointwise convolution to
    them where that is its input width. `groups`: of the projection, whose channels are shuffled where there are several
    (FBNetV1). `se`: squeeze-and-excite, a quarter as wide as the block's input (FBNetV3) or as its inside (FBNetV2).
    A `skip` is nothing, or where the shape changes a 1x1 convolution with norm and activation; its other keys mean
    nothing. Source: released code.
    """

    kernel: Kernel | None = later(None)
    expansion: PositiveFloat | None = later(None)
    groups: Literal[1, 2, 4] = later(1)
    se: Squeeze = later(False)
    activation: Activation = later("hswish")
    skip: bool = later(False)


class HeadSettings(Settings):
    """Final expansion (of the last stage's width) before pooling, and the width of the layer after it (FBNetV2, V3)."""

    expansion: PositiveInt
    width: PositiveInt
    activation: Activation = later("hswish")


class ConvHeadSettings(Settings):
    """A 1x1 convolution to `conv` channels with norm before pooling, and no layer after it (FBNetV1)."""

    conv: PositiveInt
    activation: Activation = later("hswish")


def _kind_of_head(given) -> str:
    return "conv" if isinstance(given, ConvHeadSettings) or (isinstance(given, dict) and "conv" in given) else "pooled"


# Told apart before they are checked, so that an error speaks of the kind that was meant.
AnyHead = Annotated[
    Annotated[HeadSettings, Tag("pooled")] | Annotated[ConvHeadSettings, Tag("conv")], Discriminator(_kind_of_head)
]
