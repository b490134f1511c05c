"""Constrained iterative optimization: rounds of choose by predicted score, train, refit (Algorithm 1 of the paper).

Training is a callable handed in, so this module knows neither networks nor images.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from nars.errors import UserError
from nars.records import Record
from nars.search.early_stop import EarlyStop, early_stop, kendall_tau, spearman
from nars.search.strategies import Scorer, Strategy
from nars.settings import RoundsSettings
from nars.spaces.candidate import Candidate, JointSpace

FAILED_IN_A_ROW = 4  # trainings that failed, and no more are begun


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
    """All rounds, and where later trainings stop."""

    rounds: tuple[Round, ...]
    early_stop: EarlyStop

    @property
    def epoch(self) -> int:
        """The epoch whose accuracies the predictor learns: where later trainings stop."""
        return self.early_stop.epoch

    def chosen(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, d) of all rounds and accuracies (n,) after `epoch`: 0 where training diverged, nan where it
        failed."""
        points = np.concatenate([r.points for r in self.rounds])
        records = [record for r in self.rounds for record in r.records]
        return points, np.array([np.nan if r.status == "failed" else r.accuracy_at(self.epoch) for r in records])

    def seconds(self) -> np.ndarray:
        """Seconds of an epoch (n,) of what was chosen in all rounds, in this order; nan where it was not finished."""
        records = (record for r in self.rounds for record in r.records)
        return np.array([r.seconds_per_epoch if r.status == "finished" else np.nan for r in records])

    def usable(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, d) and accuracies (n,) after `epoch` of all trainings but failed ones."""
        points, accuracies = self.chosen()
        usable = np.isfinite(accuracies)
        return points[usable], accuracies[usable]

    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """(predicted, measured) of all candidates that were predicted before they were trained."""
        pairs = [pair for r in self.rounds for pair in predicted_against_measured(r)]
        return np.array([p for p, _ in pairs]), np.array([m for _, m in pairs])


def predicted_against_measured(r: Round) -> list[tuple[float, float]]:
    """Pairs (predicted before training, measured after so many epochs as were asked for) of a round's usable records:
    the predictor had learned accuracies of that age."""
    if r.predicted is None:
        return []
    return [
        (float(predicted), record.accuracy_at(r.epochs))
        for predicted, record in zip(r.predicted, r.records, strict=True)
        if record.status != "failed"
    ]


def run_rounds(
    space: JointSpace,
    strategy: Strategy,
    evaluate: Evaluate,
    predictor: Scorer,
    settings: RoundsSettings,
    *,
    epochs: int,
    noise_level: float,
    on_round: Callable[[Round, History], None],
) -> History:
    """Train `settings.rounds` batches that `strategy` chooses; leaves `predictor` fitted to all of them.

    Every batch but the first is predicted before it is trained. `noise_level` is the accuracy that a network which has
    learnt nothing hardly exceeds. `on_round` is called after each round. Everything
    follows from the arguments and the records, so a second call with the same ledger goes the same way. UserError
    after a round of which all trainings failed: of a small one, once `FAILED_IN_A_ROW` failed one after the other, or
    all so far.
    """
    history = History(rounds=(), early_stop=EarlyStop(epoch=epochs))
    points, accuracies = np.empty((0, len(space)), dtype=np.int16), np.empty(0)
    for number in range(1, settings.rounds + 1):
        batch = strategy.choose(settings.size(number), points, accuracies, history.seconds())
        if len(batch) == 0:
            break
        title = f"round {number} of {settings.rounds}"
        predicted = predictor.predict(space.encode(batch)) if history.rounds else None
        records = _train(space, batch, evaluate, history.epoch, title)
        _check_failures(history, records, title)
        done = Round(number=number, points=batch, records=records, predicted=predicted, epochs=history.epoch)
        history = _extended(history, done, settings, noise_level=noise_level)
        points, accuracies = history.chosen()
        known = np.isfinite(accuracies)
        predictor.fit(space.encode(points[known]), accuracies[known])
        on_round(done, history)
    return history


def _train(space: JointSpace, points: np.ndarray, evaluate: Evaluate, epochs: int, title: str) -> tuple[Record, ...]:
    """Records in the order of the points."""
    candidates = [space.candidate(point) for point in points]
    by_name = {record.candidate.name: record for record in evaluate(candidates, epochs, title=title)}
    return tuple(by_name[candidate.name] for candidate in candidates)


def _check_failures(history: History, records: tuple[Record, ...], title: str) -> None:
    """UserError where the trainings of a round, and in small rounds some before them, have all failed."""
    so_far = [record for r in history.rounds for record in r.records] + list(records)
    last = so_far[-max(len(records), FAILED_IN_A_ROW) :]
    if all(record.status == "failed" for record in last):
        which = "the last" if len(last) > len(records) else "all"
        raise UserError(
            f"{title}: {which} {len(last)} trainings failed; the first: {last[0].reason}; "
            "put it right and run the same command again"
        )


def _extended(history: History, done: Round, settings: RoundsSettings, *, noise_level: float) -> History:
    """With one more round, after which, if not before, enough candidates may say where trainings stop."""
    rounds = (*history.rounds, done)
    if history.early_stop.decided:
        return History(rounds=rounds, early_stop=history.early_stop)
    records = [record for r in rounds for record in r.records]
    curves = [r.accuracies[: done.epochs] for r in records if len(r.accuracies) >= done.epochs]
    curves = np.array(curves).reshape(len(curves), done.epochs)
    stop = early_stop(
        curves, settings.early_stop_correlation, fewest=settings.early_stop_candidates, noise_level=noise_level
    )
    return History(rounds=rounds, early_stop=replace(stop, round=done.number if stop.decided else 1))


def rank_agreement(predicted: np.ndarray, measured: np.ndarray) -> dict:
    """Number of pairs, Kendall tau, Spearman correlation and mean absolute error of predictions (n,)."""
    error = float(np.abs(predicted - measured).mean()) if len(predicted) else None
    return {
        "candidates": len(predicted),
        "kendall_tau": kendall_tau(predicted, measured),
        "spearman": spearman(predicted, measured),
        "mean_absolute_error": error,
    }
