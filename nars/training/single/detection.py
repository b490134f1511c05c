"""The training of a detector, from a job to a record."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from timm.optim import param_groups_weight_decay
from torch import distributed

from nars.data.detection import DetectionData, Objects, open_detection_data
from nars.networks.architectures import architecture_of
from nars.networks.detection.detectors import Detector
from nars.records import Record
from nars.settings import DetectionProtocolSettings
from nars.training.detection_job import DetectionJob
from nars.training.single.base import BaseModule
from nars.training.single.fit import Built, check_freezing, fit, loaders_of, with_norms_of
from nars.training.single.optimization import by_factor
from nars.training.single.processes import Part
from nars.training.weights.average_precision import average_precision
from nars.training.weights.detections import in_whole_images
from nars.training.weights.detector_files import new_detector
from nars.training.weights.tuning import Tuning


class DetectorModule(BaseModule):
    """Trains a detector and records its mean average precision (mAP) on the validation images after every epoch, with
    AP50 and the validation loss beside it.

    `truth(index)` gives the objects of a validation image in its own pixels.
    """

    metric = "map"
    one_shape = False

    def __init__(
        self,
        detector: Detector,
        *,
        protocol: DetectionProtocolSettings,
        class_names: Sequence[str],
        truth: Callable[[int], Objects],
        tuning: Tuning | None = None,
        **steps: int,
    ):
        super().__init__(detector, protocol=protocol, average=protocol.ema, tuning=tuning, **steps)
        self.class_names = class_names
        self.truth = truth

    def build_optimizer(self) -> torch.optim.Optimizer:
        groups = param_groups_weight_decay(self.network, weight_decay=self.protocol.weight_decay)
        lr = self.protocol.lr * self.protocol.batch_size / self.protocol.lr_batch_size
        if self.tuning.lr_factors:
            groups = by_factor(groups, self.network, lr, self.tuning.lr_factors)
        if self.protocol.optimizer == "sgd":
            return torch.optim.SGD(groups, lr=lr, momentum=self.protocol.momentum)
        return torch.optim.AdamW(groups, lr=lr)

    def loss_of(self, batch) -> torch.Tensor:
        images, targets = batch
        return sum(self.network(images, targets).values())

    def begin_measuring(self) -> None:
        self._found = {}
        self._loss_and_images = torch.zeros(2, dtype=torch.float64)

    def measure(self, batch) -> None:
        images, targets = batch
        self._found |= in_whole_images(self.evaluated_network(images), targets)
        loss = sum(self.evaluated_network.losses(images, targets).values())
        self._loss_and_images += torch.tensor([float(loss) * len(images), len(images)], dtype=torch.float64)

    def measured(self) -> dict[str, float]:
        parts = self._of_all_processes((self._found, self._loss_and_images))
        found = {index: detections for part, _ in parts for index, detections in part.items()}
        loss, images = sum(losses for _, losses in parts).tolist()
        precision = average_precision({index: self.truth(index) for index in sorted(found)}, found, self.class_names)
        return {"map": precision.ap or 0.0, "ap50": precision.ap50 or 0.0, "val_loss": loss / images}

    def _of_all_processes(self, part: tuple) -> list[tuple]:
        if self.trainer.world_size == 1:
            return [part]
        parts = [None] * self.trainer.world_size
        distributed.all_gather_object(parts, part)
        return parts


def run_detection(
    job: DetectionJob,
    on_epoch: Callable[[int, float], None] | None = None,
    *,
    on_step: Callable[[int, int, int, float], None] | None = None,
    best_weights: Path | None = None,
    loggers: Sequence[Logger] = (),
) -> tuple[Record, DetectorModule]:
    """Train the job's detector, as `fit` says; returns its record and the trained module."""
    return fit(job, _build, on_epoch, on_step=on_step, best_weights=best_weights, loggers=loggers)


def _build(job: DetectionJob, part: Part) -> Built:
    data = _open_once(job.data)
    protocol, val_batch = job.protocol, max(1, job.protocol.batch_size // job.trainer.devices)
    train, val = loaders_of(job, data, part, image_size=protocol.image_size, val_batch=val_batch)
    torch.manual_seed(job.seed)
    check_freezing(job)
    architecture = architecture_of(job.architecture)
    detector, tuning = new_detector(architecture, job.detector, class_names=data.class_names, start=job.start)
    steps = job.protocol.steps_per_epoch
    module = DetectorModule(
        with_norms_of(job.trainer, detector).to(memory_format=torch.channels_last),
        protocol=job.protocol,
        class_names=data.class_names,
        truth=val.dataset.objects,
        steps_per_epoch=min(len(train), steps or len(train)),
        seed=job.seed,
        tuning=tuning,
    )
    return Built(module=module, train=train, val=val)


@lru_cache(maxsize=2)
def _open_once(settings) -> DetectionData:
    return open_detection_data(settings)
