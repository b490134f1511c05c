"""How far a training is, for all who look: a line per epoch, and steps within one."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl

from nars.training.single.loggers import log_known_epochs


class EpochLog(pl.Callback):
    """Keeps a line per epoch in `epochs.jsonl`: what progress displays read. A training that goes on fills in, there
    and in the logger, the epochs that it does not train again."""

    def __init__(self, folder: Path, on_epoch: Callable[[int, float], None] | None):
        self.path = folder / "epochs.jsonl"
        self.on_epoch = on_epoch

    def on_fit_start(self, trainer, module) -> None:
        if not trainer.is_global_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(_epoch_line(i, value) for i, value in enumerate(module.accuracies, start=1)))
        for logger in trainer.loggers:
            log_known_epochs(logger, module.curves, steps_per_epoch=module.steps_per_epoch)

    def on_validation_end(self, trainer, module) -> None:
        # Not on_validation_epoch_end: there the module has not yet counted this epoch.
        if trainer.is_global_zero and module.accuracies and not module.diverged:
            epoch, accuracy = len(module.accuracies), module.accuracies[-1]
            with open(self.path, "a") as file:
                file.write(_epoch_line(epoch, accuracy))
            if self.on_epoch is not None:
                self.on_epoch(epoch, accuracy)


class StepLog(pl.Callback):
    """Tells `on_step` of every step: the number of the epoch (1 = first) and of the step, how many steps it has, and
    images per second of this epoch so far."""

    def __init__(self, on_step: Callable[[int, int, int, float], None], *, batch_size: int):
        self.on_step = on_step
        self.batch_size = batch_size

    def on_train_epoch_start(self, trainer, module) -> None:
        self.started = time.monotonic()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        step, seconds = batch_idx + 1, max(time.monotonic() - self.started, 1e-9)
        self.on_step(trainer.current_epoch + 1, step, module.steps_per_epoch, step * self.batch_size / seconds)


def _epoch_line(epoch: int, accuracy: float) -> str:
    return json.dumps({"epoch": epoch, "accuracy": accuracy}) + "\n"
