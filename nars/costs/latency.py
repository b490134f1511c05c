"""Latency of a device as a cost: what each block takes, by its shape."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from nars.costs.shapes import KINDS, Shape, Shapes, distinct_rows

STEP = 2.0**-20  # ms (about a nanosecond), of which all entries are multiples: their sums are exact in any order


class LatencyTable:
    """Milliseconds of blocks on one device. A network takes the sum over its blocks.

    `entries` are measured alone. Within a network a block takes `scale` times as long, and the network `base` more,
    which its stem is charged with.
    """

    def __init__(self, entries: Mapping[Shape, float], *, base: float = 0.0, scale: float = 1.0):
        rows = np.array([shape.row for shape in entries], dtype=np.int64).reshape(-1, len(Shape._fields))
        ms = scale * np.array(list(entries.values()), dtype=np.float64) + base * (rows[:, 0] == KINDS.index("stem"))
        hashes = _hashes(rows)
        order = np.argsort(hashes)
        self._rows, self._hashes, self._ms = rows[order], hashes[order], np.round(ms[order] / STEP) * STEP
        assert len(np.unique(hashes)) == len(hashes), "two shapes have the same hash"

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that stand for all entries."""
        return hashlib.sha256(self._rows.tobytes() + self._ms.tobytes()).hexdigest()[:16]

    def __eq__(self, other) -> bool:
        return isinstance(other, LatencyTable) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def missing(self, shapes: Iterable[Shapes]) -> list[Shape]:
        """The shapes that occur and that the table does not hold."""
        rows = distinct_rows(shapes)
        return [Shape.of_row(row) for row in rows[self._positions(rows) < 0]]

    def milliseconds(self, shapes: Iterable[Shapes]) -> np.ndarray:
        """float64 (n,), or (1,) where all networks agree: what the blocks take together; all must be in the table."""
        return sum((self._of(some) for some in shapes), np.zeros(1))

    def _of(self, shapes: Shapes) -> np.ndarray:
        rows, count = shapes.rows()
        there = count > 0
        positions = self._positions(rows[there])
        assert (positions >= 0).all(), "shapes are missing that nobody has asked for"
        ms = np.zeros(len(rows))
        ms[there] = self._ms[positions] * count[there]
        return ms

    def _positions(self, rows: np.ndarray) -> np.ndarray:
        """int (n,): which entry each row is, -1 if it is none."""
        if not len(self._rows):
            return np.full(len(rows), -1)
        at = np.minimum(np.searchsorted(self._hashes, _hashes(rows)), len(self._rows) - 1)
        return np.where((self._rows[at] == rows).all(axis=1), at, -1)


def _hashes(rows: np.ndarray) -> np.ndarray:
    """uint64 (n,) of rows (n, f)."""
    factors = np.random.default_rng(0).integers(1, 2**63, size=rows.shape[1], dtype=np.uint64) | np.uint64(1)
    return (rows.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64)
