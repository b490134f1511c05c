"""What a detector's exported file is worth: measured on the file itself, beside PyTorch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nars.data.detection import DetectionData
from nars.exporting.detectors import open_detector
from nars.exporting.measuring import COMPARED, size_of, times_of
from nars.networks.detection.detectors import Detections, Detector
from nars.settings import TrainerSettings
from nars.training.weights.detection_card import measure_detector


@dataclass(frozen=True, kw_only=True)
class MeasuredDetector:
    """`mb` megabytes (1e6 bytes), `max_box_difference` and `max_score_difference` the largest from PyTorch's, of boxes
    in pixels of images whose longer side has `image_size`; `map` on `images` validation images; `latency_ms` and
    `latency_p90_ms` the median and the 90th percentile of the calls, from one image to detections on one thread."""

    mb: float
    max_box_difference: float
    max_score_difference: float
    map: float
    images: int
    image_size: int
    latency_ms: float
    latency_p90_ms: float


def measure_detectors(
    reference: Detector, weights: Path, files: Sequence[Path], data: DetectionData, *, image_size: int, runs: int
) -> list[MeasuredDetector]:
    """`MeasuredDetector` of the detector in PyTorch, `reference`, whose file is `weights`, and then of each file.

    A latency is the time that the calling thread had a core, and the detectors take turns, as for classifiers.
    """
    opened = [open_detector(file) for file in files]
    images = next(iter(data.val_loader(image_size=image_size, batch_size=COMPARED)))[0]
    times = times_of([_call(detector, images[:1]) for detector in (reference, *opened)], runs)
    off = [(0.0, 0.0), *(_differences_of(detector, reference, images) for detector in opened)]
    measured = []
    for i, (file, detector) in enumerate(zip([weights, *files], [reference, *opened], strict=True)):
        how = {"image_size": image_size, "batch_size": 1, "trainer": TrainerSettings(accelerator="cpu")}
        precision, _ = measure_detector(detector, data, **how)
        measured.append(
            MeasuredDetector(
                mb=size_of(file) / 1e6,
                max_box_difference=off[i][0],
                max_score_difference=off[i][1],
                map=precision.ap or 0.0,
                images=data.val_size,
                image_size=image_size,
                latency_ms=float(np.median(times[i])),
                latency_p90_ms=float(np.quantile(times[i], 0.9)),
            )
        )
    return measured


def _call(detector: nn.Module, images: Sequence[torch.Tensor]) -> Callable[[], None]:
    return lambda: detector(images)


@torch.inference_mode()
def _differences_of(file: nn.Module, reference: Detector, images: Sequence[torch.Tensor]) -> tuple[float, float]:
    """The largest, of boxes and of scores, over images as the file sees them, one at a time: a detector pads those of a
    batch to one size."""
    pairs = [differences(*file([image]), *reference([image])) for image in file.as_seen(images)]
    return tuple(max(values) for values in zip(*pairs, strict=True))


def differences(found: Detections, wanted: Detections) -> tuple[float, float]:
    """The largest difference of the sides of boxes, and of scores, between what lies nearest of the same class, so that
    detections of one score may change places; infinite where only one has any of a class."""
    largest = [(0.0, 0.0)]
    for label in {*found["labels"].tolist(), *wanted["labels"].tolist()}:
        (boxes, scores), (others, their_scores) = (
            (which["boxes"][which["labels"] == label], which["scores"][which["labels"] == label])
            for which in (found, wanted)
        )
        if not (len(boxes) and len(others)):
            return float("inf"), float("inf")
        apart = (boxes[:, None] - others[None]).abs().amax(dim=2)
        scores_apart = (scores[:, None] - their_scores[None]).abs()
        for dim in (0, 1):  # from either side: none is missing
            nearest = (apart + scores_apart).argmin(dim=dim, keepdim=True)  # some boxes are one: those of no area
            largest.append(tuple(float(values.gather(dim, nearest).max()) for values in (apart, scores_apart)))
    return tuple(max(values) for values in zip(*largest, strict=True))


def rows(measured: Mapping[str, MeasuredDetector]) -> list[tuple[str, ...]]:
    """The head of a table, and a row for each name."""
    head = ("", "MB", "boxes off, px", "scores off", "mAP", "ms", "90 %")
    first = next(iter(measured))
    return [head] + [
        (
            name,
            f"{m.mb:.2f}",
            *("" if name == first else f"{value:.1e}" for value in (m.max_box_difference, m.max_score_difference)),
            f"{m.map:.4f}",
            f"{m.latency_ms:.2f}",
            f"{m.latency_p90_ms:.2f}",
        )
        for name, m in measured.items()
    ]
