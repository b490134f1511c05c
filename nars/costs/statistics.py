"""What architectures cost, for whole matrices of points at once: multiply-adds, parameters and more.

MACs count convolution and linear layers (papers call this FLOPs); params count every trainable number, batch norm
and biases included. Both equal what fvcore and `sum(p.numel())` find on the built network. Published FBNetV3 numbers
use another convention, available as `released_macs` and `weights`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from nars.costs.rounding import expanded_width, squeezed_width
from nars.settings import ConvHeadSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.table import BLOCK_KEYS, NO_SQUEEZE, SQUEEZE_INPUT, ArchitectureTable, Run

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


def _residual(c_in, run: Run, side_in, side_out) -> _Tally:
    """One inverted residual (depthwise-separable where it works on its input's channels)."""
    tally, expand, squeeze = _Tally(), _Tally(), _Tally()
    middle = expanded_width(c_in, run.expansion, rounding=run.rounding)
    pixels = side_out * side_out
    expand.conv(c_in, middle, side_in * side_in)
    tally.add(expand, middle != c_in)
    tally.depthwise(middle, pixels, run.kernel)
    ratio = np.where(run.se == SQUEEZE_INPUT, run.expansion, 1)
    squeeze.squeeze_excite(middle, squeezed_width(middle, ratio), pixels)
    tally.add(squeeze, run.se != NO_SQUEEZE)
    tally.conv(middle, run.width, pixels, groups=run.groups)
    return tally


def _skip(c_in, run: Run, side_out) -> _Tally:
    """A skip: a convolution where it changes the shape, else nothing."""
    tally, conv = _Tally(), _Tally()
    conv.conv(c_in, run.width, side_out * side_out)
    tally.add(conv, (run.stride != 1) | (run.width != c_in))
    return tally


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A part of every network: the fields of the table that decide what it costs, and the sums over its layers."""

    fields: tuple[str, ...]
    tally: Callable[[ArchitectureTable], _Tally]


def _parts(runs: int, num_classes: int) -> list[_Part]:
    """Stem, runs of blocks, head: every layer is in one of them."""
    parts = [_Part(fields=("resolution", "stem_width"), tally=_stem)]
    for i in range(runs):
        own = tuple(f"run{i}/{key}" for key in ("count", *BLOCK_KEYS))
        fields = ("resolution", f"run{i - 1}/width" if i else "stem_width", *own)
        parts.append(_Part(fields=fields, tally=partial(_run, i=i)))
    last = f"run{runs - 1}/width"
    return [*parts, _Part(fields=("resolution", last), tally=partial(_head, num_classes=num_classes))]


def _stem(table: ArchitectureTable) -> _Tally:
    tally = _Tally()
    tally.conv(3, table.stem_width, table.sides[0] ** 2, kernel=3)
    return tally


def _run(table: ArchitectureTable, i: int) -> _Tally:
    run, (side_in, side_out) = table.runs[i], table.sides[i : i + 2]
    c_in = table.runs[i - 1].width if i else table.stem_width
    tally = _Tally()
    tally.add(_residual(c_in, run, side_in, side_out), run.count * (1 - run.skip))
    tally.add(_skip(c_in, run, side_out), run.count * run.skip)
    return tally


def _head(table: ArchitectureTable, num_classes: int) -> _Tally:
    c_in, pixels, head = table.runs[-1].width, table.sides[-1] ** 2, table.head
    if isinstance(head, ConvHeadSettings):
        tally = _Tally(pooled=head.conv * pixels)
        tally.conv(c_in, head.conv, pixels)
        tally.conv(head.conv, num_classes, 1, norm=False, bias=True)
        return tally
    final = c_in * head.expansion
    tally = _Tally(pooled=final * pixels + head.width)
    tally.conv(c_in, final, pixels)
    tally.conv(final, head.width, 1, norm=False)
    tally.conv(head.width, num_classes, 1, norm=False, bias=True)
    return tally


_NAMES = {  # what each cost takes of a part; a network costs the sum over its parts
    "macs": lambda t: t.macs,
    "params": lambda t: t.weights + t.other_params,
    "weights": lambda t: t.weights,
    "released_macs": lambda t: t.macs + t.pooled,
    "activations": lambda t: t.activations,
}


def table_costs(table: ArchitectureTable, names: tuple[str, ...], *, num_classes: int) -> np.ndarray:
    """Costs float64 (n, len(names)) of n architectures; `names` are keys of `_NAMES`."""
    return sum(_columns(part.tally(table), names) for part in _parts(len(table.runs), num_classes))


def costs(
    space: ArchitectureSpace,
    points: np.ndarray,
    names: tuple[str, ...],
    *,
    num_classes: int = 1000,
) -> np.ndarray:
    """Costs float64 (n, len(names)) of points (n, d) of `space` with a classifier of `num_classes`."""
    chunks = [points[i : i + CHUNK] for i in range(0, len(points), CHUNK)]
    lookup = _lookup(space, tuple(names), num_classes)
    if lookup is not None:
        parts = [lookup(chunk) for chunk in chunks]
    else:
        parts = [table_costs(space.table(chunk), names, num_classes=num_classes) for chunk in chunks]
        parts = [np.broadcast_to(part, (len(chunk), len(names))) for part, chunk in zip(parts, chunks, strict=True)]
    return np.concatenate(parts) if parts else np.empty((0, len(names)))


def _columns(tally: _Tally, names: tuple[str, ...]) -> np.ndarray:
    columns = [np.atleast_1d(np.asarray(_NAMES[name](tally), dtype=np.float64)) for name in names]
    return np.stack(np.broadcast_arrays(*columns), axis=1)


@dataclass(frozen=True, kw_only=True)
class PartTable:
    """What a part of the networks of a space costs: `values` float64 (k, *sizes of `dimensions`), for every combination
    of the choices that decide it. `dimensions` are columns of a point, ascending."""

    dimensions: tuple[int, ...]
    values: np.ndarray


@lru_cache(maxsize=16)
def part_tables(space: ArchitectureSpace, names: tuple[str, ...], num_classes: int) -> tuple[PartTable, ...] | None:
    """The tables of all parts, whose sum a network costs; None if one would have more than `MAX_ENTRIES` entries."""
    parts = _parts(space.runs, num_classes)
    deciding = [space.deciding(part.fields) for part in parts]
    if max(math.prod(space.sizes[list(d)].tolist()) for d in deciding) > MAX_ENTRIES:
        return None
    return tuple(_part_table(space, part, d, names) for part, d in zip(parts, deciding, strict=True))


def _part_table(space: ArchitectureSpace, part: _Part, deciding: tuple[int, ...], names: tuple[str, ...]) -> PartTable:
    shape = space.sizes[list(deciding)].tolist()
    points = np.zeros((math.prod(shape), len(space)), dtype=np.int16)
    points[:, list(deciding)] = np.indices(shape).reshape(len(shape), len(points)).T
    values = np.broadcast_to(_columns(part.tally(space.table(points)), names), (len(points), len(names)))
    return PartTable(dimensions=deciding, values=values.T.reshape(len(names), *shape))


class _Lookup:
    """Costs as sums of looked-up parts; whole numbers below 2**53 are exact in any order.

    `values` (k, entries) holds the tables of all parts; points times `steps` (d, parts) plus `starts` (parts,) says
    which entries a point takes.
    """

    def __init__(self, steps: np.ndarray, starts: np.ndarray, values: np.ndarray):
        self._steps = steps
        self._starts = starts
        self._values = values

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Costs (n, k) of points (n, d)."""
        entries = (self._steps.T @ points.T.astype(np.float64) + self._starts[:, None]).astype(np.intp)
        return np.stack([cost.take(entries).sum(axis=0) for cost in self._values], axis=1)


@lru_cache(maxsize=16)
def _lookup(space: ArchitectureSpace, names: tuple[str, ...], num_classes: int) -> _Lookup | None:
    """The lookup of a space; None if there are no tables."""
    tables = part_tables(space, names, num_classes)
    if tables is None:
        return None
    steps, starts, entries = np.zeros((len(space), len(tables))), [], 0
    for column, table in enumerate(tables):
        shape = table.values.shape[1:]
        steps[list(table.dimensions), column] = np.cumprod([1, *shape[:0:-1]])[::-1]
        starts.append(entries)
        entries += math.prod(shape)
    values = np.concatenate([table.values.reshape(len(names), -1) for table in tables], axis=1)
    return _Lookup(steps, np.array(starts, dtype=np.float64), values)
