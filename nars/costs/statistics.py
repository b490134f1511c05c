"""What architectures cost, for whole matrices of points at once: multiply-adds, parameters and more.

MACs count convolution and linear layers (papers call this FLOPs); params count every trainable number, batch norm
and biases included. Both equal what fvcore and `sum(p.numel())` find on the built network. Published FBNetV3 numbers
use another convention, available as `released_macs` and `weights`.
"""

from dataclasses import dataclass

import numpy as np

from nars.costs.rounding import expanded_width, squeezed_width
from nars.spaces.architecture import ArchitectureSpace, ArchitectureTable

CHUNK = 8192  # rows priced together: the working set of one chunk stays in the cache


@dataclass(kw_only=True)
class _Tally:
    """Running sums over the layers of a network; each is an array (n,) or a number."""

    macs: np.ndarray | float = 0.0  # convolution and linear multiply-adds
    weights: np.ndarray | float = 0.0  # convolution and linear weights
    other_params: np.ndarray | float = 0.0  # biases and batch-norm scales and shifts
    pooled: np.ndarray | float = 0.0  # elements entering an average pool
    activations: np.ndarray | float = 0.0  # elements leaving a convolution or linear layer

    def conv(self, c_in, c_out, pixels, *, kernel=1, norm=True, bias=False):
        self._layer(c_in * c_out * (kernel * kernel), c_out, pixels, norm + norm + bias)

    def depthwise(self, channels, pixels, kernel):
        self._layer(channels * (kernel * kernel), channels, pixels, 2)

    def _layer(self, weights, c_out, pixels, others_per_channel):
        self.weights = self.weights + weights
        self.macs = self.macs + weights * pixels
        self.activations = self.activations + c_out * pixels
        if others_per_channel:
            self.other_params = self.other_params + others_per_channel * c_out

    def squeeze_excite(self, channels, squeezed, pixels):
        self.pooled = self.pooled + channels * pixels
        self.conv(channels, squeezed, 1, norm=False, bias=True)
        self.conv(squeezed, channels, 1, norm=False, bias=True)

    def add(self, block: "_Tally", times) -> None:
        for name in ("macs", "weights", "other_params", "pooled", "activations"):
            setattr(self, name, getattr(self, name) + getattr(block, name) * times)


def _block(c_in, c_out, side_in, side_out, *, kernel, expansion, se) -> _Tally:
    """One inverted residual (depthwise-separable where expansion is 1)."""
    tally = _Tally()
    middle = expanded_width(c_in, expansion)
    expand = _Tally()
    expand.conv(c_in, middle, side_in * side_in)
    tally.add(expand, expansion != 1)
    pixels = side_out * side_out
    tally.depthwise(middle, pixels, kernel)
    if se:
        tally.squeeze_excite(middle, squeezed_width(middle, expansion), pixels)
    tally.conv(middle, c_out, pixels)
    return tally


def _tally(table: ArchitectureTable, num_classes: int) -> _Tally:
    total = _Tally()
    side = np.ceil(table.resolution / 2)
    total.conv(3, table.stem_width, side * side, kernel=3)
    c_in = table.stem_width
    for stage in table.stages:
        kernel, width = stage["kernel_first"], stage["width"]
        padding = kernel // 2 if stage["first_padding"] is None else stage["first_padding"]
        side_out = np.floor((side + (2 * padding - kernel)) / stage["stride"]) + 1
        total.add(
            _block(c_in, width, side, side_out, kernel=kernel, expansion=stage["expansion_first"], se=stage["se"]), 1
        )
        rest = _block(
            width,
            width,
            side_out,
            side_out,
            kernel=stage["kernel_rest"],
            expansion=stage["expansion_rest"],
            se=stage["se"],
        )
        total.add(rest, stage["depth"] - 1)
        c_in, side = width, side_out
    final = c_in * table.head_expansion
    total.conv(c_in, final, side * side)
    total.pooled = total.pooled + final * side * side + table.head_width
    total.conv(final, table.head_width, 1, norm=False)
    total.conv(table.head_width, num_classes, 1, norm=False, bias=True)
    return total


_NAMES = {
    "macs": lambda t: t.macs,
    "params": lambda t: t.weights + t.other_params,
    "weights": lambda t: t.weights,
    "released_macs": lambda t: t.macs + t.pooled,
    "activations": lambda t: t.activations,
}


def table_costs(table: ArchitectureTable, names: tuple[str, ...], *, num_classes: int) -> np.ndarray:
    """Costs float64 (n, len(names)) of n architectures; `names` are keys of `_NAMES`, e.g. macs, params."""
    tally = _tally(table, num_classes)
    columns = [np.atleast_1d(np.asarray(_NAMES[name](tally), dtype=np.float64)) for name in names]
    return np.stack(np.broadcast_arrays(*columns), axis=1)


def costs(
    space: ArchitectureSpace,
    points: np.ndarray,
    names: tuple[str, ...] = ("macs", "params"),
    *,
    num_classes: int = 1000,
) -> np.ndarray:
    """Costs float64 (n, len(names)) of points (n, d) of `space` with a classifier of `num_classes`."""
    chunks = [
        np.broadcast_to(
            table_costs(space.table(points[i : i + CHUNK]), names, num_classes=num_classes),
            (len(points[i : i + CHUNK]), len(names)),
        )
        for i in range(0, len(points), CHUNK)
    ]
    return np.concatenate(chunks) if chunks else np.empty((0, len(names)))
