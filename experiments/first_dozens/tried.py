"""Other ways to choose, each with a Gaussian process alone that sees the features and nothing pretrained: a run takes a
tenth of the time of the default predictor's."""

from functools import lru_cache

import numpy as np
import torch

from experiments.joint_search.methods import _pool
from experiments.joint_search.problem import Problem
from nars.predictor.encoding import Thermometer, scaled_choices
from nars.predictor.model import AccuracyModel
from nars.predictor.process import GaussianProcess, noise
from nars.predictor.targets import Kind, Targets
from nars.search.acquisition import expected_improvement
from nars.search.batch import spread_batch
from nars.search.strategies import OPTIMISM, SAMPLES

FIRST, STEPS, SHORTLIST, LEAST_VARIANCE = 8, 80, 600, 1e-4


def process_alone(
    problem: Problem,
    budget: int,
    seed: int,
    *,
    targets: Kind = "normal_scores",
    wide: bool = True,
    batch: int = 4,
    choose: str = "improvement",
) -> np.ndarray:
    """Rows of the table in the order of training. `wide`: deviations as wide as NARS explores by, else as the process
    has them; `choose`: see `_chosen`, or "mean" for the best predicted."""
    x, pool = _features(problem), _pool(problem, seed)
    rows = problem.rows(pool.points[spread_batch(pool.points, problem.space.sizes, pool.costs, FIRST, seed=seed)])
    while len(rows) < budget:
        accuracies, n = problem.accuracies[rows], min(batch, budget - len(rows))
        generator = torch.Generator().manual_seed(seed)
        model = _fitted(x[rows], accuracies, targets, wide, generator)
        with torch.inference_mode():
            mean = model.mean(x, x).numpy()
            if choose == "mean":
                new = _best(mean, rows, n)
            else:
                variance = model.process.variance(x) - noise(model.process.hyperparameters())
                deviation = model.reach.numpy() * variance.clamp_min(LEAST_VARIANCE).sqrt().numpy()
                short = _best(mean + OPTIMISM * deviation, rows, SHORTLIST)
                some = x[np.concatenate([short, rows])]
                draws = model.targets.to_accuracies(model.draws(some, some, SAMPLES, generator=generator).numpy())
                new = short[_chosen(draws, accuracies, n, choose)]
        rows = np.concatenate([rows, new])
    return rows


def _chosen(draws: np.ndarray, accuracies: np.ndarray, n: int, choose: str) -> np.ndarray:
    """Columns (n,) of joint samples `draws` (s, c + known) of c candidates and of the known ones.

    "improvement" is that over the best accuracy known, "noisy_improvement" over the best of the known ones in the same
    sample (as qNEI has it); "sampled" takes the best of a sample for each (Thompson)."""
    offered, known = draws[:, : -len(accuracies)], draws[:, -len(accuracies) :]
    if choose == "sampled":
        columns = []
        for sample in offered[:n].copy():
            sample[columns] = -np.inf
            columns.append(int(sample.argmax()))
        return np.array(columns)
    level = known.max(axis=1, keepdims=True) if choose == "noisy_improvement" else accuracies.max()
    return expected_improvement(offered - level, n)


def _fitted(
    x: torch.Tensor, accuracies: np.ndarray, targets: Kind, wide: bool, generator: torch.Generator
) -> AccuracyModel:
    kind = Targets.of(accuracies, targets)
    y = torch.as_tensor(kind.of_accuracies(accuracies))
    process = GaussianProcess.fitted(x, y, steps=STEPS, generator=generator)
    model = AccuracyModel(kind, network=None, process=process)
    if wide:
        with torch.inference_mode():
            model.calibrate(y, None)
    return model


def _best(scores: np.ndarray, without: np.ndarray, n: int) -> np.ndarray:
    scores = scores.copy()
    scores[without] = -np.inf
    return np.argsort(-scores, kind="stable")[:n]


@lru_cache(maxsize=1)
def _features(problem: Problem) -> torch.Tensor:
    """Features (rows, f), those of architectures as steps."""
    space = problem.space
    features = torch.as_tensor(space.encode(problem.points))
    architecture, recipe = features.tensor_split([len(space.architecture.columns)], dim=1)
    steps = Thermometer(scaled_choices(space.architecture.columns, space.specification))
    return torch.cat([steps(architecture), recipe], dim=1)
