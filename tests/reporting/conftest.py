"""Study folders as searches write them, with trainings that are arithmetic."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from nars.configuration import settings_from
from nars.costs.constraint import Constraint, priced
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.costs.table import by_name
from nars.data import open_data
from nars.files import content_key
from nars.latency.opening import open_latency, shapes_of_space
from nars.methods.exploration import slices_of
from nars.records import Ledger, Record
from nars.search.evolution import evolve
from nars.search.importance import permutation_importance
from nars.search.pareto import pareto_front
from nars.search.pool import Pool, sample_pool
from nars.search.rounds import run_rounds
from nars.search.strategies import open_strategy
from nars.settings import SearchSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.recipe import recipe_space
from nars.study.answers import Run, answer_folder, write_answer, write_unfinished
from nars.study.summary import findings_of, summary_of
from nars.training.job import training_identity

CONF = Path(__file__).parents[2] / "conf"


class Mean:
    """The plainest predictor: accuracy falls and rises with the features as their correlation with it says."""

    def fit(self, x, y):
        self.center, self.level = x.mean(axis=0), y.mean()
        self.slopes = (x - self.center).T @ (y - self.level) / len(x)

    def predict(self, x):
        return np.clip(self.level + (x - self.center) @ self.slopes, 0, 1)


class StudyMaker:
    """Makes the folder of a study by running its rounds and its evolution on accuracies that are arithmetic."""

    def __init__(self, folder: Path, *overrides: str):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            given = [*overrides, f"runs_dir={folder.parent}", f"study={folder.name}"]
            self.settings = settings_from(compose("search", overrides=given), SearchSettings)
        self.folder, self.predictor = folder, Mean()
        s = self.settings
        self.space = JointSpace(ArchitectureSpace(s.search_space), recipe_space(s.recipe_space))
        self.costs = priced(s.strategy.cost_axis, s.constraint, s.strategy.window, latency=s.latency.table is not None)
        self.axis = self.costs.index(s.strategy.cost_axis)
        self.window = Constraint.of(s.strategy.window, self.costs)
        self.ledger = Ledger(folder / "records.jsonl")
        self.weights = np.random.default_rng(s.seed).normal(size=len(self.space.columns))
        self.pool, self.prices = sample_pool(self.space, self.price, self.window, s.strategy.pool_size, s.seed)

    @property
    def training(self) -> dict:
        return training_identity(open_data(self.settings.data), self.settings.protocol, self.settings.trainer)

    @property
    def constraint(self) -> Constraint:
        return Constraint.of(self.settings.constraint, self.costs)

    def limit(self, max_macs: float) -> None:
        """Ask for another constraint."""
        constraint = self.settings.constraint.model_copy(update={"max_macs": max_macs})
        self.settings = self.settings.model_copy(update={"constraint": constraint})

    def price(self, points):
        architectures, _ = self.space.split(points)
        num_classes = self.settings.constraint.num_classes or 2  # null: those of the images, of which tests write two
        return costs(self.space.architecture, architectures, self.costs, self.pricing(num_classes))

    def pricing(self, num_classes: int) -> Pricing:
        if self.settings.latency.table is None:
            return Pricing(num_classes=num_classes)
        shapes = shapes_of_space(self.space.architecture, num_classes)
        return Pricing(num_classes=num_classes, latency=open_latency(self.settings.latency, shapes, of=()).table)

    def score(self, points):
        return self.predictor.predict(self.space.encode(points))

    def evaluate(self, candidates, epochs, *, title):
        for candidate in candidates:
            yield self.record(candidate, epochs)

    def record(self, candidate: Candidate, epochs: int) -> Record:
        """A record in the ledger; every 23rd training diverges, every 29th fails."""
        number = len(self.ledger)
        point = self.space.locate_candidate(candidate)[None]
        end = float(1 / (1 + np.exp(-self.space.encode(point)[0] @ self.weights / 4)))
        noise = np.random.default_rng(int(candidate.name, 16)).normal(size=epochs)
        curve = [float(np.clip(end * (1 - 0.7**e) + noise[e - 1] * 0.1 / e**2, 0, 1)) for e in range(1, epochs + 1)]
        status = "failed" if number % 29 == 28 else "diverged" if number % 23 == 22 else "finished"
        record = Record(
            key=content_key(candidate.to_dict()),
            **candidate.to_dict(),
            training=self.training,
            seed=self.settings.seed,
            epochs=epochs,
            status=status,
            accuracies={"finished": tuple(curve), "diverged": tuple(curve[:1]), "failed": ()}[status],
            costs=by_name(self.costs, self.price(point)[0]),
            seconds=1.5,
            reason="out of <memory> & more" if status == "failed" else None,
        )
        self.ledger.append(record)
        return record

    def run_rounds(self):
        """The rounds; after each, what an unfinished search leaves."""
        s = self.settings
        return run_rounds(
            self.space,
            self.strategy,
            self.evaluate,
            self.predictor,
            s.strategy,
            epochs=s.protocol.epochs,
            noise_level=0.0,
            on_round=lambda done, history: write_unfinished(self.answer_folder, self.summary(history)),
        )

    @property
    def strategy(self):
        s = self.settings
        pool = Pool(self.pool, self.prices[:, self.axis])
        return open_strategy(
            s.strategy, self.space, pool, feasible=None, cost=None, predictor=self.predictor, seed=s.seed
        )

    @property
    def answer_folder(self) -> Path:
        return answer_folder(self.settings)

    def summary(self, history, evolution=None, **changes):
        return summary_of(
            self.findings(history, evolution),
            constraint=self.constraint.label,
            settings=self.settings.model_dump(mode="json") | changes,
            started=datetime.now(UTC),
        )

    def findings(self, history, evolution=None):
        points, scores = self.pool, self.score(self.pool)
        change = permutation_importance(self.score, points[:64], np.random.default_rng(0))
        return findings_of(
            history,
            work={"trained": len(self.ledger), "reused": 0, "training_seconds": 1.5 * len(self.ledger)},
            generations=[vars(generation) for generation in evolution.history] if evolution else (),
            front=[
                {"costs": by_name(self.costs, self.prices[i]), "predicted_accuracy": scores[i]}
                for i in pareto_front(self.prices[:, self.axis], scores)
            ],
            importance=dict(zip([d.name for d in self.space.dimensions], change.tolist(), strict=True)),
            slices=slices_of(self.space.dimensions, self.score, points[:64]),
        )

    def answer(self, history):
        """The evolution and the files of the answer; returns the run."""
        rng = np.random.default_rng(self.settings.seed)
        points, _ = history.usable()
        evolution = evolve(
            self.score,
            lambda points: self.constraint.feasible(self.price(points)),
            self.space,
            self.settings.evolution,
            rng,
            points,
        )
        points = evolution.points[: self.settings.strategy.answers]
        answers = [
            self.space.candidate(point).to_dict()
            | {"predicted_accuracy": float(score), "predicted_std": 0.02, "costs": by_name(self.costs, price)}
            for point, score, price in zip(points, evolution.scores, self.price(points), strict=False)
        ]
        return write_answer(self.answer_folder, answers, self.summary(history, evolution))


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Run:
    """A finished run: 3 rounds of 30, of which some trainings diverged and some failed."""
    maker = StudyMaker(
        tmp_path_factory.mktemp("runs") / "planted",
        "strategy=paper",
        "strategy.rounds=3",
        "strategy.batch=30",
        "strategy.pool_size=2000",
        "protocol.epochs=8",
        "evolution.max_generations=6",
    )
    return maker.answer(maker.run_rounds())


@pytest.fixture(scope="session")
def finished(finished_run) -> Path:
    """The folder of its study."""
    return finished_run.folder.parents[1]


@pytest.fixture(scope="session")
def make_study():
    """A function: the maker of a small study in a folder, with the given overrides."""
    return lambda folder, *overrides: StudyMaker(folder, "experiment=smoke", "strategy=random", *overrides)


@pytest.fixture
def tiny_maker(tmp_path, make_study):
    """A function: the maker of a small study, with the given overrides."""
    return lambda *overrides, name="tiny": make_study(tmp_path / name, *overrides)
