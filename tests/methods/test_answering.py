"""What the evolution starts from, and which of the pairs that it finds are the answer."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from nars.configuration import settings_from
from nars.costs.constraint import Constraint
from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.costs.table import ALWAYS
from nars.errors import UserError
from nars.methods.answering import answer_of
from nars.methods.exploration import explored, remember
from nars.problem import Problem
from nars.search.early_stop import EarlyStop
from nars.search.rounds import History, Round
from nars.settings import ConstraintSettings, EvolutionSettings, SearchSettings

CONF = Path(__file__).parents[2] / "conf"
WORK = {"trained": 0, "reused": 0, "training_seconds": 0.0}


class Linear:
    """A fitted predictor: linear in the features, sure to one part in a thousand."""

    encoder = file = Path("predictor.safetensors")

    def __init__(self, columns: int):
        self.slopes = np.random.default_rng(3).normal(size=columns)
        self.predictor = self

    def predict(self, x):
        return x @ self.slopes

    def predict_with_std(self, x):
        return self.predict(x), np.full(len(x), 0.001)


@pytest.fixture(scope="module")
def settings() -> SearchSettings:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from(compose("search", overrides=["experiment=smoke"]), SearchSettings)


def asked(space, folder, **limits: float) -> Problem:
    constraint = Constraint.of(ConstraintSettings(**limits), ALWAYS)
    shared = {"classes_counted": 1000, "cost_axis": "macs", "data_settings": None, "seed": 0, "folder": folder}
    return Problem(space=space, constraint=constraint, **shared)


def answered(problem: Problem, settings: SearchSettings, records, *, answers: int, **evolution):
    """The answer after one round of these records, and the accuracies (n,) that are predicted of them."""
    space, epochs = problem.space, records[0].epochs
    points = np.stack([space.locate_candidate(record.candidate) for record in records])
    only = Round(number=1, points=points, records=tuple(records), predicted=None, epochs=epochs)
    history = History(rounds=(only,), early_stop=EarlyStop(epoch=epochs))
    fits = Linear(len(space.columns))
    known = explored(problem, fits, history, (points, problem.price(points)), WORK)
    changes = {
        "evolution": EvolutionSettings(**evolution),
        "strategy": settings.strategy.model_copy(update={"answers": answers}),
    }
    changed = settings.model_copy(update=changes)
    return answer_of(problem, known, changed, records=problem.folder), points, fits.predict(space.encode(points))


def test_where_only_the_smallest_architectures_keep_the_limit_they_are_the_answer(
    settings, tiny_joint, records_of, tmp_path
):
    """No record does, nor the one random point; what is allowed is reached from the end of the space alone."""
    smallest = extreme(tiny_joint.architecture, "macs", Pricing(num_classes=1000))
    problem = asked(tiny_joint, tmp_path, max_macs=smallest.cost)
    records = [r for r in records_of(30) if not problem.feasible(tiny_joint.locate_candidate(r.candidate)[None])[0]]
    answer, *_ = answered(problem, settings, records, answers=3, tries=1)
    assert (problem.price(answer.points)[:, 0] == smallest.cost).all()
    assert len(np.unique(answer.points, axis=0)) == 3
    assert (np.diff(answer.accuracies) <= 0).all()
    assert answer.stds.tolist() == [0.001] * 3


def test_the_evolution_starts_from_what_is_predicted_best_of_what_was_trained(
    settings, tiny_joint, records_of, tmp_path
):
    """One seed, and nothing else is scored. A failed training is no seed: nothing is known of it."""
    records = records_of(20)
    problem = asked(tiny_joint, tmp_path)
    only = {"best": 1, "max_evaluated": 1}
    answer, points, predicted = answered(problem, settings, records, answers=1, **only)
    order = np.argsort(-predicted)
    assert answer.points.tolist() == [points[order[0]].tolist()]
    records[order[0]] = records[order[0]].model_copy(update={"status": "failed", "accuracies": (), "reason": "killed"})
    answer, points, _ = answered(problem, settings, records, answers=1, **only)
    assert answer.points.tolist() == [points[order[1]].tolist()]


def test_answers_are_of_different_architectures(settings, tiny_joint, records_of, tmp_path):
    answer, *_ = answered(asked(tiny_joint, tmp_path), settings, records_of(20), answers=8)
    architectures, _ = tiny_joint.split(answer.points)
    assert len(np.unique(architectures, axis=0)) == len(answer.points) == 8
    assert (np.diff(answer.accuracies) <= 0).all()


def test_an_impossible_limit_has_no_answer(settings, tiny_joint, records_of, tmp_path):
    with pytest.raises(UserError, match="none of 5 random points meets the constraint"):
        answered(asked(tiny_joint, tmp_path, max_macs=1.0), settings, records_of(20), answers=1, tries=5)


def test_a_sweep_keeps_the_last_rounds_alone_and_none_with_a_failed_training(settings, records_of):
    def known(*records):
        only = Round(number=1, points=np.empty((0, 1)), records=records, predicted=None, epochs=3)
        return SimpleNamespace(history=History(rounds=(only,), early_stop=EarlyStop(epoch=3)))

    memory = {}
    first, second = known(*records_of(3)), known(*records_of(2))
    remember(memory, settings, first)
    remember(memory, settings.model_copy(update={"seed": 1}), second)
    assert list(memory.values()) == [second]
    remember(memory, settings, known(*records_of(2), *records_of(1, status="failed", accuracies=(), reason="killed")))
    assert memory == {}
