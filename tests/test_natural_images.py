"""The searches that `experiments/natural_images` compares choose what they may choose."""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from experiments.natural_images.study import BATCH, Study
from experiments.natural_images.ways import WAYS, middle
from nars.costs.constraint import Constraint
from nars.problem import Problem
from nars.settings import LocalExecutorSettings
from nars.training.opening import open_executor
from nars.training.worker import train_job

TRAININGS = 4 * BATCH


class Planted:
    """Predicts the sum of the features, as surely of one point as of another."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None: ...

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x.sum(axis=1).astype(float)

    def predict_with_std(self, x: np.ndarray, *, exploring: bool = False) -> tuple[np.ndarray, np.ndarray]:
        return self.predict(x), np.full(len(x), 0.1)

    def draws(self, x: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        noise = np.random.default_rng(seed).normal(scale=0.1, size=(n, len(x)))
        return self.predict(x) + noise


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("images")
    for name in ("cats", "dogs"):
        (folder / name).mkdir()
        for i in range(10):
            Image.new("RGB", (32, 32), (i, 0, 0)).save(folder / name / f"{i}.png")
    with open_executor(LocalExecutorSettings(name="local", workers=1), train_job) as executor:  # is given nothing
        yield Study(data=folder, test=None, folder=folder.parent / "study", executor=executor)


def searched(study: Study, name: str) -> tuple[Problem, np.ndarray, np.ndarray]:
    """The problem, the points (`TRAININGS`, d) that a way chooses batch by batch, and their planted accuracies."""
    way = WAYS[name]
    overrides = (*way.overrides, "strategy.pool_size=400", f"strategy.rounds={TRAININGS // BATCH}")
    settings = study.settings(*overrides, seed=0)
    problem = Problem.of(settings)
    strategy = way.open(settings, problem, Planted())
    points, accuracies = np.empty((0, len(problem.space)), dtype=np.int16), np.empty(0)
    while len(points) < TRAININGS:
        points = np.concatenate([points, strategy.choose(BATCH, points, accuracies)])
        accuracies = problem.space.encode(points).sum(axis=1) / 100
    return problem, points, accuracies


@pytest.mark.parametrize("name", WAYS)
def test_a_way_chooses_new_pairs_inside_the_window_and_in_its_own_part_of_the_space(name, study):
    problem, points, accuracies = searched(study, name)
    assert points.shape == (TRAININGS, len(problem.space))
    assert len(np.unique(points, axis=0)) == TRAININGS
    architectures, recipes = problem.space.split(points)
    central = problem.space.split(middle(problem)[None])
    window = Constraint.of(study.settings(seed=0).strategy.window, problem.costs)
    if name != "recipe only":
        assert window.feasible(problem.price(points)).all()
        assert len(np.unique(architectures, axis=0)) > BATCH
    match name:
        case "recipe only":
            assert (architectures == central[0]).all()
        case "architecture only":
            assert (recipes == central[1]).all()
        case "two-stage":
            first = TRAININGS // 2
            assert (recipes[:first] == central[1]).all()
            assert (architectures[first:] == architectures[accuracies[:first].argmax()]).all()
            assert len(np.unique(recipes[first:], axis=0)) == TRAININGS - first
        case _:
            assert len(np.unique(recipes, axis=0)) > BATCH
