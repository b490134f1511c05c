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

    def recalled(self, history: History) -> None:
        """In place of rounds: those of an earlier job of the sweep, or the records of a ledger."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a method found: distinct feasible joint `points` int16 (n, d), best first, n >= 1, with the `accuracies`
    float64 (n,) expected of them and their standard deviations `stds` (n,).

    `findings` is what was measured on the way, as plain containers by section of `SearchSummary`; `history` its rounds;
    `files` what it was made from, by kind (`records`, `encoder`, `predictor`).
    """

    points: np.ndarray
    accuracies: np.ndarray
    stds: np.ndarray
    findings: Mapping
    history: History
    files: Mapping[str, Path]


class Method(Protocol):
    """Answers a `Problem`. Owns its settings, and knows nothing of command lines, screens or W&B.

    What is killed goes on when it is asked the same again, and the answer is the same.
    """

    def check(self) -> None:
        """UserError, before anything is trained, for settings that cannot work on this problem."""

    def plan(self):
        """What would be trained next; where nothing would, a sentence that says what would be done instead."""

    def answer(self) -> Answer:
        """The answer; trains what it needs and does not know yet."""
