"""One training, from a job to a record."""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from timm.layers import convert_sync_batchnorm
from torch.utils.data import DataLoader

from nars.data import ImageData, open_data
from nars.errors import UserError
from nars.networks.architectures import architecture_of, image_size, network_of
from nars.records import Record
from nars.spaces.recipe import Recipe
from nars.training.job import TeacherJob, TrainingJob, checkpoint_path
from nars.training.single.checkpoint import AtomicCheckpointIO, EpochCheckpoint, find_checkpoint
from nars.training.single.epoch_log import EpochLog
from nars.training.single.loggers import log_record
from nars.training.single.module import CandidateModule, Teacher
from nars.training.weights.files import BestWeights, load_weights


def run_training(
    job: TrainingJob,
    on_epoch: Callable[[int, float], None] | None = None,
    *,
    best_weights: Path | None = None,
    loggers: Sequence[Logger] = (),
) -> tuple[Record, CandidateModule]:
    """Train the job's candidate; returns its record and the trained module.

    A training of the same job that was killed goes on after its last checkpoint; that of this one stays, so that
    nothing is lost before the record is kept: then call `forget_state`. `on_epoch` is told the number (1 = first) and
    accuracy of each epoch that is trained now; `best_weights` is where the weights of the best epoch are kept;
    `loggers` are those of `open_loggers`.
    Runs in the calling process; with several devices Lightning starts the others, which run the script too.
    Deterministic on a CPU: the same job gives the same accuracies to the bit, however often it was interrupted.
    """
    _quiet_libraries()
    data = _open_data_once(job.data, job.split_file)
    architecture = architecture_of(job.architecture)
    train, val = _loaders(job, data, image_size(architecture, job.protocol))
    module = _module(job, architecture, data, train_batches=len(train))
    path = checkpoint_path(job.folder)
    known = find_checkpoint(path, key=job.key, epochs=job.epochs)
    started = time.monotonic() - (known["seconds"] if known else 0.0)
    callbacks = [EpochLog(Path(job.folder), on_epoch)]
    if best_weights is not None:
        callbacks.append(BestWeights(best_weights))
    if job.trainer.checkpoint_every:
        every, seconds = job.trainer.checkpoint_every, lambda: time.monotonic() - started
        callbacks.append(EpochCheckpoint(path, key=job.key, every=every, seconds=seconds))
    _fit(module, job, train, val, callbacks, list(loggers), resume_from=path if known else None)
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
    log_record(loggers, job, record)
    return record, module


def _module(job: TrainingJob, architecture, data: ImageData, *, train_batches: int) -> CandidateModule:
    recipe = Recipe.from_dict(job.recipe)
    torch.manual_seed(job.seed)
    network = network_of(architecture, num_classes=data.num_classes, recipe=recipe)
    if job.trainer.sync_batchnorm:
        if job.trainer.accelerator == "cpu" or not torch.cuda.is_available():
            raise UserError("trainer.sync_batchnorm=true needs GPUs; set it to false")
        network = convert_sync_batchnorm(network)  # timm's: PyTorch's would lose the activation of timm's layers
    return CandidateModule(
        network.to(memory_format=torch.channels_last),
        normalise=data.normalise(),
        recipe=recipe,
        protocol=job.protocol,
        num_classes=data.num_classes,
        steps_per_epoch=min(train_batches, job.protocol.steps_per_epoch or train_batches),
        seed=job.seed,
        teacher=_teacher(job.teacher, data.num_classes),
    )


def _teacher(teacher: TeacherJob | None, num_classes: int) -> Teacher | None:
    if teacher is None:
        return None
    network = network_of(architecture_of(teacher.architecture), num_classes=num_classes)
    load_weights(network, Path(teacher.weights))
    return Teacher(network=network.eval().to(memory_format=torch.channels_last), share=teacher.share)


def _loaders(job: TrainingJob, data: ImageData, side: int) -> tuple[DataLoader, DataLoader]:
    batch_size, workers, devices = job.protocol.batch_size, job.trainer.loader_workers, job.trainer.devices
    if batch_size % devices:
        raise UserError(f"protocol.batch_size={batch_size} is not a multiple of trainer.devices={devices}; change one")
    part = {"rank": rank_zero_only.rank if devices > 1 else 0, "world": devices}
    train = data.train_loader(
        image_size=side,
        batch_size=batch_size,
        augmentation=job.protocol.augmentation,
        seed=job.seed,
        workers=workers,
        **part,
    )
    return train, data.val_loader(image_size=side, batch_size=2 * batch_size // devices, workers=workers, **part)


def _fit(module, job: TrainingJob, train, val, callbacks: list, loggers: list, *, resume_from: Path | None) -> None:
    trainer = job.trainer
    if rank_zero_only.rank > 0:
        threading.Thread(target=_end_with_first_process, args=(os.getppid(),), daemon=True).start()
    _lightning(
        max_epochs=job.epochs,
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        strategy="ddp" if trainer.devices > 1 else "auto",
        use_distributed_sampler=False,  # the loaders know their part
        precision=trainer.precision,
        logger=loggers or False,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=trainer.checkpoint_every > 0,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_train_batches=module.steps_per_epoch,
        log_every_n_steps=1,
    ).fit(module, train, val, ckpt_path=resume_from, weights_only=True)


def _lightning(**settings) -> pl.Trainer:
    try:
        return pl.Trainer(**settings)
    except MisconfigurationException as error:  # a device that is not there
        raise UserError(f"trainer: {str(error).partition(chr(10))[0]}") from None


def _end_with_first_process(parent: int) -> None:
    """One of several processes of a training that waits for a killed one would wait for half an hour."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@lru_cache(maxsize=2)
def _open_data_once(settings, split_file: str | None) -> ImageData:
    return open_data(settings, split_file=split_file)


def _quiet_libraries() -> None:
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning_fabric")
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
