"""Tree-structured Parzen estimator of Optuna as a strategy of the search (Bergstra et al. 2011)."""

import warnings

import numpy as np

from nars.errors import UserError
from nars.search.pool import Feasible, Pool, new_points, topped_up
from nars.spaces.space import Space

try:
    import optuna
except ImportError:
    raise UserError("strategy=tpe needs Optuna: pip install optuna") from None

MAX_ASKED = 20  # times n points that are asked for, until n are new and feasible


class TreeParzenEstimator:
    """Optuna's multivariate TPE after `startup` random candidates; it is told of infeasible points, which cost nothing
    to know, as constraints."""

    def __init__(self, space: Space, pool: Pool, feasible: Feasible, *, startup: int, seed: int):
        self.space = space
        self.pool = pool
        self.feasible = feasible
        self.startup = startup
        self.seed = seed
        self._distributions = distributions(space)

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Strategy`."""
        rng = np.random.default_rng([self.seed, len(points)])
        chosen = self.pool.random(min(n, max(0, self.startup - len(points))), points, rng)
        study = self._study(int(rng.integers(2**31)))
        known = np.isfinite(accuracies)
        study.add_trials([self._trial(*pair) for pair in zip(points[known], accuracies[known], strict=True)])
        for _ in range(MAX_ASKED * n):
            if len(chosen) == n:
                break
            trial = study.ask(self._distributions)
            point = np.array([[trial.params[d.name] for d in self.space.dimensions]], dtype=np.int16)
            if self.feasible(point)[0]:
                chosen = np.concatenate([chosen, new_points(point, points, chosen)])
            else:
                trial.set_constraint("feasible", 1.0)  # above 0: violated
                study.tell(trial, 0.0)
        return topped_up(chosen, n, points, self.pool, rng)

    def _study(self, seed: int) -> "optuna.Study":
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, constant_liar=True, n_startup_trials=self.startup
            )
        return optuna.create_study(direction="maximize", sampler=sampler)

    def _trial(self, point: np.ndarray, accuracy: float) -> "optuna.trial.FrozenTrial":
        return optuna.trial.create_trial(
            params={d.name: int(i) for d, i in zip(self.space.dimensions, point, strict=True)},
            distributions=self._distributions,
            value=float(accuracy),
            constraints={"feasible": 0.0},
        )


def distributions(space: Space) -> dict:
    """Optuna's distribution of each dimension's choice index: integers for ordered choices, else categories."""
    return {
        d.name: optuna.distributions.IntDistribution(0, len(d.choices) - 1)
        if d.ordered
        else optuna.distributions.CategoricalDistribution(range(len(d.choices)))
        for d in space.dimensions
    }
