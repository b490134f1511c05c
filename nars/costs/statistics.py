"""What architectures cost, for whole matrices of points at once: multiply-adds, parameters, latency and more.

MACs count convolution and linear layers (papers call this FLOPs); params count every trainable number, batch norm
and biases included. Both equal what fvcore and `sum(p.numel())` find on the built network. Published FBNetV3 numbers
use another convention, available as `released_macs` and `weights`. Latency is the sum of what was measured of blocks.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nars.costs.pricing import AS_PUBLISHED, Pricing
from nars.costs.shapes import Part, Shapes, distinct_rows, parts
from nars.costs.table import LATENCY
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.fixed import Architectures, FixedArchitecture
from nars.spaces.table import ArchitectureTable

CHUNK = 8192  # rows priced together: the working set of one chunk stays in the cache
MAX_ENTRIES = 100_000  # combinations of choices that decide the costs of a part, up to which they are looked up


@dataclass(kw_only=True)
class _Tally:
    """Running sums over the layers of a network; each is an array (n,) or a number."""

    macs: np.ndarray | float = 0.0  # convolution and linear multiply-adds
    weights: np.ndarray | float = 0.0  # convolution and linear weights
    other_params: np.ndarray | float = 0.0  # biases and batch-norm scales and shifts
    pooled: np.ndarray | float = 0.0  # elements entering an average pool
    activations: np.ndarray | float = 0.0  # elements leaving a convolution or linear layer

    def conv(self, c_in, c_out, pixels, *, kernel=1, groups=1, norm=True, bias=False):
        self._layer(c_in * c_out * (kernel * kernel) / groups, c_out, pixels, norm + norm + bias)

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


def _block(shapes: Shapes) -> _Tally:
    """An inverted residual (depthwise-separable where it works on its input's channels)."""
    tally, expand, squeeze = _Tally(), _Tally(), _Tally()
    pixels = shapes.side_out**2
    expand.conv(shapes.c_in, shapes.middle, shapes.side**2)
    tally.add(expand, shapes.middle != shapes.c_in)
    tally.depthwise(shapes.middle, pixels, shapes.kernel)
    squeeze.squeeze_excite(shapes.middle, shapes.squeezed, pixels)
    tally.add(squeeze, shapes.squeezed != 0)
    tally.conv(shapes.middle, shapes.c_out, pixels, groups=shapes.groups)
    return tally


def _convolution(shapes: Shapes) -> _Tally:
    tally = _Tally()
    tally.conv(shapes.c_in, shapes.c_out, shapes.side_out**2, kernel=shapes.kernel)
    return tally


def _conv_head(shapes: Shapes) -> _Tally:
    tally = _convolution(shapes)
    tally.pooled = tally.pooled + shapes.c_out * shapes.side**2
    return tally


def _head(shapes: Shapes) -> _Tally:
    tally = _Tally(pooled=shapes.middle * shapes.side**2 + shapes.c_out)
    tally.conv(shapes.c_in, shapes.middle, shapes.side**2)
    tally.conv(shapes.middle, shapes.c_out, 1, norm=False)
    return tally


def _classifier(shapes: Shapes) -> _Tally:
    tally = _Tally()
    tally.conv(shapes.c_in, shapes.c_out, 1, norm=False, bias=True)
    return tally


_KINDS = {
    "stem": _convolution,
    "block": _block,
    "skip": _convolution,
    "head": _head,
    "conv_head": _conv_head,
    "classifier": _classifier,
}


def _tally(shapes: Iterable[Shapes]) -> _Tally:
    total = _Tally()
    for some in shapes:
        total.add(_KINDS[some.kind](some), some.count)
    return total


_NAMES = {  # what each counted cost takes of a part; a network costs the sum over its parts
    "macs": lambda t: t.macs,
    "params": lambda t: t.weights + t.other_params,
    "weights": lambda t: t.weights,
    "released_macs": lambda t: t.macs + t.pooled,
    "activations": lambda t: t.activations,
}


def table_costs(table: ArchitectureTable, names: tuple[str, ...], pricing: Pricing) -> np.ndarray:
    """Costs float64 (n, len(names)) of n architectures; `names` are keys of `_NAMES`, or latency if it is priced."""
    return sum(_columns(part.shapes(table), names, pricing) for part in parts(len(table.runs), pricing.num_classes))


def costs(
    space: Architectures, points: np.ndarray, names: tuple[str, ...], pricing: Pricing = AS_PUBLISHED
) -> np.ndarray:
    """Costs float64 (n, len(names)) of points (n, d) of `space`."""
    chunks = [points[i : i + CHUNK] for i in range(0, len(points), CHUNK)]
    lookup = _lookup(space, tuple(names), pricing)
    if lookup is not None:
        found = [lookup(chunk) for chunk in chunks]
    else:
        found = [table_costs(space.table(chunk), names, pricing) for chunk in chunks]
        found = [np.broadcast_to(part, (len(chunk), len(names))) for part, chunk in zip(found, chunks, strict=True)]
    return np.concatenate(found) if found else np.empty((0, len(names)))


def _columns(shapes: Sequence[Shapes], names: tuple[str, ...], pricing: Pricing) -> np.ndarray:
    """What the blocks of a part cost: (n, len(names)), or (1, len(names)) where all networks agree."""
    tally, columns = _tally(shapes), []
    for name in names:
        column = pricing.latency.milliseconds(shapes) if name == LATENCY else _NAMES[name](tally)
        columns.append(np.atleast_1d(np.asarray(column, dtype=np.float64)))
    return np.stack(np.broadcast_arrays(*columns), axis=1)


@dataclass(frozen=True, kw_only=True)
class PartTable:
    """What a part of the networks of a space costs: `values` float64 (k, *sizes of `dimensions`), for every combination
    of the choices that decide it. `dimensions` are columns of a point, ascending.

    Contracted with the probabilities of independent choices, the tables of all parts add up to the exact expected
    costs."""

    dimensions: tuple[int, ...]
    values: np.ndarray


@lru_cache(maxsize=16)
def part_tables(space: Architectures, names: tuple[str, ...], pricing: Pricing) -> tuple[PartTable, ...] | None:
    """The tables of all parts, whose sum a network costs; None if one would have more than `MAX_ENTRIES` entries.
    A single network is one part."""
    if isinstance(space, FixedArchitecture):
        known = space.costs_of(pricing)
        return (PartTable(dimensions=(), values=np.array([known[name] for name in names], dtype=np.float64)),)
    found = parts(space.runs, pricing.num_classes)
    if max(math.prod(_sizes(space, space.deciding(part.fields))) for part in found) > MAX_ENTRIES:
        return None
    return tuple(_part_table(space, part, names, pricing) for part in found)


def _part_table(space: ArchitectureSpace, part: Part, names: tuple[str, ...], pricing: Pricing) -> PartTable:
    dimensions = space.deciding(part.fields)
    [points] = _combinations(space, dimensions, math.prod(_sizes(space, dimensions)))
    values = _columns(part.shapes(space.table(points)), names, pricing)
    values = np.broadcast_to(values, (len(points), len(names)))
    return PartTable(dimensions=dimensions, values=values.T.reshape(len(names), *_sizes(space, dimensions)))


def _sizes(space: ArchitectureSpace, dimensions: Sequence[int]) -> list[int]:
    return space.sizes[list(dimensions)].tolist()


def _combinations(space: ArchitectureSpace, dimensions: Sequence[int], most: int) -> Iterator[np.ndarray]:
    """Points (n, d), up to `most` at a time, that have every combination of choices of `dimensions` once, in the order
    of `np.ndindex`, and the first of all others."""
    sizes = _sizes(space, dimensions)
    for start in range(0, math.prod(sizes), most):
        numbers = np.arange(start, min(start + most, math.prod(sizes)))
        points = np.zeros((len(numbers), len(space)), dtype=np.int16)
        points[:, list(dimensions)] = np.array(np.unravel_index(numbers, [1, *sizes]))[1:].T
        yield points


def rows_of_space(space: ArchitectureSpace, num_classes: int) -> np.ndarray:
    """The rows int64 (n, 11) of every `nars.costs.shapes.Shape` that a network of `space` can have."""
    rows = []
    for part in parts(space.runs, num_classes):
        for points in _combinations(space, space.deciding(part.fields), MAX_ENTRIES):
            rows.append(distinct_rows(part.shapes(space.table(points))))
    return np.unique(np.concatenate(rows), axis=0)


class _Lookup:
    """Costs as sums of looked-up parts; whole numbers below 2**53 are exact in any order.

    No matrix product: NumPy's would keep a second thread spinning beside trainings, and few choices decide each part.
    """

    def __init__(self, tables: tuple[PartTable, ...]):
        values = [np.ascontiguousarray(table.values.reshape(len(table.values), -1).T) for table in tables]
        self._parts = [(t.dimensions, t.values.shape[1:], v) for t, v in zip(tables, values, strict=True)]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Costs (n, k) of points (n, d)."""
        columns = np.ascontiguousarray(points.T, dtype=np.int32)
        return sum(values.take(_entries(columns, *of), axis=0) for *of, values in self._parts)


def _entries(columns: np.ndarray, dimensions: tuple[int, ...], sizes: tuple[int, ...]) -> np.ndarray:
    """Where a flat table of these `sizes` holds the choices (n,) that `columns` (d, n) have in its `dimensions`."""
    if not dimensions:
        return np.zeros(columns.shape[1], dtype=np.int32)
    entries = columns[dimensions[0]].copy()
    for dimension, size in zip(dimensions[1:], sizes[1:], strict=True):
        entries *= size
        entries += columns[dimension]
    return entries


@lru_cache(maxsize=16)
def _lookup(space: Architectures, names: tuple[str, ...], pricing: Pricing) -> _Lookup | None:
    """The lookup of a space; None if there are no tables."""
    tables = part_tables(space, names, pricing)
    return None if tables is None else _Lookup(tables)
