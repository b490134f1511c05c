"""What scripts that train one thing share: the claim on its folder, and what is said while it trains."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console

from nars.errors import UserError
from nars.training.claims import LEASE_SECONDS, Claims

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def gpu_memory_said(*, batch_size: str) -> Iterator[None]:
    """Too small a memory of the GPU is one line; `batch_size` is the key to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).partition(". ")[0]
        raise UserError(
            f"out of GPU memory ({reason}); lower {batch_size} (the learning rate follows), use "
            "trainer.precision=bf16-mixed, or share batches between more trainer.devices"
        ) from None


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


def diverged(lr: str) -> UserError:
    """What to say of a training that diverged; `lr` is the key to change."""
    return UserError(f"the training diverged (NaN or infinite); try a smaller {lr} or a longer warm-up")
