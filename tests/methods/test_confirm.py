"""The last stage: what was measured ranks the answer, whatever was predicted."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from nars.configuration import settings_from
from nars.methods.confirm import Reference, confirmed, seeds_of
from nars.methods.contract import Answer
from nars.problem import Problem
from nars.records import Ledger, Record, training_key
from nars.search.distinct import best_apart
from nars.search.early_stop import EarlyStop
from nars.search.rounds import History, Round
from nars.settings import ConfirmSettings, SearchSettings, parse
from nars.spaces.candidate import Candidate
from nars.study.summary import ConfirmationSummary, findings_of

CONF = Path(__file__).parents[2] / "conf"
LIMIT = 1.5e6
REFERENCE = Reference(
    name="timm:resnet18",
    candidate=Candidate(architecture={"timm": "resnet18", "resolution": 48}, recipe={"lr": 0.02}),
    costs={"macs": 8e7, "params": 1.1e7},
)


def settings_of(folder: Path, *overrides: str) -> SearchSettings:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        given = ["experiment=smoke", f"constraint.max_macs={LIMIT}", f"runs_dir={folder}", *overrides]
        return settings_from(compose("search", overrides=given), SearchSettings)


class Trained:
    """Stands for the trainer: records whose accuracy is planted, a little higher for higher seeds; `ends` gives the
    status of a point, by the number of its training."""

    def __init__(self, problem: Problem, planted, *, ends=lambda number: "finished"):
        self.problem, self.planted, self.ends = problem, planted, ends
        self.ledger = Ledger(problem.folder / "records.jsonl")
        self.asked = []

    def __call__(self, candidates, epochs, *, title, seeds):
        self.asked += [(candidate.name, epochs, seed) for candidate in candidates for seed in seeds]
        for number, candidate in enumerate(candidates):
            yield from (self.record(candidate, epochs, seed, self.ends(number)) for seed in seeds)

    def record(self, candidate, epochs, seed, status) -> Record:
        inside = candidate.architecture.get("timm") is None
        accuracy = float(self.planted(self.problem.space.locate_candidate(candidate)[None])[0]) if inside else 0.6
        accuracy += 0.001 * seed
        record = Record(
            key=training_key(candidate, {}, seed),
            **candidate.to_dict(),
            training={},
            seed=seed,
            epochs=epochs,
            status=status,
            accuracies=(accuracy / 2,) * (epochs - 1) + (accuracy,) if status == "finished" else (),
            costs=self.problem.price_candidate(candidate) if inside else REFERENCE.costs,
            seconds=1.0,
            reason="no room" if status == "failed" else None,
        )
        self.ledger.append(record)
        return record


def found(problem: Problem, trained: Trained, planted) -> Answer:
    """An answer whose predictions rank the wrong way round: the worst pairs that lie apart, and one round of 12."""
    sampled = problem.space.sample(4000, 3)
    sampled = sampled[problem.feasible(sampled)]
    worst = sampled[np.argsort(planted(sampled), kind="stable")]
    points = worst[best_apart(worst, 6, problem.space)]
    batch = problem.space.sample(40, 11)[:12]
    candidates = [problem.space.candidate(point) for point in batch]
    records = tuple(trained.record(candidate, 2, problem.seed, "finished") for candidate in candidates)
    history = History(
        rounds=(Round(number=1, points=batch, records=records, predicted=None, epochs=2),),
        early_stop=EarlyStop(epoch=2),
    )

    def predict(points):
        return 1.2 - planted(points), np.full(len(points), 0.1)

    work = {"trained": 12, "reused": 0, "training_seconds": 12.0}
    accuracies, stds = predict(points)
    findings = findings_of(history, work=work)
    return Answer(
        points=points, accuracies=accuracies, stds=stds, findings=findings, history=history, files={}, predict=predict
    )


@pytest.fixture
def search(tmp_path, planted):
    """A function: problem, settings, trainer and unconfirmed answer of a search."""

    def make(*overrides, ends=lambda number: "finished"):
        settings = settings_of(tmp_path, *overrides)
        problem = Problem.of(settings)
        trained = Trained(problem, planted, ends=ends)
        return problem, settings, trained, found(problem, trained, planted)

    return make


def best_trained(problem: Problem, answer: Answer, planted, n: int) -> np.ndarray:
    points = answer.history.rounds[0].points
    points = points[problem.feasible(points)]
    points = points[np.argsort(-planted(points), kind="stable")]
    return points[best_apart(points, n, problem.space)]


def test_what_was_measured_ranks_the_answer(search, planted):
    problem, settings, trained, before = search("confirm.pairs=3")
    after = confirmed(before, problem, settings, trained, trained.ledger)
    expected = np.concatenate([before.points[:3], best_trained(problem, before, planted, 3)])
    assert {name for name, _, _ in trained.asked} == {problem.space.candidate(point).name for point in expected}
    assert {(epochs, seed) for _, epochs, seed in trained.asked} == {(2, 0)}
    best = expected[np.argsort(-planted(expected), kind="stable")][0]
    assert after.points[0].tolist() == best.tolist()  # trained in a round; predicted worse than all that were found
    assert after.accuracies[0] < before.accuracies.min()
    assert len(after.points) == settings.strategy.answers
    measured = [m.mean for m in after.measured if m is not None]
    assert measured == sorted(measured, reverse=True)
    np.testing.assert_allclose(measured, planted(after.points[: len(measured)]))
    np.testing.assert_allclose(after.accuracies, before.predict(after.points)[0])
    assert problem.feasible(after.points).all()
    pairs = after.findings["confirmation"]["pairs"]
    assert [pair["trained_before"] for pair in pairs] == [False] * 3 + [True] * 3
    assert all(0 <= pair["predicted"] <= 1 for pair in pairs)
    assert pairs[0]["accuracies"] == pytest.approx(planted(before.points[:1]))
    assert pairs[0]["costs"]["macs"] == problem.price(before.points[:1])[0, 0]


def test_pairs_that_were_not_measured_follow_by_their_prediction(search):
    problem, settings, trained, before = search("confirm.pairs=1")
    after = confirmed(before, problem, settings, trained, trained.ledger)
    assert [m is None for m in after.measured] == [False, False, True, True, True]
    assert (np.diff(after.accuracies[2:]) <= 0).all()
    assert after.points[2:].tolist() == before.points[1:4].tolist()


def test_no_pairs_to_confirm_leave_the_answer_as_it_is(search):
    problem, settings, trained, before = search("confirm.pairs=0")
    assert confirmed(before, problem, settings, trained, trained.ledger) is before
    assert trained.asked == []


def test_several_seeds_give_a_mean_and_a_deviation(search, planted):
    problem, settings, trained, before = search("confirm.pairs=2", "confirm.seeds=3", "confirm.epochs=7", "seed=5")
    after = confirmed(before, problem, settings, trained, trained.ledger)
    assert {(epochs, seed) for _, epochs, seed in trained.asked} == {(7, 5), (7, 6), (7, 7)}
    first = after.measured[0]
    assert (len(first.accuracies), first.epochs) == (3, 7)
    assert first.mean == pytest.approx(planted(after.points[:1])[0] + 0.006)
    assert first.std == pytest.approx(0.001)
    assert len(after.findings["confirmation"]["pairs"][0]["keys"]) == 3
    assert seeds_of(ConfirmSettings(pairs=1, seeds=2), 2**32 - 1) == [2**32 - 1, 0]


def test_what_diverged_comes_last_and_what_failed_says_nothing(search):
    def ends(number):
        return {0: "diverged", 1: "failed"}.get(number, "finished")

    problem, settings, trained, before = search("confirm.pairs=3", "strategy.answers=9", ends=ends)
    before = replace(before, points=before.points[:4])
    after = confirmed(before, problem, settings, trained, trained.ledger)
    kinds = ["none" if m is None else "measured" if m.mean else "diverged" for m in after.measured]
    assert kinds == sorted(kinds, key=["measured", "none", "diverged"].index)
    assert kinds.count("diverged") == 1
    places = [point.tolist() for point in after.points]
    assert places.index(before.points[0].tolist()) == len(places) - 1
    assert kinds[places.index(before.points[1].tolist())] == "none"
    assert after.findings["confirmation"]["pairs"][1]["accuracies"] == [None]
    work = after.findings["work"]
    assert (work["failed"], work["diverged"], work["failure"]) == (1, 1, "no room")


def test_the_reference_is_trained_as_the_pairs_and_is_none_of_them(search, planted):
    problem, settings, trained, before = search("confirm.pairs=2", "confirm.seeds=2", "confirm.epochs=7")
    alone = confirmed(before, problem, settings, trained, trained.ledger)
    pairs = set(trained.asked)
    after = confirmed(before, problem, settings, trained, trained.ledger, REFERENCE)
    name = REFERENCE.candidate.name
    assert set(trained.asked) - pairs == {(name, 7, 0), (name, 7, 1)}
    np.testing.assert_array_equal(after.points, alone.points)
    found = after.findings["confirmation"]
    assert found["pairs"] == alone.findings["confirmation"]["pairs"]
    keys = [training_key(REFERENCE.candidate, {}, seed) for seed in (0, 1)]
    assert found["reference"] == {
        "name": "timm:resnet18",
        "costs": REFERENCE.costs,
        "keys": keys,
        "accuracies": pytest.approx([0.6, 0.601]),
    }
    summary = parse(ConfirmationSummary, json.loads(json.dumps(found)))
    assert summary.keys == {*keys, *(key for pair in found["pairs"] for key in pair["keys"])}


def test_a_reference_that_failed_counts_as_a_failed_training(search):
    problem, settings, trained, before = search("confirm.pairs=2")
    trained.ends = lambda number: "failed" if number == 4 else "finished"
    after = confirmed(before, problem, settings, trained, trained.ledger, REFERENCE)
    assert after.findings["confirmation"]["reference"]["accuracies"] == [None]
    assert (after.findings["work"]["failed"], after.findings["work"]["failure"]) == (1, "no room")
