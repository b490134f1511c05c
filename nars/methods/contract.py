"""What every method is handed and gives back, so that answers, studies, reports and `train.py` serve all of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from nars.search.rounds import History, Round
from nars.settings import LoggerSettings
from nars.training.trainer import Progress

Told = Callable[[Mapping], None]


class Watch(Protocol):
    """Who looks on while a method works: the terminal, the study's report, Weights & Biases, or nobody.

    `progress` is told how far long work is, `logger` is what trainings log to.
    """

    progress: Progress
    logger: LoggerSettings

    def pretraining(self, file: Path) -> AbstractContextManager[Told]:
        """Around a pretraining whose encoder goes to `file`; what it yields is told the check of the encoder."""

    def round(self, done: Round, history: History, findings: Callable[[], Mapping] | None) -> None:
        """After each round. `findings` gives all that is known so far; None as long as nothing was trained."""

    def epoch(self, findings: Callable[[], Mapping]) -> None:
        """After each epoch of a supernet. `findings` gives all that is known so far."""

    def recalled(self, history: History) -> None:
        """In place of rounds: those of an earlier job of the sweep, or the records of a ledger."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured of a pair: `accuracies` after epoch `epochs`, one per seed, at least one; 0 if it diverged."""

    accuracies: tuple[float, ...]
    epochs: int

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.accuracies))

    @property
    def std(self) -> float | None:
        """The standard deviation over the seeds; None of a single one."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a method found: distinct feasible joint `points` int16 (n, d), best first, n >= 1, with the `accuracies`
    float64 (n,) expected of them, their standard deviations `stds` (n,), and what was `measured` of them, nothing until
    they are confirmed. `predict` gives both of any points.

    `findings` is what was measured on the way, as plain containers by section of `SearchSummary`; `history` its rounds;
    `files` what it was made from, by kind (`records`; `encoder` and `predictor`, or `supernet`).
    """

    points: np.ndarray
    accuracies: np.ndarray
    stds: np.ndarray
    findings: Mapping
    history: History
    files: Mapping[str, Path]
    predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    measured: tuple[Measurement | None, ...] = ()


class Method(Protocol):
    """Answers a `Problem`. Owns its settings, and knows nothing of command lines, screens or W&B.

    What is killed goes on when it is asked the same again, and the answer is the same.
    """

    def check(self) -> None:
        """UserError, before anything is trained, for settings that cannot work on this problem."""

    def plan(self):
        """What would be trained next; where nothing would, a sentence that says what would be done instead."""

    def answer(self) -> Answer:
        """The answer; trains what it needs and does not know yet. A method that trains has `nars.methods.confirm` train
        the best pairs last, and rank them."""
