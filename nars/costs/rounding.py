"""Channel rounding of the released networks, once, for numbers and arrays alike.

Networks and cost functions both call these, so that a priced network is the built one.
"""

import numpy as np

DIVISOR = 8


def round_width(width, *, limit: float):
    """Nearest multiple of 8 (half up, at least 8), one step up if that loses more than 1 - `limit` of `width`.

    `width`: number or array (integer valued or not); returns the same kind, whole numbers. Source: released code,
    timm's make_divisible.
    """
    rounded = np.maximum(DIVISOR, np.floor(width * (1 / DIVISOR) + 0.5) * DIVISOR)
    return rounded + DIVISOR * (rounded < limit * width)


def expanded_width(width, expansion, *, rounding: str):
    """Channels inside an inverted residual; where they are `width`, it has no expansion layer.

    `rounding` "released": as in the released code; "timm": as timm builds them, where an expansion of 1 keeps `width`
    as it is (20 is searched and no multiple of 8).
    """
    if rounding == "released":
        return round_width(width * expansion, limit=0.95)
    return np.where(expansion == 1, width, round_width(width * expansion, limit=0.9))


def squeezed_width(expanded, ratio):
    """Channels inside squeeze-and-excite: a quarter of `expanded` / `ratio`, rounded (released code).

    `ratio` is the block's expansion where a quarter of its input is meant (FBNetV3), else 1 (FBNetV2).
    """
    return round_width(np.floor(expanded / (4 * ratio)), limit=0.95)
