"""All strategies keep one contract; those that learn do better than chance on a planted accuracy."""

import numpy as np
import pytest

from nars.search.batch import cost_bins
from nars.search.pool import Pool
from nars.search.strategies import open_strategy
from nars.settings import (
    NarsSettings,
    RandomSettings,
    RegularisedEvolutionSettings,
    ReinforceSettings,
    TpeSettings,
)
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

SPACE = Space(
    "planted",
    [
        *(Dimension(name=f"size{i}", choices=tuple(range(6))) for i in range(4)),
        Dimension(name="kind", choices=("a", "b", "c")),
        Dimension(name="only", choices=(1,)),
    ],
)
LIMIT = 14
SETTINGS = {
    "nars": NarsSettings(name="nars"),
    "nars, one bin": NarsSettings(name="nars", cost_bins=1),
    "nars, per second": NarsSettings(name="nars", choose="improvement_per_second"),
    "nars, best per bin": NarsSettings(name="nars", choose="best_per_bin"),
    "random": RandomSettings(name="random"),
    "evolution": RegularisedEvolutionSettings(name="evolution", population=20, tournament=5),
    "tpe": TpeSettings(name="tpe"),
    "reinforce": ReinforceSettings(name="reinforce"),
}


class Bayes:
    """Bayesian linear regression: a posterior in closed form."""

    def fit(self, x, y):
        x = np.hstack([x, np.ones((len(x), 1))])
        self.covariance = np.linalg.inv(x.T @ x / 0.01 + np.eye(x.shape[1]))
        self.weights = self.covariance @ x.T @ y / 0.01

    def predict(self, x):
        return np.hstack([x, np.ones((len(x), 1))]) @ self.weights

    def predict_with_std(self, x, *, exploring=False):
        wide = np.hstack([x, np.ones((len(x), 1))])
        return self.predict(x), np.sqrt(np.einsum("ij,jk,ik->i", wide, self.covariance, wide) + 0.01)

    def draws(self, x, n, *, seed):
        weights = np.random.default_rng(seed).multivariate_normal(self.weights, self.covariance, size=n)
        return weights @ np.hstack([x, np.ones((len(x), 1))]).T


def feasible(points):
    return points.sum(axis=1) <= LIMIT


def cost(points):
    return points.sum(axis=1).astype(float)


def accuracy(points):
    """Rises with every size, so the limit binds; kind b is best."""
    sizes = points[:, :4] @ np.array([1.0, 2.0, 3.0, 4.0])
    return (sizes + 5 * (points[:, 4] == 1)) / 60


def seconds(points):
    """Of an epoch: twice as many for each unit of the first size."""
    return 2.0 ** points[:, 0]


@pytest.fixture(scope="module")
def pool():
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in SPACE.sizes), indexing="ij"), axis=-1)
    points = grid.reshape(-1, len(SPACE)).astype(np.int16)
    points = np.random.default_rng(0).permutation(points[feasible(points)])
    return Pool(points, 1 + cost(points))


def opened(name, pool, predictor, seed=0):
    if name == "tpe":
        pytest.importorskip("optuna", reason="strategy=tpe needs Optuna")
    settings = SETTINGS[name]
    return open_strategy(settings, SPACE, pool, feasible=feasible, cost=cost, predictor=predictor, seed=seed)


def searched(name, pool, *, batches, seed=0, failing=()):
    """Points and accuracies (nan where `failing`) of a search by batches of these sizes."""
    predictor = Bayes()
    strategy = opened(name, pool, predictor, seed)
    points, accuracies = np.empty((0, len(SPACE)), dtype=np.int16), np.empty(0)
    for n in batches:
        chosen = strategy.choose(n, points, accuracies, seconds(points))
        again = strategy.choose(n, points, accuracies, seconds(points))
        np.testing.assert_array_equal(chosen, again)
        points = np.concatenate([points, chosen])
        accuracies = accuracy(points)
        accuracies[[i for i in failing if i < len(points)]] = np.nan
        known = np.isfinite(accuracies)
        predictor.fit(SPACE.encode(points[known]), accuracies[known])
    return points, accuracies


@pytest.mark.parametrize("name", SETTINGS)
def test_batches_are_new_feasible_and_whole(name, pool):
    points, _ = searched(name, pool, batches=[12, 7, 12, 1, 20], failing=(0, 5, 13))
    assert points.shape == (52, len(SPACE))
    assert points.dtype == np.int16
    assert len(np.unique(points, axis=0)) == 52
    assert feasible(points).all()
    assert ((points >= 0) & (points < SPACE.sizes)).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_another_seed_chooses_otherwise_or_follows_the_pool_alone(name, pool):
    first, second = (searched(name, pool, batches=[12, 12], seed=seed)[0] for seed in (1, 2))
    assert (first.tolist() == second.tolist()) == (name == "nars, best per bin")


@pytest.mark.parametrize(
    "name", ["nars", "nars, one bin", "nars, per second", "nars, best per bin", "evolution", "tpe", "reinforce"]
)
def test_learning_beats_chance(name, pool):
    """The mean of the last batch lies far above that of the first, for several seeds."""
    gains = []
    for seed in range(4):
        _, accuracies = searched(name, pool, batches=[20, 16, 16, 16], seed=seed)
        gains.append(accuracies[-16:].mean() - accuracies[:20].mean())
    assert min(gains) > 0.05


class Unsure:
    """Predicts the same of all, with deviations that rise along the pool; notes what is drawn of whom by which seed."""

    def __init__(self, space, points):
        self.rows = {row.tobytes(): i for i, row in enumerate(space.encode(points))}
        self.drawn, self.seeds = [], []

    def predict(self, x):
        return np.full(len(x), 0.5)

    def predict_with_std(self, x, *, exploring=False):
        return self.predict(x), np.linspace(0.1, 0.2, len(x)) if exploring else np.zeros(len(x))

    def draws(self, x, n, *, seed):
        self.drawn.append(sorted(self.rows[row.tobytes()] for row in x))
        self.seeds.append(seed)
        return np.random.default_rng(seed).normal(size=(n, len(x)))


def test_of_many_candidates_the_hopeful_are_drawn_of_by_another_seed_each_round():
    """2,000 in a bin are too many: 1,500 of greatest mean plus two deviations are looked at, and the best by mean."""
    space = Space("line", [Dimension(name="position", choices=tuple(range(2000)))])
    points = np.arange(2000, dtype=np.int16)[:, None]
    predictor = Unsure(space, points)

    def chosen(known, seed):
        settings = NarsSettings(name="nars", cost_bins=1)
        strategy = open_strategy(
            settings, space, Pool(points, np.ones(2000)), feasible=None, cost=None, predictor=predictor, seed=seed
        )
        return strategy.choose(4, points[:known], np.full(known, 0.5))

    for known in (8, 8, 12):
        assert len(chosen(known, seed=5)) == 4
        best_by_mean = list(range(known, known + 4))
        assert predictor.drawn[-1] == [*best_by_mean, *range(500, 2000)]
    chosen(8, seed=6)
    first, again, next_round, other = predictor.seeds
    assert first == again
    assert len({first, next_round, other}) == 3


@pytest.mark.parametrize("start", range(3))
def test_of_what_promises_alike_the_quick_are_trained(pool, start):
    """The first size says nothing of accuracy here and all of the seconds, which are told from those that are known."""
    rng = np.random.default_rng(start)
    points = pool.points[rng.choice(len(pool.points), 12, replace=False)]
    accuracies = points[:, 1:4].sum(axis=1) / 20
    predictor = Bayes()
    predictor.fit(SPACE.encode(points), accuracies)
    told = np.where(np.arange(12) == 3, np.nan, seconds(points))

    def taken(choose):
        settings = NarsSettings(name="nars", choose=choose, cost_bins=1)
        strategy = open_strategy(settings, SPACE, pool, feasible=feasible, cost=cost, predictor=predictor, seed=0)
        return seconds(strategy.choose(8, points, accuracies, told)).mean()

    assert taken("improvement_per_second") < 0.85 * taken("expected_improvement")


@pytest.mark.parametrize(("bins", "costs"), [(None, 4), (2, 2), (1, 1)])
def test_one_at_a_time_improves_on_every_cost_or_on_the_best_of_all(pool, bins, costs):
    """Accuracy rises with the cost: the best of all are dear ones."""
    predictor, chosen = Bayes(), pool.points[:8]
    settings = NarsSettings(name="nars", batch=1, cost_bins=bins)
    strategy = open_strategy(settings, SPACE, pool, feasible=feasible, cost=cost, predictor=predictor, seed=0)
    for _ in range(16):
        predictor.fit(SPACE.encode(chosen), accuracy(chosen))
        chosen = np.concatenate([chosen, strategy.choose(1, chosen, accuracy(chosen))])
    of = cost_bins(pool.costs, 4)[pool.rows(chosen[8:])]
    assert len(chosen) == 24
    assert len(set(of)) >= costs
    assert bins is None or (of < 4 - 4 // bins).sum() <= 8 * (bins - 1)


def test_of_many_candidates_those_that_are_hopeful_for_their_time_are_looked_at():
    """Deviations double along the pool, seconds grow a hundredfold: the first 1,500 promise most for theirs."""
    space = Space("line", [Dimension(name="position", choices=tuple(range(2000)))])
    points = np.arange(2000, dtype=np.int16)[:, None]
    predictor = Unsure(space, points)
    settings = NarsSettings(name="nars", choose="improvement_per_second", cost_bins=1)
    known = np.arange(0, 2000, 200)
    pool = Pool(points, np.ones(2000))
    strategy = open_strategy(settings, space, pool, feasible=None, cost=None, predictor=predictor, seed=0)
    strategy.choose(4, points[known], np.full(10, 0.5), 100.0 ** (known / 2000))
    assert predictor.drawn == [[row for row in range(1508) if row not in known]]


def test_one_bin_finds_the_best_of_all(pool):
    best = accuracy(pool.points).max()
    assert accuracy(searched("nars, one bin", pool, batches=[16, 8])[0]).max() == best
    assert accuracy(searched("random", pool, batches=[16, 8])[0]).max() < best


def test_bins_find_the_best_at_every_cost(pool):
    points, accuracies = searched("nars", pool, batches=[16, 16, 16])
    for limit in (4, 6, 8, 10, 12, 14):
        best = accuracy(pool.points[pool.points.sum(axis=1) <= limit]).max()
        assert accuracies[points.sum(axis=1) <= limit].max() >= best - 0.051


@pytest.mark.parametrize("name", SETTINGS)
def test_a_pool_that_ends(name, pool):
    small = Pool(pool.points[:10], pool.costs[:10])
    if name in ("evolution", "tpe", "reinforce"):  # these also train points outside the pool
        return
    points, _ = searched(name, small, batches=[6, 6, 6])
    assert sorted(map(tuple, points.tolist())) == sorted(map(tuple, small.points.tolist()))


def test_tpe_repeats_nothing_in_a_batch():
    """Ten of 16 points are known: the six that are left are found, which it asks for again and again."""
    space = Space("small", [Dimension(name=f"d{i}", choices=(1, 2, 3, 4)) for i in range(2)])
    points = np.indices(space.sizes, dtype=np.int16).reshape(2, -1).T
    pool = Pool(points[:0], np.empty(0))  # nothing to top up from
    strategy = open_strategy(
        SETTINGS["tpe"], space, pool, feasible=lambda p: p[:, 0] >= 0, cost=cost, predictor=None, seed=0
    )
    chosen = strategy.choose(6, points[:10], np.linspace(0, 1, 10))
    assert sorted(map(tuple, chosen.tolist())) == sorted(map(tuple, points[10:].tolist()))


def test_failed_trainings_have_no_children(pool):
    failing = range(0, 20, 2)
    points, _ = searched("evolution", pool, batches=[20, 30], failing=failing)
    parents = np.delete(points[:20], list(failing), axis=0)
    for child in points[20:]:
        assert (np.count_nonzero(parents != child, axis=1) == 1).any()


def test_known_points_of_the_pool_make_the_front_that_is_to_be_improved(pool):
    """One lies in the first of four bins, one in the third; one failed in the second, and one is not of the pool."""
    strategy = opened("nars", Pool(pool.points[:50], pool.costs[:50]), Bayes())
    bins = np.full(50, 3)
    bins[:3] = [0, 2, 1]
    points = np.concatenate([pool.points[:3], pool.points[50:51]])
    known = strategy._front(bins, points, np.array([0.4, 0.6, np.nan, 0.9]))
    assert known.tolist() == [0.4, 0.4, 0.6, 0.6]


def test_regularised_evolution_changes_one_dimension_of_a_young_parent(pool):
    points, _ = searched("evolution", pool, batches=[20, 10, 10])
    for child in points[20:30]:
        assert (np.count_nonzero(points[:20] != child, axis=1) == 1).any()
    for child in points[30:]:
        assert (np.count_nonzero(points[10:30] != child, axis=1) == 1).any()
