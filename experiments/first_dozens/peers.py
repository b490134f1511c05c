"""Model-based optimisers of other projects, each as its authors ship it: rows of the table in the order of training."""

import logging
import tempfile
import warnings

import numpy as np
import optuna
import torch

from experiments.joint_search.methods import with_optuna
from experiments.joint_search.problem import Problem

START = 8  # Sobol' points before BoTorch models anything: as many as NARS draws
# Of BoTorch's local search, a quarter of its defaults: a table has a few thousand neighbours at most.
RESTARTS, RAW_SAMPLES = 5, 1024


def gp_sampler(problem: Problem, budget: int, seed: int) -> np.ndarray:
    """Optuna's GPSampler: a Gaussian process and log expected improvement, one by one; a limit is its constraint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=seed, deterministic_objective=True)
        return with_optuna(problem, budget, seed, sampler=sampler)


def smac3(problem: Problem, budget: int, seed: int) -> np.ndarray:
    """SMAC3's HyperparameterOptimizationFacade: a Sobol' start, then a random forest and log expected improvement, one
    by one. For problems without a limit: it has no constraints that are a function of several choices."""
    from ConfigSpace import Categorical, ConfigurationSpace, Integer
    from smac import HyperparameterOptimizationFacade, Scenario

    space, sizes = ConfigurationSpace(seed=seed), problem.space.sizes
    for dimension, size in zip(problem.space.dimensions, sizes.tolist(), strict=True):
        offered = Integer(dimension.name, (0, size - 1)) if dimension.ordered else None
        space.add(offered or Categorical(dimension.name, list(range(size))))
    rows = []

    def train(config, seed: int = 0) -> float:
        point = np.array([[config[d.name] for d in problem.space.dimensions]])
        rows.append(int(problem.rows(point)[0]))
        return 1 - float(problem.accuracies[rows[-1]])

    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(space, output_directory=folder, deterministic=True, n_trials=budget, seed=seed)
        search = HyperparameterOptimizationFacade(scenario, train, logging_level=logging.ERROR, overwrite=True)
        search.optimize()
    return np.array(rows)


def botorch(problem: Problem, budget: int, seed: int) -> np.ndarray:
    """BoTorch's SingleTaskGP with qLogNoisyExpectedImprovement, maximised by its local search over discrete choices,
    one by one after a Sobol' start; dimensions min-max scaled. For problems without a limit."""
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.exceptions import BotorchWarning
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.optim.optimize import optimize_acqf_discrete_local_search
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(seed)
    spans = np.maximum(problem.space.sizes - 1, 1)
    choices = [
        torch.arange(size, dtype=torch.double) / span for size, span in zip(problem.space.sizes, spans, strict=True)
    ]
    start = problem.space.sample(4 * START, seed)
    points = start[np.sort(np.unique(start, axis=0, return_index=True)[1])][:START]
    while len(points) < budget:
        x = torch.as_tensor(points / spans)
        y = torch.as_tensor(problem.accuracies[problem.rows(points)])[:, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BotorchWarning)
            model = SingleTaskGP(x, y)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            promise = qLogNoisyExpectedImprovement(model, X_baseline=x)
            best, _ = optimize_acqf_discrete_local_search(
                promise, choices, q=1, X_avoid=x, num_restarts=RESTARTS, raw_samples=RAW_SAMPLES
            )
        points = np.concatenate([points, (best.numpy() * spans).round().astype(np.int16)])
    return problem.rows(points)


def hebo(problem: Problem, budget: int, seed: int) -> np.ndarray:
    """HEBO: warped Gaussian process and three acquisitions at once, one by one. For problems without a limit; what it
    asks for again costs nothing."""
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    names = [dimension.name for dimension in problem.space.dimensions]
    offered = [
        {"name": d.name, "type": "int", "lb": 0, "ub": size - 1}
        if d.ordered
        else {"name": d.name, "type": "cat", "categories": list(range(size))}
        for d, size in zip(problem.space.dimensions, problem.space.sizes.tolist(), strict=True)
    ]
    search, rows = HEBO(DesignSpace().parse(offered), scramble_seed=seed), {}
    np.random.seed(seed)
    torch.manual_seed(seed)
    while len(rows) < budget:
        suggested = search.suggest(n_suggestions=1)
        row = int(problem.rows(suggested[names].to_numpy(dtype=np.int16))[0])
        rows[row] = None
        search.observe(suggested, np.array([[1 - problem.accuracies[row]]]))
    return np.array(list(rows))


PEERS = {"GPSampler": gp_sampler, "SMAC3": smac3, "BoTorch": botorch, "HEBO": hebo}
