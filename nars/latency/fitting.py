"""A table from whole networks: what somebody measured of each, as the sum over its blocks."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from nars.costs.shapes import Shape, Shapes, shapes_of
from nars.errors import UserError
from nars.latency.check import agreement
from nars.latency.table import Check
from nars.spaces.architecture import ArchitectureSpace

MS = "ms"
FEWEST = 10
FOLDS = 5
HUBER = 1.345  # deviations beyond which a network counts less; robust statistics' usual constant
STEPS = 30


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Architectures as points int16 (n, d), and what each takes, float64 (n,)."""

    points: np.ndarray
    ms: np.ndarray


def read_networks(path: Path, space: ArchitectureSpace) -> Networks:
    """The networks in a CSV file with a column for each dimension of the space and one called `ms`; UserError names the
    first that is wrong."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"networks={path}: cannot be read ({error})") from None
    names = [dimension.name for dimension in space.dimensions]
    missing = [name for name in (*names, MS) if not rows or name not in rows[0]]
    if missing:
        raise UserError(
            f"networks={path}: no column {missing[0]}; needed: {MS} and the dimensions of search_space={space.name}: "
            f"{', '.join(names)}"
        )
    if len(rows) < FEWEST:
        raise UserError(f"networks={path}: {len(rows)} networks are too few; at least {FEWEST}, better 200")
    lines = [(row, f"networks={path}: line {number}") for number, row in enumerate(rows, start=2)]
    points = np.array([_point(row, space, where) for row, where in lines])
    return Networks(points=points, ms=np.array([_ms(row, where) for row, where in lines]))


def _point(row: dict, space: ArchitectureSpace, where: str) -> np.ndarray:
    point = []
    for dimension in space.dimensions:
        known = {str(choice): i for i, choice in enumerate(dimension.choices)}
        if row[dimension.name] not in known:
            raise UserError(
                f"{where}: {dimension.name}: {row[dimension.name]!r} is not offered; allowed: {', '.join(known)}"
            )
        point.append(known[row[dimension.name]])
    return np.array(point, dtype=np.int16)


def _ms(row: dict, where: str) -> float:
    try:
        ms = float(row[MS])
    except (TypeError, ValueError):
        ms = 0.0
    if not 0 < ms < float("inf"):
        raise UserError(f"{where}: {MS}: {row[MS]!r} is no positive number")
    return ms


def fit_entries(networks: Networks, space: ArchitectureSpace, *, num_classes: int) -> tuple[dict[Shape, float], Check]:
    """Milliseconds of all blocks that occur in the networks, none negative, so that their sums are what was measured,
    and how well fits to four fifths of the networks predict the others.

    By least relative squares in which outliers count less (Huber's weights): a device that was busy for a moment must
    not spoil blocks. What the networks cannot tell apart (stem and classifier, which all of them have) is shared out in
    some way.
    """
    counts, shapes = occurrences(networks.points, space, num_classes=num_classes)
    predicted = np.empty(len(counts))
    folds = np.arange(len(counts)) % FOLDS
    for fold in range(FOLDS):
        held = folds == fold
        predicted[held] = counts[held] @ _fitted(counts[~held], networks.ms[~held])
    entries = dict(zip(shapes, _fitted(counts, networks.ms).tolist(), strict=True))
    return entries, agreement(predicted, networks.ms)


def occurrences(points: np.ndarray, space: ArchitectureSpace, *, num_classes: int) -> tuple[np.ndarray, list[Shape]]:
    """How often float64 (n, k) each network has each of the k shapes that occur, and these."""
    columns: dict[tuple[int, ...], np.ndarray] = {}
    for shapes in shapes_of(space.table(points), num_classes):
        for row, count in _by_row(shapes, len(points)):
            columns[row] = columns.get(row, 0) + count
    return np.stack(list(columns.values()), axis=1), [Shape.of_row(row) for row in columns]


def _by_row(shapes: Shapes, n: int) -> Sequence[tuple[tuple[int, ...], np.ndarray]]:
    rows, count = shapes.rows()
    rows, count = np.broadcast_to(rows, (n, rows.shape[1])), np.broadcast_to(count, n)
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    found = [(tuple(row), count * (which.ravel() == i)) for i, row in enumerate(distinct.tolist())]
    return [(row, times) for row, times in found if times.any()]


def _fitted(counts: np.ndarray, ms: np.ndarray) -> np.ndarray:
    relative, weights = counts / ms[:, None], np.ones(len(ms))
    for _ in range(STEPS):
        root = np.sqrt(weights)
        found, _ = nnls(relative * root[:, None], root, maxiter=100 * counts.shape[1])
        deviation = np.abs(relative @ found - 1)
        usual = 1.4826 * np.median(deviation) + 1e-9  # a standard deviation, of normal ones
        weights = np.minimum(1, HUBER * usual / np.maximum(deviation, 1e-12))
    return found
