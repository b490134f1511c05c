"""The card of a trained detector: a YAML file beside its weights with all one must know to use them."""

import os
from collections.abc import Mapping
from pathlib import Path

from nars.data.detection import DetectionData
from nars.networks.detection.detectors import Detections, Detector
from nars.records import Record
from nars.settings import TrainerSettings
from nars.training.detection_job import DetectionJob
from nars.training.weights.average_precision import AveragePrecision, average_precision
from nars.training.weights.card import WEIGHTS
from nars.training.weights.detections import detect


def measure_detector(
    detector: Detector, data: DetectionData, *, image_size: int, batch_size: int, trainer: TrainerSettings
) -> tuple[AveragePrecision, dict[int, Detections]]:
    """How good the detector is on the validation images, and what it finds in them, by their number."""
    loader = data.val_loader(image_size=image_size, batch_size=batch_size, workers=trainer.loader_workers)
    found = {}
    for part in detect(detector, loader, trainer):
        found |= part
    truth = {index: loader.dataset.objects(index) for index in found}
    return average_precision(truth, found, data.class_names), found


def make_detection_card(
    job: DetectionJob,
    record: Record,
    data: DetectionData,
    detector: Detector,
    *,
    precision: AveragePrecision,
    val_loss: float,
) -> dict:
    """The card of a finished training whose best weights, in `detector`, have this precision and validation loss."""
    return {
        "architecture": job.architecture,
        "detector": job.detector.model_dump(mode="json"),
        **measured_values(precision),
        "val_loss": val_loss,
        "images": data.val_size,
        "epoch": record.accuracies.index(max(record.accuracies)) + 1,
        "epochs": len(record.accuracies),
        "seconds": record.seconds,
        "costs": job.costs,
        "image_size": job.protocol.image_size,
        "mean": list(detector.model.transform.image_mean),
        "std": list(detector.model.transform.image_std),
        "classes": list(data.class_names),
        "category_ids": list(data.category_ids),
        "training": job.training,
        "seed": job.seed,
        "versions": record.versions,
        "weights": WEIGHTS,
        "load": f"import nars; detector = nars.load_detector({os.path.abspath(Path(job.folder) / WEIGHTS)!r})",
    }


def measured_values(precision: AveragePrecision) -> dict[str, float | Mapping | None]:
    """Average precisions by the names that cards give them."""
    return {
        "map": precision.ap,
        "ap50": precision.ap50,
        "ap75": precision.ap75,
        "ap_small": precision.small,
        "ap_medium": precision.medium,
        "ap_large": precision.large,
        "ap_per_class": precision.per_class,
    }
