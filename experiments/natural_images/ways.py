"""The searches that are compared: each a strategy of the project over the points that it may choose."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nars.costs.constraint import Constraint
from nars.problem import Problem
from nars.search.pool import Pool, new_points, sample_pool
from nars.search.strategies import Nars, Scorer, Strategy, open_strategy
from nars.seeds import Stage, stage_seed
from nars.settings import SearchSettings


@dataclass(frozen=True, kw_only=True)
class Way:
    """A search: `overrides` of search.py, and `open`, which makes its strategy from settings, problem and predictor.
    `prefix`: whether a longer search begins as a shorter one."""

    overrides: tuple[str, ...]
    open: Callable[[SearchSettings, Problem, Scorer], Strategy]
    prefix: bool = True


def joint(settings: SearchSettings, problem: Problem, predictor: Scorer) -> Strategy:
    """Any strategy over architectures and recipes."""
    points, costs = everything(settings, problem)
    window = _window(settings, problem)
    return open_strategy(
        settings.strategy,
        problem.space,
        Pool(points, costs),
        feasible=lambda points: window.feasible(problem.price(points)),
        cost=lambda points: problem.price(points)[:, problem.axis],
        predictor=predictor,
        seed=stage_seed(problem.seed, Stage.CHOICE),
    )


def architectures(settings: SearchSettings, problem: Problem, predictor: Scorer) -> Strategy:
    """NARS over architectures, all with the middle recipe."""
    points, _ = everything(settings, problem)
    points = points.copy()
    points[:, len(problem.space.architecture) :] = middle(problem)[len(problem.space.architecture) :]
    return _nars(settings, problem, new_points(points), predictor)


def recipes(settings: SearchSettings, problem: Problem, predictor: Scorer) -> Strategy:
    """NARS over recipes, all with the middle network."""
    return _nars(settings, problem, _with_recipes(settings, problem, middle(problem)), predictor)


class TwoStage:
    """Half of the trainings search architectures with the middle recipe, the others recipes for the best of these."""

    def __init__(self, settings: SearchSettings, problem: Problem, predictor: Scorer):
        self.settings, self.problem, self.predictor = settings, problem, predictor
        self.first = -(-settings.strategy.rounds // 2) * settings.strategy.batch
        self.architectures = architectures(settings, problem, predictor)

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `nars.search.strategies.Strategy`."""
        if len(points) < self.first:
            return self.architectures.choose(n, points, accuracies, seconds)
        best = points[np.nan_to_num(accuracies[: self.first]).argmax()]
        pool = _with_recipes(self.settings, self.problem, best)
        return _nars(self.settings, self.problem, pool, self.predictor).choose(n, points, accuracies, seconds)


def everything(settings: SearchSettings, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, d) inside the window, and what they cost on the cost axis (n,)."""
    size, seed = settings.strategy.pool_size, stage_seed(problem.seed, Stage.POOL)
    points, prices = sample_pool(problem.space, problem.price, _window(settings, problem), size, seed)
    return points, prices[:, problem.axis]


def middle(problem: Problem) -> np.ndarray:
    """The point (d,) in the middle of every range; of two in the middle the first, so RMSProp with EMA."""
    return ((problem.space.sizes - 1) // 2).astype(np.int16)


def _with_recipes(settings: SearchSettings, problem: Problem, point: np.ndarray) -> np.ndarray:
    """The architecture of `point` with its own and with sampled recipes, (n, d)."""
    d, space = len(problem.space.architecture), problem.space
    sampled = space.recipe.sample(settings.strategy.pool_size, stage_seed(problem.seed, Stage.POOL))
    points = np.tile(point, (len(sampled) + 1, 1))
    points[1:, d:] = sampled
    return new_points(points)


def _nars(settings: SearchSettings, problem: Problem, points: np.ndarray, predictor: Scorer) -> Nars:
    pool = Pool(points, problem.price(points)[:, problem.axis])
    seed = stage_seed(problem.seed, Stage.CHOICE)
    return Nars(settings.strategy, problem.space, pool, predictor, seed=seed)


def _window(settings: SearchSettings, problem: Problem) -> Constraint:
    return Constraint.of(settings.strategy.window, problem.costs)


# One bin: what is compared is the best candidate of the window, whatever it costs.
NARS = ("strategy=nars", "strategy.cost_bins=1")
WAYS = {
    "NARS": Way(overrides=NARS, open=joint),
    "random": Way(overrides=("strategy=random",), open=joint),
    "TPE": Way(overrides=("strategy=tpe",), open=joint),
    "evolution": Way(overrides=("strategy=evolution", "strategy.population=16", "strategy.tournament=4"), open=joint),
    "architecture only": Way(overrides=NARS, open=architectures),
    "recipe only": Way(overrides=NARS, open=recipes),
    "two-stage": Way(overrides=NARS, open=TwoStage, prefix=False),
}
