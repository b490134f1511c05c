"""Channel rounding of the released FBNetV3 networks, once, for numbers and arrays alike.

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


def expanded_width(width, expansion):
    """Channels inside an inverted residual; expansion 1 has no expansion layer and keeps `width`."""
    return np.where(expansion == 1, width, round_width(width * expansion, limit=0.9))


def squeezed_width(expanded, expansion):
    """Channels inside squeeze-and-excite: a quarter of the block's input width, rounded (released code)."""
    return round_width(np.floor(expanded / (4 * expansion)), limit=0.95)
