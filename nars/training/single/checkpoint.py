"""The state of a training after an epoch, in a file: what a killed training goes on from.

Lightning collects the state (weights, optimizer, schedule, loops, EMA, accuracies so far) and restores it; here is
when it is written, how, and whether a file that is found may be used. What is random in an epoch needs no state: it
follows from (seed, epoch).
"""

import logging
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from nars.errors import UserError
from nars.files import replace, sync
from nars.training.job import temporary_of
from nars.training.weights.files import write_weights

SCHEMA = 1  # of the state: a change of what a training keeps makes older files unusable
LOG = logging.getLogger(__name__)


class EpochCheckpoint(Checkpoint):
    """Writes the state of training `key` after every `every` epochs and after the last, never of a diverged one.

    `seconds` says how long the training has taken so far.
    """

    def __init__(self, path: Path, *, key: str, every: int, seconds: Callable[[], float]):
        self.path = path
        self.key = key
        self.every = every
        self.seconds = seconds

    def on_train_epoch_end(self, trainer, module) -> None:
        # Called last in an epoch, because Lightning sees that this is a Checkpoint.
        done = trainer.current_epoch + 1
        if not module.diverged and (done % self.every == 0 or done == trainer.max_epochs):
            trainer.save_checkpoint(self.path)

    def on_save_checkpoint(self, trainer, module, checkpoint: dict) -> None:
        done = trainer.current_epoch + 1
        checkpoint["nars"] = {"schema": SCHEMA, "key": self.key, "epochs": done, "seconds": self.seconds()}


class BestWeights(pl.Callback):
    """Keeps the weights of the epoch with the best accuracy so far, the first of equals, in `path`."""

    def __init__(self, path: Path):
        self.path = path

    def on_validation_end(self, trainer, module) -> None:
        if not trainer.is_global_zero or module.diverged:
            return
        *before, accuracy = module.accuracies
        if accuracy > max(before, default=-1.0):
            write_weights(self.path, module.evaluated_network)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Leaves the old file or the whole new one, whenever the process or the power dies.

    Lightning's own goes through the folder for temporary files, which may be another disk or too small.
    """

    def save_checkpoint(self, checkpoint: dict, path, storage_options=None) -> None:
        path = Path(path)
        temporary = temporary_of(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                sync(file)
            replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UserError(
                f"{path}: cannot write the checkpoint: {error.strerror}; free space or fix permissions, or switch "
                "checkpoints off with trainer.checkpoint_every=0, then run the same command again"
            ) from error


def find_checkpoint(path: Path, *, key: str, epochs: int) -> dict | None:
    """`epochs` done and `seconds` taken, of the checkpoint at `path` that training `key` of `epochs` may go on from.

    None if there is none; a file that is there and cannot be used is named in a warning, with the reason.
    """
    if not path.exists():
        return None
    try:
        head = _read_head(path)
        problem = _why_unusable(head, key=key, epochs=epochs)
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        problem = f"corrupt ({str(error).partition(chr(10))[0] or type(error).__name__})"
    if problem is None:
        return head
    LOG.warning("checkpoint %s is not used: %s; the training starts anew", path, problem)
    return None


def _read_head(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:  # torch.load reads no checksums
        if broken := archive.testzip():
            raise zipfile.BadZipFile(f"wrong checksum in {broken}")
    return torch.load(path, map_location="cpu", mmap=True, weights_only=True)["nars"]


def _why_unusable(head: dict, *, key: str, epochs: int) -> str | None:
    if head["schema"] != SCHEMA:
        return f"it was written by another version (schema {head['schema']}, this one writes {SCHEMA})"
    if head["key"] != key:
        return f"it belongs to another training ({head['key']}, not {key})"
    if head["epochs"] > epochs:
        return f"it is {head['epochs']} epochs old, and {epochs} are asked for"
    return None
