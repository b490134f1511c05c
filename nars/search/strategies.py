"""Which candidates are trained next: NARS and what it is compared with, behind one contract."""

from typing import Protocol

import numpy as np

from nars.search.acquisition import best_by_bin, improve_bins
from nars.search.batch import best_of_each, best_per_bin, cost_bins, first_batch, spread_batch
from nars.search.evolution import mutate
from nars.search.pool import AxisCost, Feasible, Pool, new_points, topped_up
from nars.search.reinforce import Reinforce
from nars.search.seconds import predicted_seconds
from nars.settings import NarsSettings, RegularisedEvolutionSettings, StrategySettings
from nars.spaces.space import Space

SHORTLIST = 1500  # candidates of which joint samples are drawn: the cost grows with their cube
SAMPLES = 128
OPTIMISM = 2.0  # the shortlist is best by the mean plus so many deviations
FEWEST_BINS = 4  # of costs, where a batch has fewer candidates (ours)
TPE_STARTUP = 10  # random candidates before TPE models anything: Optuna's default
ATTEMPTS = 100  # times that a batch of new feasible children is tried for


class Strategy(Protocol):
    """Chooses what is trained next."""

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """Up to n distinct feasible points (m, d) to train; fewer only if there are no more.

        points (k, d) were chosen before, in this order, and are not chosen again; accuracies float64 (k,), nan where
        the training failed; seconds (k,) of an epoch of each, nan where none was finished, which a strategy may mind.
        The choice follows from these, the pool and the seed alone.
        """


class Scorer(Protocol):
    """The predictor's part that a search needs; x float32 (n, f), y and predictions float64 (n,)."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None: ...
    def predict(self, x: np.ndarray) -> np.ndarray: ...
    def predict_with_std(self, x: np.ndarray, *, exploring: bool = False) -> tuple[np.ndarray, np.ndarray]: ...
    def draws(self, x: np.ndarray, n: int, *, seed: int) -> np.ndarray: ...


class Nars:
    """From the pool by a predictor that is fitted to the points and accuracies which `choose` is given.

    The first batch is spread over the costs, and where `first_batch` is given, over all dimensions too.
    """

    def __init__(self, settings: NarsSettings, space: Space, pool: Pool, predictor: Scorer, *, seed: int):
        self.settings = settings
        self.pool = pool
        self.predictor = predictor
        self.seed = seed
        self._sizes = space.sizes
        self._features = space.encode(pool.points)

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Strategy`."""
        if not len(points):
            return self.pool.points[self._first(n)]
        free = self.pool.free(points)
        bins = cost_bins(self.pool.costs, self._bins(n))
        if self.settings.choose == "best_per_bin":
            rows = best_per_bin(self.predictor.predict(self._features), bins, n, ~free)
        else:
            takes = np.ones(len(free))
            if self.settings.choose == "improvement_per_second" and seconds is not None:
                takes = predicted_seconds(self._features, self.pool.costs, self.pool.rows(points), seconds)
            rows = self._improving(n, bins, free, self._front(bins, points, accuracies), takes)
        return self.pool.points[rows]

    def _bins(self, n: int) -> int:
        if self.settings.choose == "best_per_bin":
            return min(n, self.settings.cost_bins or n)
        return self.settings.cost_bins or max(n, FEWEST_BINS)

    def _first(self, n: int) -> np.ndarray:
        if self.settings.first_batch is None:
            return first_batch(self.pool.costs, n)
        return spread_batch(self.pool.points, self._sizes, self.pool.costs, n, seed=self.seed)

    def _improving(
        self, n: int, bins: np.ndarray, free: np.ndarray, known: np.ndarray, takes: np.ndarray
    ) -> np.ndarray:
        """Rows of the pool (<= n,) that promise to improve the known front (m,) most for the time that each `takes`
        (rows,), among the best of each bin."""
        mean, std = self.predictor.predict_with_std(self._features, exploring=True)
        promise = mean + OPTIMISM * std
        if np.ptp(takes):
            gain = promise - known[bins]
            promise = np.where(gain > 0, gain / takes, gain)
        promising = best_of_each(promise, bins, max(1, SHORTLIST // len(known)), ~free)
        rows = np.union1d(promising, best_per_bin(mean, bins, n, ~free))
        draws = self.predictor.draws(self._features[rows], SAMPLES, seed=self.seed + int(np.count_nonzero(~free)))
        return rows[improve_bins(draws, bins[rows], known, min(n, len(rows)), takes=takes[rows])]

    def _front(self, bins: np.ndarray, points: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
        rows = self.pool.rows(points)
        known = np.isfinite(accuracies) & (rows >= 0)
        return best_by_bin(accuracies[known], bins[rows[known]], bins.max() + 1)


class Random:
    """Uniformly from the pool."""

    def __init__(self, pool: Pool, *, seed: int):
        self.pool = pool
        self.seed = seed

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Strategy`."""
        return self.pool.random(n, points, np.random.default_rng([self.seed, len(points)]))


class RegularisedEvolution:
    """Children of the best of a few random members of the youngest generation (Real et al. 2019).

    The `population` youngest candidates live; a parent is the best of `tournament` of them, a child differs from it in
    one dimension. Until so many are known, candidates are drawn from the pool.
    """

    def __init__(
        self, settings: RegularisedEvolutionSettings, space: Space, pool: Pool, feasible: Feasible, *, seed: int
    ):
        self.settings = settings
        self.space = space
        self.pool = pool
        self.feasible = feasible
        self.seed = seed

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `Strategy`."""
        rng = np.random.default_rng([self.seed, len(points)])
        chosen = self.pool.random(min(n, max(0, self.settings.population - len(points))), points, rng)
        scores = np.where(np.isfinite(accuracies), accuracies, -np.inf)[-self.settings.population :]
        alive = points[-self.settings.population :]
        for _ in range(ATTEMPTS if len(alive) else 0):
            missing = n - len(chosen)
            if not missing:
                break
            entrants = rng.integers(len(alive), size=(missing, self.settings.tournament))
            parents = alive[entrants[np.arange(missing), scores[entrants].argmax(axis=1)]]
            children = mutate(parents, np.ones(missing, dtype=int), self.space.sizes, rng)
            chosen = np.concatenate([chosen, new_points(children[self.feasible(children)], points, chosen)])
        return topped_up(chosen, n, points, self.pool, rng)


def random_start(settings: StrategySettings) -> int:
    """How many candidates a strategy draws at random before it learns from any; all of them if it never does."""
    match settings.name:
        case "evolution":
            return settings.population
        case "tpe":
            return TPE_STARTUP
        case "reinforce":
            return settings.update_every
        case "random":
            return settings.candidates
    return 0


def open_strategy(
    settings: StrategySettings,
    space: Space,
    pool: Pool,
    *,
    feasible: Feasible,
    cost: AxisCost,
    predictor: Scorer,
    seed: int,
) -> Strategy:
    """The strategy of `settings`; `feasible` says whether a point may be trained, also one outside the pool, `cost`
    gives what the pool's costs are of any points."""
    match settings.name:
        case "nars":
            return Nars(settings, space, pool, predictor, seed=seed)
        case "random":
            return Random(pool, seed=seed)
        case "evolution":
            return RegularisedEvolution(settings, space, pool, feasible, seed=seed)
        case "tpe":
            from nars.search.tpe import TreeParzenEstimator  # Optuna is optional

            return TreeParzenEstimator(space, pool, feasible, startup=TPE_STARTUP, seed=seed)
        case "reinforce":
            return Reinforce(settings, space, pool, feasible, cost, seed=seed)
