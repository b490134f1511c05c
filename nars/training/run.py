"""One training, from a job to a record."""

import json
import logging
import time
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from nars.costs.constraint import short_number
from nars.data import ImageData, open_data
from nars.networks.build import build_network
from nars.records import Record
from nars.settings import DataSettings, LoggerSettings, ProtocolSettings, Settings, TrainerSettings
from nars.spaces.architecture import Architecture
from nars.spaces.candidate import Candidate
from nars.spaces.recipe import Recipe
from nars.training.checkpoint import (
    AtomicCheckpointIO,
    EpochCheckpoint,
    checkpoint_path,
    find_checkpoint,
    remove_checkpoint,
)
from nars.training.loggers import close_logger, log_known_epochs, open_logger
from nars.training.module import CandidateModule

MIN_IMAGE_SIZE = 32  # networks halve the side five times


class TrainingJob(Settings):
    """Everything that one training needs, in plain values, so that any process can run it.

    `folder` is where the epochs' accuracies and the logger's files go; `macs` and `params` are the candidate's costs.
    """

    key: str
    architecture: dict
    recipe: dict
    data: DataSettings
    split_file: str | None
    protocol: ProtocolSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    training: dict
    study: str
    folder: str
    epochs: int
    seed: int
    macs: float
    params: float

    @property
    def candidate(self) -> Candidate:
        """The candidate to train."""
        return Candidate(architecture=self.architecture, recipe=self.recipe)


def training_identity(data: ImageData, protocol: ProtocolSettings, trainer: TrainerSettings) -> dict:
    """What decides the outcome of a training beside candidate, seed and epochs: part of a record and of its key."""
    return {
        "data": data.fingerprint,
        "protocol": protocol.model_dump(mode="json", exclude={"epochs"}),
        "precision": trainer.precision,
    }


def image_size(architecture: Architecture, protocol: ProtocolSettings) -> int:
    """Side in pixels of the images of a training: resolution times the protocol's scale, at least `MIN_IMAGE_SIZE`."""
    return max(MIN_IMAGE_SIZE, round(architecture.resolution * protocol.image_scale))


def run_training(
    job: TrainingJob, on_epoch: Callable[[int, float], None] | None = None
) -> tuple[Record, CandidateModule]:
    """Train the job's candidate; returns its record and the trained module.

    A training of the same job that was killed goes on after its last checkpoint; that of this one stays, so that
    nothing is lost before the record is kept: then call `forget_state`. `on_epoch` is told the number (1 = first) and
    accuracy of each epoch that is trained now. Runs in the calling process. Deterministic on a CPU: the same job gives
    the same accuracies to the bit, however often it was interrupted.
    """
    _quiet_libraries()
    data = _open_data_once(job.data, job.split_file)
    architecture = Architecture.from_dict(job.architecture)
    recipe = Recipe.from_dict(job.recipe)
    train, val = _loaders(job, data, image_size(architecture, job.protocol))
    torch.manual_seed(job.seed)
    network = build_network(
        architecture, num_classes=data.num_classes, dropout=recipe.dropout, stochastic_depth=recipe.stochastic_depth
    ).to(memory_format=torch.channels_last)
    module = CandidateModule(
        network,
        normalise=data.normalise(),
        recipe=recipe,
        protocol=job.protocol,
        num_classes=data.num_classes,
        steps_per_epoch=min(len(train), job.protocol.steps_per_epoch or len(train)),
        seed=job.seed,
    )
    path = checkpoint_path(job.folder)
    known = find_checkpoint(path, key=job.key, epochs=job.epochs)
    started = time.monotonic() - (known["seconds"] if known else 0.0)
    callbacks = [EpochLog(Path(job.folder), on_epoch)]
    if job.trainer.checkpoint_every:
        every, seconds = job.trainer.checkpoint_every, lambda: time.monotonic() - started
        callbacks.append(EpochCheckpoint(path, key=job.key, every=every, seconds=seconds))
    _fit(module, job, train, val, callbacks, resume_from=path if known else None)
    record = Record(
        key=job.key,
        architecture=job.architecture,
        recipe=job.recipe,
        training=job.training,
        seed=job.seed,
        epochs=job.epochs,
        status="diverged" if module.diverged else "finished",
        accuracies=tuple(module.accuracies),
        macs=job.macs,
        params=job.params,
        seconds=round(time.monotonic() - started, 3),
        versions={"torch": torch.__version__.split("+")[0]},
    )
    return record, module


def forget_state(job: TrainingJob) -> None:
    """Remove the checkpoint of a training whose record is kept, unless the settings keep it."""
    if not job.trainer.keep_checkpoints:
        remove_checkpoint(job.folder)


def train_job(job: TrainingJob) -> Record:
    """`run_training` for worker processes: only the record comes back. MemoryError if the GPU's memory is too small."""
    try:
        return run_training(job)[0]
    except torch.OutOfMemoryError:
        raise MemoryError(
            f"out of GPU memory with {short_number(job.macs)} MACs, batch {job.protocol.batch_size}: lower "
            "protocol.batch_size (the learning rate follows), or use trainer.precision=bf16-mixed"
        ) from None


def _loaders(job: TrainingJob, data: ImageData, side: int) -> tuple[DataLoader, DataLoader]:
    batch_size, workers = job.protocol.batch_size, job.trainer.loader_workers
    train = data.train_loader(
        image_size=side,
        batch_size=batch_size,
        augmentation=job.protocol.augmentation,
        seed=job.seed,
        workers=workers,
    )
    return train, data.val_loader(image_size=side, batch_size=2 * batch_size, workers=workers)


def _fit(module: CandidateModule, job: TrainingJob, train, val, callbacks: list, *, resume_from: Path | None) -> None:
    trainer = job.trainer
    logger = open_logger(job)
    try:
        pl.Trainer(
            max_epochs=job.epochs,
            accelerator=trainer.accelerator,
            devices=1,
            precision=trainer.precision,
            logger=logger or False,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            enable_checkpointing=trainer.checkpoint_every > 0,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_train_batches=module.steps_per_epoch,
            log_every_n_steps=1,
        ).fit(module, train, val, ckpt_path=resume_from, weights_only=True)
    finally:
        close_logger(job)


class EpochLog(pl.Callback):
    """Keeps a line per epoch in `epochs.jsonl`: what progress displays read. A training that goes on fills in, there
    and in the logger, the epochs that it does not train again."""

    def __init__(self, folder: Path, on_epoch: Callable[[int, float], None] | None):
        self.path = folder / "epochs.jsonl"
        self.on_epoch = on_epoch

    def on_fit_start(self, trainer, module) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("".join(_epoch_line(i, value) for i, value in enumerate(module.accuracies, start=1)))
        for logger in trainer.loggers:
            log_known_epochs(logger, module.losses, module.accuracies, steps_per_epoch=module.steps_per_epoch)

    def on_validation_end(self, trainer, module) -> None:
        # Not on_validation_epoch_end: there the module has not yet counted this epoch.
        if module.accuracies and not module.diverged:
            epoch, accuracy = len(module.accuracies), module.accuracies[-1]
            with open(self.path, "a") as file:
                file.write(_epoch_line(epoch, accuracy))
            if self.on_epoch is not None:
                self.on_epoch(epoch, accuracy)


def _epoch_line(epoch: int, accuracy: float) -> str:
    return json.dumps({"epoch": epoch, "accuracy": accuracy}) + "\n"


@lru_cache(maxsize=2)
def _open_data_once(settings, split_file: str | None) -> ImageData:
    return open_data(settings, split_file=split_file)


def _quiet_libraries() -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning_fabric")
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
