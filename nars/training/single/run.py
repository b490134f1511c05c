"""The training of a candidate, from a job to a record."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from torch import nn
from torch.utils.data import DataLoader

from nars.data import ImageData, open_data
from nars.networks.architectures import architecture_of, image_size, network_of
from nars.records import Record
from nars.spaces.recipe import Recipe
from nars.training.job import TeacherJob, TrainingJob
from nars.training.single.fit import Built, check_freezing, fit, loaders_of, with_norms_of
from nars.training.single.module import CandidateModule, Teacher
from nars.training.single.processes import Part
from nars.training.weights.files import load_weights
from nars.training.weights.start import begun
from nars.training.weights.tuning import Tuning


def run_training(
    job: TrainingJob,
    on_epoch: Callable[[int, float], None] | None = None,
    *,
    on_step: Callable[[int, int, int, float], None] | None = None,
    best_weights: Path | None = None,
    loggers: Sequence[Logger] = (),
) -> tuple[Record, CandidateModule]:
    """Train the job's candidate, as `fit` says; returns its record and the trained module."""
    return fit(job, _build, on_epoch, on_step=on_step, best_weights=best_weights, loggers=loggers)


def _build(job: TrainingJob, part: Part) -> Built:
    data = _open_data_once(job.data, job.split_file)
    architecture = architecture_of(job.architecture)
    train, val = _loaders(job, data, image_size(architecture, job.protocol), part)
    return Built(module=_module(job, architecture, data, train_batches=len(train)), train=train, val=val)


def _module(job: TrainingJob, architecture, data: ImageData, *, train_batches: int) -> CandidateModule:
    recipe = Recipe.from_dict(job.recipe)
    torch.manual_seed(job.seed)
    network = network_of(architecture, num_classes=data.num_classes, recipe=recipe)
    tuning = _begun(job, network, architecture, data.class_names)
    return CandidateModule(
        with_norms_of(job.trainer, network).to(memory_format=torch.channels_last),
        normalise=data.normalise(job.start and job.start.statistics),
        recipe=recipe,
        protocol=job.protocol,
        num_classes=data.num_classes,
        steps_per_epoch=min(train_batches, job.protocol.steps_per_epoch or train_batches),
        seed=job.seed,
        teacher=_teacher(job.teacher, data.num_classes),
        tuning=tuning,
    )


def _begun(job: TrainingJob, network: nn.Module, architecture, classes: Sequence[str]) -> Tuning | None:
    """How the network is changed, after it was filled with what the job begins with."""
    if job.start is None:
        return None
    check_freezing(job)
    return begun(job.start, network, architecture, classes)


def _teacher(teacher: TeacherJob | None, num_classes: int) -> Teacher | None:
    if teacher is None:
        return None
    network = network_of(architecture_of(teacher.architecture), num_classes=num_classes)
    load_weights(network, Path(teacher.weights))
    return Teacher(network=network.eval().to(memory_format=torch.channels_last), share=teacher.share)


def _loaders(job: TrainingJob, data: ImageData, side: int, part: Part) -> tuple[DataLoader, DataLoader]:
    val_batch = 2 * job.protocol.batch_size // job.trainer.devices  # no gradients, so more fit
    return loaders_of(job, data, part, image_size=side, val_batch=val_batch)


@lru_cache(maxsize=2)
def _open_data_once(settings, split_file: str | None) -> ImageData:
    return open_data(settings, split_file=split_file)
