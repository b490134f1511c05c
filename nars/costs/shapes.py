"""Networks as blocks of some shape, for whole matrices of points at once: all that costs are counted from, and the key
under which the latency of a block is measured.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, get_args

import numpy as np

from nars.costs.rounding import expanded_width, squeezed_width
from nars.settings import Activation, ConvHeadSettings
from nars.spaces.table import BLOCK_KEYS, NO_SQUEEZE, SQUEEZE_INPUT, ArchitectureTable, Run

KINDS = ("stem", "block", "skip", "head", "conv_head", "classifier")
ACTIVATIONS = (*get_args(Activation), "none")
NUMBERS = ("c_in", "middle", "c_out", "kernel", "stride", "padding", "groups", "squeezed", "side")


class Shape(NamedTuple):
    """One block: what decides how many multiply-adds, parameters and milliseconds it takes.

    `kind`: the `stem`; a `block` (an inverted residual, without expansion layer where `middle` is `c_in`); a `skip`
    that is a convolution; the `head`, from its convolution to the activation before the classifier, with one layer
    after pooling or, `conv_head`, without; the `classifier`. `middle`: channels inside; `squeezed`: those inside
    squeeze-and-excite, 0 without; `groups`: of the projection; `side` of the map that enters, in pixels. 0 and `none`:
    it has no such thing.
    """

    kind: str
    c_in: int
    middle: int
    c_out: int
    kernel: int
    stride: int
    padding: int
    groups: int
    squeezed: int
    side: int
    activation: str

    @property
    def words(self) -> str:
        """In short: `block 16-96-24 k3 s2 se8 relu at 112 px`."""
        widths = "-".join(str(width) for width in (self.c_in, self.middle, self.c_out) if width)
        more = [f"g{self.groups}"] * (self.groups > 1) + [f"se{self.squeezed}"] * (self.squeezed > 0)
        layer = [] if self.kind == "classifier" else [f"k{self.kernel}", f"s{self.stride}", *more, self.activation]
        return " ".join([self.kind, widths, *layer, f"at {self.side} px"])

    @property
    def row(self) -> tuple[int, ...]:
        """The shape as whole numbers, in the order of its fields."""
        return (KINDS.index(self.kind), *self[1:-1], ACTIVATIONS.index(self.activation))

    @classmethod
    def of_row(cls, row: Sequence[int]) -> "Shape":
        """Inverse of `row`."""
        kind, *numbers, activation = map(int, row)
        return cls(KINDS[kind], *numbers, ACTIVATIONS[activation])


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """The same block of many networks, `count` times in each: fields as in `Shape`, numbers or arrays (n,) of them."""

    kind: str
    c_in: np.ndarray | float
    c_out: np.ndarray | float
    side: np.ndarray | float
    activation: np.ndarray | float
    middle: np.ndarray | float = 0
    kernel: np.ndarray | float = 1
    stride: int = 1
    padding: np.ndarray | float = 0
    groups: np.ndarray | float = 1
    squeezed: np.ndarray | float = 0
    count: np.ndarray | float = 1

    @property
    def side_out(self):
        """Side in pixels of the map that leaves."""
        return np.floor((self.side + (2 * self.padding - self.kernel)) / self.stride) + 1

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """`Shape.row` of each network as int64 (n, 11), and `count` float64 (n,)."""
        columns = [KINDS.index(self.kind), *(getattr(self, name) for name in NUMBERS), self.activation, self.count]
        columns = np.broadcast_arrays(*map(np.atleast_1d, columns))
        return np.stack(columns[:-1], axis=1).astype(np.int64), columns[-1]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of every network: the fields of the table that decide it, and its blocks."""

    fields: tuple[str, ...]
    shapes: Callable[[ArchitectureTable], list[Shapes]]


def parts(runs: int, num_classes: int) -> list[Part]:
    """Stem, runs of blocks, head with classifier: every layer is in one of them."""
    found = [Part(fields=("resolution", "stem_width"), shapes=_stem)]
    for i in range(runs):
        own = tuple(f"run{i}/{key}" for key in ("count", *BLOCK_KEYS))
        fields = ("resolution", f"run{i - 1}/width" if i else "stem_width", *own)
        found.append(Part(fields=fields, shapes=partial(_run, i=i)))
    last = f"run{runs - 1}/width"
    return [*found, Part(fields=("resolution", last), shapes=partial(_head, num_classes=num_classes))]


def shapes_of(table: ArchitectureTable, num_classes: int) -> Iterator[Shapes]:
    """All blocks of the networks of a table, in their order."""
    for part in parts(len(table.runs), num_classes):
        yield from part.shapes(table)


def distinct_rows(shapes: Iterable[Shapes]) -> np.ndarray:
    """Every `Shape.row` (n, 11) that occurs, once and in order; blocks that occur 0 times are none."""
    found = [np.empty((0, len(Shape._fields)), dtype=np.int64)]
    for some in shapes:
        rows, count = some.rows()
        found.append(np.unique(rows[count > 0], axis=0))
    return np.unique(np.concatenate(found), axis=0)


def _stem(table: ArchitectureTable) -> list[Shapes]:
    activation = ACTIVATIONS.index(table.stem_activation)
    fixed = {"kernel": 3, "stride": 2, "padding": 1, "activation": activation}
    return [Shapes(kind="stem", c_in=3, c_out=table.stem_width, side=table.resolution, **fixed)]


def _run(table: ArchitectureTable, i: int) -> list[Shapes]:
    c_in = table.runs[i - 1].width if i else table.stem_width
    return run_shapes(table.runs[i], c_in, table.sides[i])


def run_shapes(run: Run, c_in: np.ndarray | float, side: np.ndarray | float) -> list[Shapes]:
    """Blocks after one another that `c_in` channels enter, on maps of `side` pixels: inverted residuals, and skips as
    far as they have a layer."""
    middle = expanded_width(c_in, run.expansion, rounding=run.rounding)
    squeezed = squeezed_width(middle, np.where(run.se == SQUEEZE_INPUT, run.expansion, 1))
    shared = {"c_in": c_in, "c_out": run.width, "stride": run.stride, "side": side, "activation": run.activation}
    residual = Shapes(
        kind="block",
        middle=middle,
        kernel=run.kernel,
        padding=run.kernel // 2 if run.padding is None else run.padding,
        groups=run.groups,
        squeezed=squeezed * (run.se != NO_SQUEEZE),
        count=run.count * (1 - run.skip),
        **shared,
    )
    changes_shape = (run.stride != 1) | (run.width != c_in)
    return [residual, Shapes(kind="skip", count=run.count * run.skip * changes_shape, **shared)]


def _head(table: ArchitectureTable, num_classes: int) -> list[Shapes]:
    head, c_in = table.head, table.runs[-1].width
    shared = {"c_in": c_in, "side": table.sides[-1], "activation": ACTIVATIONS.index(head.activation)}
    if isinstance(head, ConvHeadSettings):
        width, body = head.conv, Shapes(kind="conv_head", c_out=head.conv, **shared)
    else:
        width, body = head.width, Shapes(kind="head", middle=c_in * head.expansion, c_out=head.width, **shared)
    activation = ACTIVATIONS.index("none")
    return [body, Shapes(kind="classifier", c_in=width, c_out=num_classes, side=1, activation=activation)]
