"""From a fitted predictor to an answer: the genetic algorithm under the constraint, whatever the records came from."""

from pathlib import Path

import numpy as np

from nars.methods.contract import Answer
from nars.methods.exploration import Exploration
from nars.problem import Problem
from nars.search.distinct import best_apart
from nars.search.evolution import Evolution, evolve
from nars.seeds import Stage, stage_seed
from nars.settings import EvolutionSettings, SearchSettings


def answer_of(problem: Problem, known: Exploration, settings: SearchSettings, *, records: Path) -> Answer:
    """The best pairs that the evolution scores on the predictor, which learned from the file `records`: as far apart as
    `nars.search.distinct` has them, as many as `strategy.answers` and `confirm.pairs` ask for; UserError if there are
    none."""

    def predict(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return known.fits.predictor.predict_with_std(problem.space.encode(points))

    evolution = _evolve(problem, known, settings.evolution)
    n = settings.strategy.answers if settings.records else max(settings.strategy.answers, settings.confirm.pairs)
    points = evolution.scored[best_apart(evolution.scored, n, problem.space)]
    accuracies, stds = predict(points)
    return Answer(
        points=points,
        accuracies=accuracies,
        stds=stds,
        findings=known.findings(problem, evolution),
        history=known.history,
        files={"records": records, "encoder": known.fits.encoder, "predictor": known.fits.file},
        predict=predict,
    )


def _evolve(problem: Problem, known: Exploration, settings: EvolutionSettings) -> Evolution:
    def score(points: np.ndarray) -> np.ndarray:
        return known.fits.predict(problem.space.encode(points))

    trained, _ = known.history.usable()
    trained = trained[np.argsort(-score(trained), kind="stable")]
    seeds = np.concatenate([trained, problem.extremes])  # under a tight limit only these may be feasible
    rng = np.random.default_rng(stage_seed(problem.seed, Stage.EVOLUTION))
    return evolve(score, problem.feasible, problem.space, settings, rng, seeds)
