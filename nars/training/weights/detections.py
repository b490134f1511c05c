"""What a detector finds in images, in the pixels of the whole images."""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader

from nars.networks.detection.detectors import Detections, Detector
from nars.settings import TrainerSettings
from nars.training.devices import autocast, device_of


def in_whole_images(found: Sequence[Detections], targets: Sequence[dict]) -> dict[int, Detections]:
    """Detections by the number of their image, in its own pixels, on the CPU."""
    return {
        int(target["index"]): {
            "boxes": (detections["boxes"].float() * target["scale"].repeat(2)).cpu(),
            "scores": detections["scores"].float().cpu(),
            "labels": detections["labels"].cpu(),
        }
        for detections, target in zip(found, targets, strict=True)
    }


@torch.inference_mode()
def detect(detector: Detector, loader: DataLoader, trainer: TrainerSettings) -> Iterator[dict[int, Detections]]:
    """Detections of each batch of the loader, by the number of the image, on one device as `trainer` says."""
    device = device_of(trainer.accelerator)
    detector = detector.eval().to(device)
    for images, targets in loader:
        with autocast(trainer.precision, device):
            found = detector([image.to(device, non_blocking=True) for image in images])
        yield in_whole_images(found, [{name: target[name].to(device) for name in target} for target in targets])
