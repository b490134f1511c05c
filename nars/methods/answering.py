"""From a fitted predictor to an answer: the genetic algorithm under the constraint, whatever the records came from."""

from pathlib import Path

import numpy as np

from nars.methods.contract import Answer
from nars.methods.exploration import Exploration
from nars.problem import Problem
from nars.search.evolution import Evolution, evolve
from nars.seeds import Stage, stage_seed
from nars.settings import EvolutionSettings, SearchSettings
from nars.spaces.candidate import JointSpace


def answer_of(problem: Problem, known: Exploration, settings: SearchSettings, *, records: Path) -> Answer:
    """The best `strategy.answers` pairs that the evolution finds on the predictor, which learned from the file
    `records`; UserError if it finds none."""
    evolution = _evolve(problem, known, settings.evolution)
    points = _distinct(problem.space, evolution.points, settings.strategy.answers)
    accuracies, stds = known.fits.predictor.predict_with_std(problem.space.encode(points))
    return Answer(
        points=points,
        accuracies=accuracies,
        stds=stds,
        findings=known.findings(problem, evolution),
        history=known.history,
        files={"records": records, "encoder": known.fits.encoder, "predictor": known.fits.file},
    )


def _evolve(problem: Problem, known: Exploration, settings: EvolutionSettings) -> Evolution:
    def score(points: np.ndarray) -> np.ndarray:
        return known.fits.predict(problem.space.encode(points))

    trained, _ = known.history.usable()
    trained = trained[np.argsort(-score(trained), kind="stable")]
    seeds = np.concatenate([trained, problem.extremes])  # under a tight limit only these may be feasible
    rng = np.random.default_rng(stage_seed(problem.seed, Stage.EVOLUTION))
    return evolve(score, problem.feasible, problem.space, settings, rng, seeds)


def _distinct(space: JointSpace, points: np.ndarray, n: int) -> np.ndarray:
    """The n best of points (m, d), which are best first: one of each architecture, others only to make up n."""
    _, first = np.unique(space.split(points)[0], axis=0, return_index=True)
    others = np.setdiff1d(np.arange(len(points)), first)
    return points[np.sort(np.concatenate([np.sort(first), others])[:n])]
