"""A table as a problem: what a search may train, and how far from the best it is."""

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.hpo_tables import HpoTable
from nars.records import Record
from nars.spaces.candidate import Candidate


class Problem:
    """The rows of a table with at most `max_params` parameters; `name` tells whether there is a limit.

    `accuracies` (n,) are the table's values scaled to [0, 1]; `regret` (n,) is 0 for the best row and 1 for the median,
    `seconds` (n,) is how long a row's training took.
    """

    def __init__(self, table: HpoTable, *, limit_quantile: float | None = None):
        self.name = table.name + ("" if limit_quantile is None else " limited")
        self.space = table.space
        max_params = np.inf if limit_quantile is None else np.quantile(table.params, limit_quantile)
        allowed = table.params <= max_params
        self.points, self.params, values = table.points[allowed], table.params[allowed], table.values[allowed]
        self.seconds = table.seconds[allowed]
        self.accuracies = (values - values.min()) / (values.max() - values.min())
        self.regret = (values.max() - values) / (values.max() - np.median(values))
        self._rows = {point.tobytes(): row for row, point in enumerate(self.points)}

    def rows(self, points: np.ndarray) -> np.ndarray:
        """Rows (k,) of feasible points (k, d)."""
        return np.array([self._rows[point.tobytes()] for point in points.astype(np.int16)], dtype=int)

    def cost(self, points: np.ndarray) -> np.ndarray:
        """Numbers of parameters (k,) of feasible points (k, d)."""
        return self.params[self.rows(points)]

    def feasible(self, points: np.ndarray) -> np.ndarray:
        """Bool (k,): whether points (k, d) keep the limit."""
        return np.array([point.tobytes() in self._rows for point in points.astype(np.int16)], dtype=bool)

    def evaluate(self, candidates: Sequence[Candidate], epochs: int, *, title: str) -> Iterator[Record]:
        """Looks the candidates up: what `run_rounds` calls in place of trainings."""
        points = np.array([self.space.locate_candidate(candidate) for candidate in candidates])
        for candidate, row in zip(candidates, self.rows(points), strict=True):
            yield Record(
                key=candidate.name,
                **candidate.to_dict(),
                training={},
                seed=0,
                epochs=1,
                status="finished",
                accuracies=(float(self.accuracies[row]),),
                costs={"params": float(self.params[row])},
                seconds=float(self.seconds[row]),
            )
