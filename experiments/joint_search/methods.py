"""Searches on a table: each gives the rows of the table in the order in which they were trained."""

import warnings
from functools import lru_cache

import numpy as np
import optuna

from experiments.joint_search.problem import Problem
from experiments.predictor_pretraining.methods import MIN_POOL, settings_of
from nars.predictor.predictor import Predictor
from nars.search.pool import Pool, topped_up
from nars.search.reinforce import Reinforce
from nars.search.rounds import run_rounds
from nars.search.strategies import Nars, Random, RegularisedEvolution, Strategy
from nars.search.tpe import distributions
from nars.settings import NarsSettings, PredictorSettings, RegularisedEvolutionSettings, ReinforceSettings

optuna.logging.set_verbosity(optuna.logging.WARNING)
BATCH = 24
MAX_ASKED = 20  # times the budget that Optuna is asked; what is then missing is drawn at random
RANDOM_PARTS = 10  # random recipes of which architecture-only search keeps the best, and the other way round


def nars(
    problem: Problem,
    budget: int,
    seed: int,
    *,
    only=None,
    choose="expected_improvement",
    first=None,
    batch=BATCH,
    **predictor,
) -> np.ndarray:
    """The project's search, with the settings `first_batch` and `batch`; `only` the architecture or the recipe, beside
    a fixed other part.

    That part is the best of `RANDOM_PARTS` random ones, tried with one choice of the searched part; they count.
    """
    before = _tried(problem, only, seed) if only else np.empty(0, dtype=int)
    best = before[problem.accuracies[before].argmax()] if only else None
    pool = _pool(problem, seed, rows=_alike(problem, only, best) if only else None)
    rounds = 1 - (-(budget - len(before) - (first or batch)) // batch)
    settings = NarsSettings(name="nars", first_batch=first, batch=batch, rounds=rounds, cost_bins=1, choose=choose)
    scorer = _predictor(problem, settings_of("default", **predictor), seed)
    strategy = Nars(settings, problem.space, pool, scorer, seed=seed)
    history = run_rounds(
        problem.space,
        strategy,
        problem.evaluate,
        scorer,
        settings,
        epochs=1,
        noise_level=0.0,
        on_round=lambda done, history: None,
    )
    rows = np.concatenate([before, problem.rows(history.chosen()[0])])
    return rows[np.sort(np.unique(rows, return_index=True)[1])][:budget]


def one_by_one(problem: Problem, budget: int, seed: int, *, build) -> np.ndarray:
    """A strategy that learns of each training before it chooses the next: the best case for it."""
    strategy: Strategy = build(problem, _pool(problem, seed), seed)
    rows = np.empty(0, dtype=int)
    for _ in range(budget):
        chosen = strategy.choose(1, problem.points[rows], problem.accuracies[rows])
        rows = np.concatenate([rows, problem.rows(chosen)])
    return rows


def with_optuna(problem: Problem, budget: int, seed: int, *, sampler: optuna.samplers.BaseSampler) -> np.ndarray:
    """Optuna's ask and tell, one by one; the limit is its constraint, and what it asks for again costs nothing."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    offered, rows = distributions(problem.space), {}
    for _ in range(MAX_ASKED * budget):
        if len(rows) == budget:
            break
        trial = study.ask(offered)
        point = np.array([[trial.params[d.name] for d in problem.space.dimensions]], dtype=np.int16)
        feasible = problem.feasible(point)[0]
        trial.set_constraint("feasible", 0.0 if feasible else 1.0)
        row = int(problem.rows(point)[0]) if feasible else None
        if feasible:
            rows[row] = None
        study.tell(trial, problem.accuracies[row] if feasible else 0.0)
    known, rng = np.array(list(rows), dtype=int), np.random.default_rng(seed)
    return problem.rows(topped_up(problem.points[known], budget, problem.points[:0], _pool(problem, seed), rng))


def tpe(problem: Problem, budget: int, seed: int) -> np.ndarray:
    """Optuna's multivariate TPE."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    return with_optuna(problem, budget, seed, sampler=sampler)


def nsga2(problem: Problem, budget: int, seed: int) -> np.ndarray:
    """Optuna's NSGA-II with accuracy as its one objective."""
    return with_optuna(problem, budget, seed, sampler=optuna.samplers.NSGAIISampler(seed=seed, population_size=BATCH))


def _pool(problem: Problem, seed: int, *, rows: np.ndarray | None = None) -> Pool:
    """All rows, or `rows`, in random order; the cost is the number of parameters."""
    rows = np.arange(len(problem.points)) if rows is None else rows
    rows = np.random.default_rng(seed).permutation(rows)
    return Pool(problem.points[rows], problem.params[rows])


def _columns(problem: Problem, only: str) -> np.ndarray:
    """Bool (d,): the dimensions that are searched."""
    first = np.arange(len(problem.space)) < len(problem.space.architecture)
    return first if only == "architecture" else ~first


def _alike(problem: Problem, only: str, row: int) -> np.ndarray:
    """Rows that have the part which is not searched in common with `row`."""
    fixed = ~_columns(problem, only)
    return np.flatnonzero((problem.points[:, fixed] == problem.points[row, fixed]).all(axis=1))


def _tried(problem: Problem, only: str, seed: int) -> np.ndarray:
    """Up to `RANDOM_PARTS` rows that have a random choice of the searched part in common."""
    rng = np.random.default_rng([seed, 1])
    searched = _columns(problem, only)
    row = rng.integers(len(problem.points))
    alike = np.flatnonzero((problem.points[:, searched] == problem.points[row, searched]).all(axis=1))
    return rng.choice(alike, min(RANDOM_PARTS, len(alike)), replace=False)


def _predictor(problem: Problem, settings: PredictorSettings, seed: int) -> Predictor:
    """Every fit starts anew from one pretraining of a table, which no seed changes."""
    predictor = _pretrained(problem, settings)
    predictor.seed = seed
    return predictor


@lru_cache(maxsize=2)
def _pretrained(problem: Problem, settings: PredictorSettings) -> Predictor:
    space = problem.space
    predictor = Predictor(
        settings,
        architecture_columns=space.architecture.columns,
        recipe_columns=space.recipe.columns,
        statistics=["params"],
        specification=space.specification,
        seed=0,
    )
    if settings.pretrained:
        points, first = np.unique(space.split(problem.points)[0], axis=0, return_index=True)
        copies = -(-MIN_POOL // len(points))
        x, params = space.architecture.encode(points), problem.params[first, None]
        predictor.pretrain(np.tile(x, (copies, 1)), np.tile(params, (copies, 1)))
    return predictor


def _evolution(problem: Problem, pool: Pool, seed: int) -> Strategy:
    settings = RegularisedEvolutionSettings(name="evolution")
    return RegularisedEvolution(settings, problem.space, pool, problem.feasible, seed=seed)


def _reinforce(problem: Problem, pool: Pool, seed: int) -> Strategy:
    settings = ReinforceSettings(name="reinforce")
    return Reinforce(settings, problem.space, pool, problem.feasible, problem.cost, seed=seed)


METHODS = {
    "NARS": lambda *run: nars(*run),
    "TPE": tpe,
    "regularised evolution": lambda *run: one_by_one(*run, build=_evolution),
    "NSGA-II": nsga2,
    "REINFORCE": lambda *run: one_by_one(*run, build=_reinforce),
    "random": lambda *run: one_by_one(*run, build=lambda problem, pool, seed: Random(pool, seed=seed)),
}
SMALL_BATCHES = {
    "NARS in batches of 8": lambda *run: nars(*run, batch=8),
}
ABLATIONS = {  # all with the process alone, which fits in a tenth of the time
    "process alone": lambda *run: nars(*run, head="process"),
    "best predicted": lambda *run: nars(*run, choose="best_per_bin", head="process"),
    "not pretrained": lambda *run: nars(*run, head="process", pretrained=False),
    "architecture only": lambda *run: nars(*run, only="architecture", head="process"),
    "recipe only": lambda *run: nars(*run, only="recipe", head="process"),
}
