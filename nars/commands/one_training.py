"""What scripts that train one thing share: from its job to weights with a card, the claim on its folder, and what is
said meanwhile."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from nars.errors import UserError
from nars.files import write_whole
from nars.machine import limited_threads
from nars.records import Ledger, Record
from nars.reporting.tracking.notices import Notices
from nars.training.claims import LEASE_SECONDS, Claims
from nars.training.job import Job, best_weights_path, forget_state, remove_checkpoint
from nars.training.single.loggers import open_loggers, wandb_run
from nars.training.weights.card import WEIGHTS, read_card, remove_card, write_card
from nars.wandb_run import WandbRun

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def claimed(folder: Path, console: Console) -> Iterator[None]:
    """Keep other processes from the training of `folder`; UserError if one is at it.

    Of a process on another machine, or in another container, only its heartbeat shows that it still runs: that is
    waited for, and without one the claim is taken over.
    """
    claims = Claims(folder.parent, lease_seconds=LEASE_SECONDS)
    first, give_up, told = claims.heartbeat(folder.name), time.monotonic() + 3 * LEASE_SECONDS, False
    while not claims.take(folder.name):
        holder = claims.holder(folder.name)  # none: a claim without a name, which is taken over soon
        runs = holder and (claims.is_of_this_machine(folder.name) or claims.heartbeat(folder.name) != first)
        if runs or time.monotonic() > give_up:
            raise UserError(f"{folder}: {holder or 'another process'} is training this; wait for it, or stop it")
        if holder and not told:
            console.print(f"{holder} claims this training; waiting to see whether it still runs", soft_wrap=True)
            told = True
        time.sleep(0.2)
    try:
        yield
    finally:
        claims.release_all()


class EpochLines:
    """A line per epoch that is trained now, with its metric, and within long ones a line now and then."""

    def __init__(self, console: Console, epochs: int, *, metric: str = "accuracy"):
        self.console = console
        self.epochs = epochs
        self.metric = metric
        self.begun = False
        self.said = time.monotonic()

    def __call__(self, epoch: int, value: float) -> None:
        if not self.begun and epoch > 1:
            self.console.print(f"  gone on after epoch {epoch - 1}")
        self.begun = True
        self.console.print(f"  epoch {epoch}/{self.epochs}: {self.metric} {value:.4f}")
        self.said = time.monotonic()

    def step(self, epoch: int, step: int, steps: int, images_per_second: float) -> None:
        """Within an epoch."""
        if time.monotonic() - self.said < SECONDS_BETWEEN_LINES:
            return
        self.said = time.monotonic()
        self.console.print(
            f"  epoch {epoch}/{self.epochs}: step {step:,} of {steps:,}, {images_per_second:.0f} images a second"
        )


@dataclass(frozen=True, kw_only=True)
class OneTraining:
    """The training of a job into its folder, once: record, weights and card. `resume`: what is known is not trained
    again, what was stopped goes on. `say` shows what a card says."""

    job: Job
    ledger: Ledger
    resume: bool
    console: Console
    say: Callable[[dict], None]

    @property
    def weights(self) -> Path:
        """The file of the best epoch's, with its card beside it."""
        return Path(self.job.folder) / WEIGHTS

    def known(self) -> bool:
        """Whether the training has ended with weights, which are shown; UserError if it diverged."""
        if not self.resume:
            return False
        record, card = self.ledger.find(self.job.key, self.job.epochs), read_card(self.weights)
        if record is not None and card is not None:
            self.console.print("already trained (resume=false trains again)")
            self.say(card)
            return True
        self._check(record)
        return False

    def run(
        self,
        train: Callable[[Path, Sequence], tuple[Record, dict | None]],
        notices: Notices,
        track: Callable[[WandbRun, dict], None],
    ) -> None:
        """Train, unless another process has just done it. `train` is told where the weights of the best epoch go and
        whom to log to, and returns the record and, of a finished training, the card; `track` tells W&B of it."""
        with claimed(self.weights.parent, self.console):
            self.ledger.refresh()
            if self.known():
                return
            record = self._train(train, notices, track)
            self.ledger.append(record)
            forget_state(self.job)
        self._check(record)
        self.say(read_card(self.weights))
        notices.say_end()

    def _train(self, train: Callable, notices: Notices, track: Callable) -> Record:
        """Train to the end; then weights and card take the place of earlier ones."""
        best = best_weights_path(self.job.folder)
        if not (self.resume and best.exists()):  # the state's parts go together
            remove_checkpoint(self.job.folder)
        with open_loggers(self.job) as loggers, self._memory_said(), limited_threads(self.job.trainer.devices):
            notices.say_problem()
            record, card = train(best, loggers)
            if card is not None:
                remove_card(self.weights)
                write_whole(self.weights, best.read_bytes())
                write_card(self.weights, card)
                if (run := wandb_run(loggers)) is not None:
                    track(run, card)
                    name = f"weights-{self.weights.parent.name}"
                    run.give(name, "weights", [self.weights, self.weights.with_name("card.yaml")])
        return record

    def _check(self, record: Record | None) -> None:
        if record is not None and record.status == "diverged":
            lr = self.job.lr
            raise UserError(f"the training diverged (NaN or infinite); try a smaller {lr} or a longer warm-up")

    @contextmanager
    def _memory_said(self) -> Iterator[None]:
        """Too small a memory of the GPU is one line."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(". ")[0]
            raise UserError(
                f"out of GPU memory ({reason}); lower {self.job.group}.batch_size (the learning rate follows), use "
                "trainer.precision=bf16-mixed, or share batches between more trainer.devices"
            ) from None
