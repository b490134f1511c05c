"""A search space: named dimensions, points as int16 index matrices, Sobol' sampling, encoding."""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import qmc

from nars.errors import UserError
from nars.spaces.dimension import Dimension, Value


class Space:
    """An ordered set of dimensions. A point is int16 (d,): the index of the choice in each; a batch is (n, d)."""

    def __init__(self, name: str, dimensions: Sequence[Dimension]):
        self.name = name
        self.dimensions = tuple(dimensions)
        self.sizes = np.array([len(dimension.choices) for dimension in self.dimensions], dtype=np.int16)
        self._position = {dimension.name: i for i, dimension in enumerate(self.dimensions)}
        if len(self._position) != len(self.dimensions):
            raise UserError(f"space {name}: two dimensions have the same name")
        # All encodings in one row, column by column; the dimension of each column, and where its choices begin.
        encodings = [_encoding(dimension).T.ravel() for dimension in self.dimensions]
        self._encodings = np.concatenate([*encodings, np.empty(0, dtype=np.float32)])
        self._encoded = np.repeat(np.arange(len(self)), [len(dimension.columns) for dimension in self.dimensions])
        self._starts = np.cumsum([0, *self.sizes[self._encoded]], dtype=np.int32)[:-1]

    def __len__(self) -> int:
        return len(self.dimensions)

    @property
    def cardinality(self) -> int:
        """Number of points."""
        return math.prod(int(size) for size in self.sizes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `encode`."""
        return tuple(column for dimension in self.dimensions for column in dimension.columns)

    @property
    def specification(self) -> dict[str, list[Value]]:
        """Every dimension with its choices: what a saved predictor is compared with."""
        return {dimension.name: list(dimension.choices) for dimension in self.dimensions}

    def position(self, name: str) -> int:
        """Column of dimension `name` in a point."""
        return self._position[name]

    def sample(self, n: int, seed: int, *, skip: int = 0) -> np.ndarray:
        """Points (n, d) of the scrambled Sobol' sequence of `seed`, starting after its first `skip` points.

        The same seed always gives the same sequence, so sample(n, s)[k:] equals sample(n - k, s, skip=k).
        """
        if not len(self):
            return np.empty((n, 0), dtype=np.int16)
        engine = qmc.Sobol(d=len(self), scramble=True, rng=np.random.default_rng(seed))
        if skip:
            engine.fast_forward(skip)
        with warnings.catch_warnings():
            # n need not be a power of two: the points are candidates, not nodes of an integration rule.
            warnings.filterwarnings("ignore", message="The balance properties", category=UserWarning)
            unit = engine.random(n)
        return np.minimum((unit * self.sizes).astype(np.int16), self.sizes - 1)

    def encode(self, points: np.ndarray) -> np.ndarray:
        """Features float32 (n, f) of points (n, d): ordered choices min-max scaled, categories one-hot."""
        assert ((points >= 0) & (points < self.sizes)).all(), "not points of the space"
        return self._encodings.take(points[:, self._encoded] + self._starts)

    def values(self, point: np.ndarray) -> dict[str, Value]:
        """The chosen value of each dimension, by name."""
        return {dimension.name: dimension.choices[int(i)] for dimension, i in zip(self.dimensions, point, strict=True)}

    def point(self, values: Mapping[str, Value]) -> np.ndarray:
        """The point int16 (d,) with these values; UserError names a dimension or value that is not offered."""
        unknown = sorted(set(values) - set(self._position))
        if unknown:
            raise UserError(f"space {self.name} has no dimension {unknown[0]}; it has {', '.join(self._position)}")
        missing = [name for name in self._position if name not in values]
        if missing:
            raise UserError(f"space {self.name}: no value for {missing[0]}")
        try:
            return np.array([d.index(values[d.name]) for d in self.dimensions], dtype=np.int16)
        except UserError as error:
            raise UserError(f"space {self.name}: {error}") from None

    def decode(self, point: np.ndarray) -> dict:
        """What a file says of this point: plain containers, values only. Inverse: `locate`."""
        return self.values(point)

    def locate(self, decoded: Mapping) -> np.ndarray:
        """The point that `decode` describes this way; UserError if the space does not offer it."""
        return self.point(decoded)


def _encoding(dimension: Dimension) -> np.ndarray:
    """Rows float32 (choices, columns): the encoding of each choice."""
    if not dimension.ordered:
        return np.eye(len(dimension.choices), dtype=np.float32)
    numbers = np.array(dimension.choices, dtype=np.float64)
    span = numbers[-1] - numbers[0]
    scaled = (numbers - numbers[0]) / span if span else np.zeros_like(numbers)
    return scaled.astype(np.float32)[:, None]
