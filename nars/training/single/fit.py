"""Epochs of any task: from a job and what is built for it to a record."""

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from timm.layers import convert_sync_batchnorm
from torch import nn
from torch.utils.data import DataLoader

from nars.data.loaders import SplitImages
from nars.errors import UserError
from nars.records import Record
from nars.settings import TrainerSettings
from nars.training.devices import check_precision, device_of
from nars.training.job import Job, checkpoint_path
from nars.training.single.base import BaseModule
from nars.training.single.checkpoint import AtomicCheckpointIO, BestWeights, EpochCheckpoint, find_checkpoint
from nars.training.single.environment import without_launchers
from nars.training.single.epoch_log import EpochLog, StepLog
from nars.training.single.loggers import log_record
from nars.training.single.processes import OurProcesses, Part, StopsAtOnce, first_of, the_others

# From so many steps on cuDNN looks for its fastest algorithms (ours). Looking, anew for every shape of every layer,
# took as long as some 600 steps on an NVIDIA H200, and saved a fifth of each at most (`experiments/fbnetv3_records`):
# it can pay from some 3,000 on, and three times as many leave room for what was not measured.
LONG_TRAINING = 10_000


@dataclass(frozen=True, kw_only=True)
class Built:
    """What is trained, and the batches of one process: its part of those that train and of those that validate."""

    module: BaseModule
    train: DataLoader
    val: DataLoader


def fit(
    job: Job,
    build: Callable[[Job, Part], Built],
    on_epoch: Callable[[int, float], None] | None = None,
    *,
    on_step: Callable[[int, int, int, float], None] | None = None,
    best_weights: Path | None = None,
    loggers: Sequence[Logger] = (),
) -> tuple[Record, BaseModule]:
    """Train what `build` makes of the job; returns its record and the trained module.

    A training of the same job that was killed goes on after its last checkpoint; that of this one stays, so that
    nothing is lost before the record is kept: then call `forget_state`. `on_epoch` is told the number (1 = first) and
    metric of each epoch that is trained now, `on_step` what `StepLog` says of each step; `best_weights` is where the
    weights of the best epoch are kept; `loggers` are those of `open_loggers`.
    Runs in the calling process; with several devices this starts others, which end with it. `build`, a function of a
    module, is called in each.
    Deterministic on a CPU: the same job gives the same metrics to the bit, however often it was interrupted.
    """
    extra = [EpochLog(Path(job.folder), on_epoch)]
    if on_step is not None:
        extra.append(StepLog(on_step, batch_size=job.protocol.batch_size))
    if best_weights is not None:
        extra.append(BestWeights(best_weights))
    module, seconds = _fit(job, build, first_of(job.trainer.devices), extra, loggers)
    record = Record(
        key=job.key,
        architecture=job.architecture,
        recipe=job.recipe,
        training=job.training,
        origin=job.origin,
        seed=job.seed,
        epochs=job.epochs,
        status="diverged" if module.diverged else "finished",
        metric=module.metric,
        accuracies=tuple(module.accuracies),
        costs=job.costs,
        seconds=round(seconds, 3),
        started=(datetime.now(UTC) - timedelta(seconds=seconds)).replace(microsecond=0),
        versions={"torch": torch.__version__.split("+")[0]},
    )
    log_record(loggers, job, record)
    return record, module


def _fit(
    job: Job,
    build: Callable[[Job, Part], Built],
    part: Part,
    callbacks: Sequence[pl.Callback] = (),
    loggers: Sequence[Logger] = (),
) -> tuple[BaseModule, float]:
    """The trained module and the seconds it took, those before an interruption too. Each process of several does so."""
    _quiet_libraries()
    built = build(job, part)
    path = checkpoint_path(job.folder)
    known = find_checkpoint(path, key=job.key, epochs=job.epochs)
    started = time.monotonic() - (known["seconds"] if known else 0.0)
    callbacks = list(callbacks)
    if part.world_size > 1:
        callbacks.append(StopsAtOnce())
    if job.trainer.checkpoint_every:
        every, seconds = job.trainer.checkpoint_every, lambda: time.monotonic() - started
        callbacks.append(EpochCheckpoint(path, key=job.key, every=every, seconds=seconds))
    with without_launchers():
        trainer = open_trainer(built.module, job, part, callbacks, list(loggers))
        with the_others(partial(_fit, job, build), part):
            trainer.fit(built.module, built.train, built.val, ckpt_path=path if known else None, weights_only=True)
    return built.module, time.monotonic() - started


def loaders_of(
    job: Job, data: SplitImages, part: Part, *, image_size: int, val_batch: int
) -> tuple[DataLoader, DataLoader]:
    """The batches of one process that train, and those that validate, of `val_batch` images; UserError if they cannot
    be shared between the job's devices."""
    _check_shares(job, train_size=data.train_size, val_size=data.val_size)
    shared = {
        "image_size": image_size,
        "workers": job.trainer.loader_workers,
        "rank": part.rank,
        "world": part.world_size,
        "pinned": device_of(job.trainer.accelerator).type == "cuda",
    }
    protocol = job.protocol
    train = data.train_loader(
        batch_size=protocol.batch_size, augmentation=protocol.augmentation, seed=job.seed, **shared
    )
    return train, data.val_loader(batch_size=val_batch, **shared)


def _check_shares(job: Job, *, train_size: int, val_size: int) -> None:
    batch_size, devices = job.protocol.batch_size, job.trainer.devices
    if batch_size % devices:
        key = f"{job.group}.batch_size"
        raise UserError(f"{key}={batch_size} is not a multiple of trainer.devices={devices}; change one")
    if min(train_size, val_size) < devices:  # one without an image would be waited for without end
        raise UserError(
            f"trainer.devices={devices}: {train_size} images train and {val_size} validate, which must be at "
            "least one for each device; use fewer devices"
        )


def with_norms_of(trainer: TrainerSettings, network: nn.Module) -> nn.Module:
    """The network with batch norms that see the whole batch of all devices, if the settings ask for it; UserError where
    there are no GPUs."""
    if not trainer.sync_batchnorm:
        return network
    if trainer.accelerator == "cpu" or not torch.cuda.is_available():
        raise UserError("trainer.sync_batchnorm=true needs GPUs; set it to false")
    return convert_sync_batchnorm(network)  # timm's: PyTorch's would lose the activation of timm's layers


def check_freezing(job: Job) -> None:
    """UserError if what is frozen would change between epochs while several devices share batches: DDP decides once
    which gradients it waits for."""
    if job.start is not None and job.start.settings.freeze_epochs is not None and job.trainer.devices > 1:
        raise UserError(
            f"start.freeze_epochs with trainer.devices={job.trainer.devices}: what is shared between devices is frozen "
            "for good or not at all; give start.freeze_epochs=null, or one device"
        )


def open_trainer(module: BaseModule, job: Job, part: Part, callbacks: list, loggers: list) -> pl.Trainer:
    """Lightning's Trainer, UserError for what it cannot do here.

    Neither ranks nor a state to go on from are looked for: the first are those of `part`, the second is the job's own.
    """
    rank_zero_only.rank = part.rank  # loggers go by it
    settings = job.trainer
    try:
        trainer = pl.Trainer(
            max_epochs=job.epochs,
            accelerator=settings.accelerator,
            devices=settings.devices,
            num_nodes=1,
            # Every process validates with the first one's buffers (`share_buffers`), and until then needs its own only.
            strategy=DDPStrategy(broadcast_buffers=False) if settings.devices > 1 else "auto",
            use_distributed_sampler=False,  # the loaders know their part
            precision=settings.precision,
            benchmark=module.one_shape and job.epochs * module.steps_per_epoch >= LONG_TRAINING,
            logger=loggers or False,
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO(), OurProcesses(part)],
            default_root_dir=job.folder,
            enable_checkpointing=settings.checkpoint_every > 0,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_train_batches=module.steps_per_epoch,
            log_every_n_steps=1,
        )
    except MisconfigurationException as error:  # a device that is not there
        raise UserError(f"trainer: {str(error).partition(chr(10))[0]}") from None
    check_precision(settings.precision, trainer.strategy.root_device)
    if trainer.world_size != settings.devices:
        raise UserError(
            f"trainer.devices={settings.devices}, but {trainer.world_size} processes would train; each would see its "
            f"part of {settings.devices} of the images only"
        )
    return trainer


def _quiet_libraries() -> None:
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    warnings.filterwarnings("ignore", module="lightning_fabric")
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")  # DDP, of 1x1 kernels
