"""Constrained iterative optimization: rounds of choose by predicted score, train, refit (Algorithm 1 of the paper).

Training is a callable handed in, so this module knows neither networks nor images.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nars.errors import UserError
from nars.records import Record
from nars.search.batch import best_per_bin, spread
from nars.search.early_stop import correlation_by_epoch, early_stop_epoch, kendall_tau, spearman
from nars.settings import StrategySettings
from nars.spaces.candidate import Candidate, JointSpace


class Scorer(Protocol):
    """The predictor's part that rounds need; x float32 (n, f), y and the prediction (n,)."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None: ...
    def predict(self, x: np.ndarray) -> np.ndarray: ...


class Evaluate(Protocol):
    """Trains candidates for `epochs` epochs; yields a record for each, in any order."""

    def __call__(self, candidates: Sequence[Candidate], epochs: int, *, title: str) -> Iterable[Record]: ...


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round: joint points (m, d), their records, what was predicted before training (None in round one).

    `epochs` is how long its candidates were asked to train.
    """

    number: int
    points: np.ndarray
    records: tuple[Record, ...]
    predicted: np.ndarray | None
    epochs: int


@dataclass(frozen=True, kw_only=True)
class History:
    """All rounds. `epoch` is the one whose accuracies the predictor learns: where trainings after round one stop."""

    rounds: tuple[Round, ...]
    epoch: int
    correlations: tuple[float | None, ...]  # round one: accuracy after each epoch against the final one

    def usable(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, d) and accuracies (n,) after `epoch` of all trainings but failed ones; diverged ones count 0."""
        rows = [
            (point, record.accuracy_at(self.epoch))
            for r in self.rounds
            for point, record in zip(r.points, r.records, strict=True)
            if record.status != "failed"
        ]
        return np.array([point for point, _ in rows]), np.array([accuracy for _, accuracy in rows])

    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(predicted, measured) of all candidates that were predicted before they were trained."""
        pairs = [pair for r in self.rounds for pair in predicted_against_measured(r, self.epoch)]
        return np.array([p for p, _ in pairs]), np.array([m for _, m in pairs])


def predicted_against_measured(r: Round, epoch: int) -> list[tuple[float, float]]:
    """Pairs (predicted before training, measured after `epoch`) of a round's usable records."""
    if r.predicted is None:
        return []
    return [
        (float(predicted), record.accuracy_at(epoch))
        for predicted, record in zip(r.predicted, r.records, strict=True)
        if record.status != "failed"
    ]


def run_rounds(
    space: JointSpace,
    pool: np.ndarray,
    costs: np.ndarray,
    evaluate: Evaluate,
    predictor: Scorer,
    settings: StrategySettings,
    *,
    epochs: int,
    on_round: Callable[[Round, History], None],
) -> History:
    """Train `settings.rounds` batches from the pool (n, d) with costs (n,); leaves `predictor` fitted to all of them.

    The first batch is spread over the costs, later ones hold the best predicted point of each cost bin. `on_round` is
    called after each round. Everything follows from the arguments and the records, so a second call with the same
    ledger goes the same way. UserError if no training of a round gave a result.
    """
    features = space.encode(pool)
    taken = np.zeros(len(pool), dtype=bool)
    history = History(rounds=(), epoch=epochs, correlations=())
    for number in range(1, settings.rounds + 1):
        scores = predictor.predict(features) if history.rounds else None
        first = scores is None
        rows = spread(costs, settings.batch) if first else best_per_bin(scores, costs, settings.batch, taken)
        if len(rows) == 0:
            break
        taken[rows] = True
        points = pool[rows]
        title = f"round {number} of {settings.rounds}"
        records = _train(space, points, evaluate, history.epoch, title)
        predicted = None if first else scores[rows]
        done = Round(number=number, points=points, records=records, predicted=predicted, epochs=history.epoch)
        history = _extended(history, done, settings)
        x, y = history.usable()
        predictor.fit(space.encode(x), y)
        on_round(done, history)
    return history


def _train(space: JointSpace, points: np.ndarray, evaluate: Evaluate, epochs: int, title: str) -> tuple[Record, ...]:
    """Records in the order of the points."""
    candidates = [space.candidate(point) for point in points]
    by_name = {record.candidate.name: record for record in evaluate(candidates, epochs, title=title)}
    records = tuple(by_name[candidate.name] for candidate in candidates)
    failures = [record for record in records if record.status == "failed"]
    if len(failures) == len(records):
        raise UserError(
            f"{title}: all {len(records)} trainings failed; the first: {failures[0].reason}; "
            "put it right and run the same command again"
        )
    return records


def _extended(history: History, done: Round, settings: StrategySettings) -> History:
    rounds = (*history.rounds, done)
    if done.number > 1:
        return History(rounds=rounds, epoch=history.epoch, correlations=history.correlations)
    curves = [r.accuracies for r in done.records if len(r.accuracies) >= done.epochs]
    if len(curves) < 2:
        return History(rounds=rounds, epoch=done.epochs, correlations=())
    correlations = correlation_by_epoch(np.array([curve[: done.epochs] for curve in curves]))
    epoch = early_stop_epoch(correlations, settings.early_stop_correlation)
    return History(rounds=rounds, epoch=epoch, correlations=tuple(correlations))


def rank_agreement(predicted: np.ndarray, measured: np.ndarray) -> dict:
    """Number of pairs, Kendall tau, Spearman correlation and mean absolute error of predictions (n,)."""
    error = float(np.abs(predicted - measured).mean()) if len(predicted) else None
    return {
        "candidates": len(predicted),
        "kendall_tau": kendall_tau(predicted, measured),
        "spearman": spearman(predicted, measured),
        "mean_absolute_error": error,
    }
