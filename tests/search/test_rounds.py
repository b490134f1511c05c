"""Rounds on planted accuracies: they find better candidates, repeat nothing, and go the same way twice."""

import numpy as np
import pytest

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.errors import UserError
from nars.files import content_key
from nars.records import Record
from nars.search.pool import Pool, sample_pool
from nars.search.rounds import Round, predicted_against_measured, rank_agreement, run_rounds
from nars.search.strategies import Nars
from nars.settings import NarsSettings

EPOCHS = 6


class Ridge:
    """Linear regression: the plainest predictor that fits the protocol."""

    def __init__(self):
        self.rows = []  # how many records each fit was given

    def fit(self, x, y):
        self.rows.append(len(x))
        x = np.hstack([x, np.ones((len(x), 1))])
        self.weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ y)

    def predict(self, x):
        return np.hstack([x, np.ones((len(x), 1))]) @ self.weights


class Planted:
    """An `evaluate` whose accuracies are arithmetic: a fixed function of the candidate, reached epoch by epoch.

    Records come in random order. From epoch `settled` on a curve ranks as its end does. `failing` and `diverging` say
    for which calls (0 = the first candidate of all) a training goes wrong.
    """

    def __init__(self, space, seed, *, settled=3, failing=lambda i: False, diverging=lambda i: False):
        self.space, self.settled, self.failing, self.diverging = space, settled, failing, diverging
        self.rng = np.random.default_rng([seed, 1])
        self.weights = np.random.default_rng(seed).normal(size=len(space.columns))
        self.asked = []  # (number of candidates, epochs, title)
        self.names = []
        self.reasons = {}

    def accuracy(self, points):
        x = self.space.encode(points) @ self.weights
        return 1 / (1 + np.exp(-x / 2))

    def __call__(self, candidates, epochs, *, title):
        self.asked.append((len(candidates), epochs, title))
        first = len(self.names)
        self.names += [candidate.name for candidate in candidates]
        for i in self.rng.permutation(len(candidates)).tolist():
            yield self.record(candidates[i], epochs, first + i)

    def record(self, candidate, epochs, number):
        accuracy = float(self.accuracy(self.space.locate_candidate(candidate)[None])[0])
        noise = np.random.default_rng(int(candidate.name, 16)).random(EPOCHS)
        curve = [accuracy * (e + 1) / (EPOCHS + 1) if e + 1 >= self.settled else noise[e] / 20 for e in range(epochs)]
        status = "failed" if self.failing(number) else "diverged" if self.diverging(number) else "finished"
        return Record(
            key=content_key(candidate.to_dict()),
            **candidate.to_dict(),
            training={},
            seed=0,
            epochs=epochs,
            status=status,
            accuracies={"finished": tuple(curve), "diverged": tuple(curve[:1]), "failed": ()}[status],
            costs={},
            seconds=1.0 + number,
            reason=f"fault {number}" if status == "failed" else None,
        )


@pytest.fixture(scope="module")
def pool(tiny_joint):
    """Points and MACs of 600 candidates."""
    from nars.costs.constraint import Constraint

    everything = Constraint(names=("macs", "params"), low=(-np.inf, -np.inf), high=(np.inf, np.inf))

    def price(points):
        return costs(tiny_joint.architecture, tiny_joint.split(points)[0], ("macs", "params"), Pricing(num_classes=10))

    points, prices = sample_pool(tiny_joint, price, everything, 600, seed=0)
    return points, prices[:, 0]


def search(space, pool, evaluate, predictor=None, *, on_round=lambda done, history: None, **settings):
    chosen = NarsSettings(**({"name": "nars", "choose": "best_per_bin", "rounds": 4, "batch": 16} | settings))
    predictor = predictor or Ridge()
    strategy = Nars(chosen, space, Pool(*pool), predictor, seed=0)
    return run_rounds(space, strategy, evaluate, predictor, chosen, epochs=EPOCHS, noise_level=0.0, on_round=on_round)


@pytest.mark.parametrize("seed", range(12))
def test_later_rounds_find_better_candidates(tiny_joint, pool, seed):
    evaluate, predictor = Planted(tiny_joint, seed), Ridge()
    history = search(tiny_joint, pool, evaluate, predictor)
    found = [evaluate.accuracy(r.points) for r in history.rounds]
    everything = np.sort(evaluate.accuracy(pool[0]))
    better_than = [np.searchsorted(everything, accuracies).mean() / len(everything) for accuracies in found]
    assert 0.3 < better_than[0] < 0.7
    assert np.mean(better_than[1:]) > 0.7
    assert np.concatenate(found[1:]).max() > found[0].max()
    assert np.concatenate(found).max() >= everything[-6]
    assert predictor.rows == [16, 32, 48, 64]
    predicted, measured = history.held_out()
    assert len(predicted) == len(measured) == 48
    assert rank_agreement(predicted, measured)["spearman"] > 0.3


@pytest.mark.parametrize("seed", range(12))
def test_laws_of_rounds(tiny_joint, pool, seed):
    points, macs = pool
    evaluate, told = Planted(tiny_joint, seed, settled=1 + seed % EPOCHS), []
    history = search(tiny_joint, pool, evaluate, on_round=lambda done, history: told.append((done, history)))
    settled = 1 + seed % EPOCHS
    assert history.epoch == settled
    assert len(history.early_stop.correlations) == EPOCHS
    assert [r.number for r in history.rounds] == [1, 2, 3, 4]
    assert [r.epochs for r in history.rounds] == [EPOCHS, settled, settled, settled]
    assert evaluate.asked == [(16, e, f"round {i} of 4") for i, e in enumerate([EPOCHS] + 3 * [settled], start=1)]
    assert [len(h.rounds) for _, h in told] == [1, 2, 3, 4]
    assert [done for done, _ in told] == list(history.rounds)
    assert len(set(evaluate.names)) == 64
    offered = {tuple(point): cost for point, cost in zip(points.tolist(), macs, strict=True)}
    for r in history.rounds:
        assert all(tuple(point) in offered for point in r.points.tolist())
        assert [record.candidate for record in r.records] == [tiny_joint.candidate(point) for point in r.points]
        assert (r.predicted is None) == (r.number == 1)
    x, y = history.usable()
    np.testing.assert_array_equal(x, np.concatenate([r.points for r in history.rounds]))
    assert y.tolist() == [record.accuracy_at(settled) for r in history.rounds for record in r.records]


@pytest.mark.parametrize("seed", range(5))
def test_a_second_call_goes_the_same_way(tiny_joint, pool, seed):
    """Whatever order records arrive in."""
    histories = [search(tiny_joint, pool, Planted(tiny_joint, seed)) for _ in range(2)]
    shuffled = Planted(tiny_joint, seed)
    shuffled.rng = np.random.default_rng(99)
    histories.append(search(tiny_joint, pool, shuffled))
    for other in histories[1:]:
        assert other.epoch == histories[0].epoch
        assert other.early_stop.correlations == histories[0].early_stop.correlations
        for mine, theirs in zip(histories[0].rounds, other.rounds, strict=True):
            np.testing.assert_array_equal(mine.points, theirs.points)
            assert mine.records == theirs.records
            np.testing.assert_array_equal(mine.predicted, theirs.predicted)


def test_a_strategy_is_told_all_that_was_chosen_and_how_it_went(tiny_joint, pool):
    """Failed trainings as nan, diverged ones as 0, in the order of the choice."""

    heard = []

    class Listens(Nars):
        def choose(self, n, points, accuracies, seconds):
            heard.append((n, points, accuracies, seconds))
            return super().choose(n, points, accuracies, seconds)

    evaluate = Planted(tiny_joint, 5, failing=lambda i: i == 3, diverging=lambda i: i == 5)
    settings, predictor = NarsSettings(name="nars", choose="best_per_bin", rounds=3, batch=16), Ridge()
    strategy = Listens(settings, tiny_joint, Pool(*pool), predictor, seed=0)
    history = run_rounds(
        tiny_joint,
        strategy,
        evaluate,
        predictor,
        settings,
        epochs=EPOCHS,
        noise_level=0.0,
        on_round=lambda done, history: None,
    )
    for number, (n, points, accuracies, seconds) in enumerate(heard):
        assert n == 16
        before = history.rounds[:number]
        records = [record for r in before for record in r.records]
        took = [r.seconds / len(r.accuracies) if r.status == "finished" else np.nan for r in records]
        np.testing.assert_array_equal(seconds, took)
        assert points.tolist() == [point for r in before for point in r.points.tolist()]
        measured = [record.accuracy_at(history.epoch) for r in before for record in r.records]
        if number:
            assert len(set(seconds)) > 8
            assert np.isnan(accuracies[3])
            assert accuracies[5] == 0
            measured[3] = accuracies[3]
        np.testing.assert_array_equal(accuracies, measured)


def test_more_rounds_begin_as_fewer_do(tiny_joint, pool):
    few, many = (search(tiny_joint, pool, Planted(tiny_joint, 3), rounds=n) for n in (2, 4))
    for mine, theirs in zip(few.rounds, many.rounds, strict=False):
        np.testing.assert_array_equal(mine.points, theirs.points)


def test_records_of_longer_trainings_are_compared_at_the_same_age(tiny_joint, pool):
    """A ledger may hold more epochs than were asked for: only the first ones count."""
    evaluate = Planted(tiny_joint, 2, settled=2)
    expected = search(tiny_joint, pool, evaluate)
    longer = Planted(tiny_joint, 2, settled=2)
    record = longer.record
    longer.record = lambda candidate, epochs, number: record(candidate, EPOCHS, number)
    history = search(tiny_joint, pool, longer)
    assert all(len(r.accuracies) == EPOCHS for r in history.rounds[-1].records)
    for mine, theirs in zip(history.rounds, expected.rounds, strict=True):
        np.testing.assert_array_equal(mine.points, theirs.points)
    np.testing.assert_array_equal(history.usable()[1], expected.usable()[1])


def test_failed_trainings_teach_nothing_and_diverged_ones_count_zero(tiny_joint, pool):
    evaluate = Planted(tiny_joint, 5, settled=2, failing=lambda i: i % 4 == 0, diverging=lambda i: i % 4 == 1)
    predictor = Ridge()
    history = search(tiny_joint, pool, evaluate, predictor, batch=32)
    assert history.epoch == 2
    assert predictor.rows == [24, 48, 72, 96]
    x, y = history.usable()
    assert len(x) == len(y) == 96
    assert (y == 0).sum() == 32
    assert len(history.held_out()[0]) == 72
    assert len(set(evaluate.names)) == 128  # a failed candidate is not chosen again in this run
    statuses = [record.status for r in history.rounds for record in r.records]
    assert [statuses.count(s) for s in ("failed", "diverged", "finished")] == [32, 32, 64]


def test_diverged_trainings_do_not_decide_where_to_stop(tiny_joint, pool):
    with_some = search(tiny_joint, pool, Planted(tiny_joint, 5, settled=3, diverging=lambda i: i % 2 == 0), batch=32)
    assert with_some.epoch == 3
    only_one = search(tiny_joint, pool, Planted(tiny_joint, 5, settled=3, diverging=lambda i: i > 0))
    assert only_one.epoch == EPOCHS
    assert only_one.early_stop.why_not == "1 candidate is too few to tell where (12 are needed)"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("batch", "first", "round"), [(4, None, 3), (4, 8, 2), (6, 3, 3), (5, 12, 1), (12, 2, 2)])
def test_small_rounds_tell_together_where_to_stop(tiny_joint, pool, seed, batch, first, round):
    """As soon as twelve candidates were trained to the end."""
    told, evaluate = [], Planted(tiny_joint, seed, settled=2)
    history = search(
        tiny_joint, pool, evaluate, rounds=5, batch=batch, first_batch=first, on_round=lambda _, h: told.append(h)
    )
    assert [r.epochs for r in history.rounds] == [EPOCHS] * round + [2] * (5 - round)
    assert [len(r.points) for r in history.rounds] == [first or batch] + 4 * [batch]
    assert len({tuple(point) for r in history.rounds for point in r.points.tolist()}) == (first or batch) + 4 * batch
    assert [h.early_stop.decided for h in told] == [i >= round for i in range(1, 6)]
    assert history.early_stop.round == round
    predicted, measured = history.held_out()
    assert measured.tolist() == [record.accuracy_at(r.epochs) for r in history.rounds[1:] for record in r.records]
    assert predicted.tolist() == [float(value) for r in history.rounds[1:] for value in r.predicted]


@pytest.mark.parametrize(("first", "title"), [(0, "round 1 of 4"), (16, "round 2 of 4")])
def test_a_round_of_which_all_trainings_failed_ends_the_search(tiny_joint, pool, first, title):
    with pytest.raises(UserError) as error:
        search(tiny_joint, pool, Planted(tiny_joint, 0, failing=lambda i: i >= first))
    assert str(error.value) == (
        f"{title}: all 16 trainings failed; the first: fault {first}; put it right and run the same command again"
    )


@pytest.mark.parametrize("batch", [1, 2])
def test_small_rounds_outlive_failures_that_are_few(tiny_joint, pool, batch):
    """Of every three trainings in a row one succeeds, so whole rounds fail, and the search goes on without them."""
    evaluate, predictor = Planted(tiny_joint, 5, failing=lambda i: i % 3 > 0), Ridge()
    history = search(tiny_joint, pool, evaluate, predictor, first_batch=3, batch=batch, rounds=7)
    failed = [sum(record.status == "failed" for record in r.records) for r in history.rounds]
    assert failed == {1: [2, 0, 1, 1, 0, 1, 1], 2: [2, 1, 1, 2, 1, 1, 2]}[batch]
    assert len(set(evaluate.names)) == 3 + 6 * batch
    assert predictor.rows == np.cumsum([3 - failed[0], *(batch - n for n in failed[1:])]).tolist()


@pytest.mark.parametrize(
    ("batch", "succeeding", "asked", "which"),
    [
        (1, 0, 2, "round 1 of 6: all 2 trainings failed; the first: fault 0"),
        (2, 0, 2, "round 1 of 6: all 2 trainings failed; the first: fault 0"),
        (1, 1, 5, "round 4 of 6: the last 4 trainings failed; the first: fault 1"),
        (2, 3, 8, "round 4 of 6: the last 4 trainings failed; the first: fault 4"),
        (4, 4, 8, "round 2 of 6: all 4 trainings failed; the first: fault 4"),
        (5, 6, 15, "round 3 of 6: all 5 trainings failed; the first: fault 10"),
    ],
)
def test_failures_in_a_row_end_a_search_in_small_rounds(tiny_joint, pool, batch, succeeding, asked, which):
    evaluate = Planted(tiny_joint, 5, failing=lambda i: i >= succeeding)
    with pytest.raises(UserError) as error:
        search(tiny_joint, pool, evaluate, batch=batch, rounds=6)
    assert str(error.value) == f"{which}; put it right and run the same command again"
    assert len(evaluate.names) == asked


def test_the_search_ends_with_the_pool(tiny_joint, pool):
    points, macs = pool
    history = search(tiny_joint, (points[:20], macs[:20]), Planted(tiny_joint, 0), rounds=5, batch=8)
    assert [len(r.points) for r in history.rounds] == [8, 8, 4]
    assert len({tuple(p) for r in history.rounds for p in r.points.tolist()}) == 20


def test_each_round_takes_one_of_each_cost_bin(tiny_joint, pool):
    points, macs = pool
    history = search(tiny_joint, pool, Planted(tiny_joint, 1), batch=4)
    of = {tuple(point): cost for point, cost in zip(points.tolist(), macs, strict=True)}
    edges = np.linspace(macs.min(), macs.max(), 5)
    for r in history.rounds:
        bins = np.clip(np.searchsorted(edges, [of[tuple(p)] for p in r.points.tolist()], side="right") - 1, 0, 3)
        assert bins.tolist() == [0, 1, 2, 3]


def test_agreement_of_nothing_is_nothing():
    empty = rank_agreement(np.array([]), np.array([]))
    assert empty == {"candidates": 0, "kendall_tau": None, "spearman": None, "mean_absolute_error": None}
    perfect = rank_agreement(np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.3, 0.4]))
    assert perfect == pytest.approx({"candidates": 3, "kendall_tau": 1, "spearman": 1, "mean_absolute_error": 0.1})


def test_the_first_round_has_no_predictions():
    first = Round(number=1, points=np.zeros((0, 3)), records=(), predicted=None, epochs=3)
    assert predicted_against_measured(first) == []
