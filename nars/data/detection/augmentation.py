"""Images and boxes together: cut, mirrored, resized by torchvision. All that is random follows from an image's seed."""

from collections.abc import Callable

import numpy as np
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from nars.data.augmentation import random_part

LEAST = 0.3  # of an image's area that a part of it has (ours)

Labelled = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # image uint8 (3, h, w), boxes (n, 4), labels (n,)


def unchanged(image: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator) -> Labelled:
    """All as it is."""
    return image, boxes, labels


def mirrored(image: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator) -> Labelled:
    """Half of them mirrored."""
    if rng.random() < 0.5:
        return image, boxes, labels
    return functional.horizontal_flip(image), functional.horizontal_flip(_boxes(boxes, image)), labels


def part_mirrored(image: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator) -> Labelled:
    """A random part, mirrored or not; the whole where no object has its centre in the part. Objects with their centre
    outside of it count as not there."""
    top, left, height, width = random_part(*image.shape[1:], rng=rng, least=LEAST)
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    inside = (x > left) & (x < left + width) & (y > top) & (y < top + height)
    if inside.any():
        boxes = functional.crop(_boxes(boxes[inside], image), top, left, height, width)
        image, labels = functional.crop(image, top, left, height, width), labels[inside]
    return mirrored(image, boxes, labels, rng)


AUGMENTATIONS: dict[str, Callable[..., Labelled]] = {"none": unchanged, "flip": mirrored, "standard": part_mirrored}


def augmented(image: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor, *, how: str, seed: int) -> Labelled:
    """The image uint8 (3, h, w) with boxes (n, 4) and labels (n,) of its objects, changed as `how` says."""
    image, boxes, labels = AUGMENTATIONS[how](image, boxes, labels, np.random.default_rng(seed))
    return image, boxes.as_subclass(torch.Tensor), labels


def resized(image: torch.Tensor, boxes: torch.Tensor, *, image_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The image uint8 (3, h, w), its longer side `image_size`, and its boxes (n, 4)."""
    size = list(resized_size(*image.shape[1:], image_size=image_size))
    if size == list(image.shape[1:]):
        return image, boxes
    placed = functional.resize(_boxes(boxes, image), size)
    return functional.resize(image, size, antialias=True), placed.as_subclass(torch.Tensor)


def resized_size(height: int, width: int, *, image_size: int) -> tuple[int, int]:
    """(height, width) of an image whose longer side becomes `image_size`; no side vanishes."""
    scale = image_size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _boxes(boxes: torch.Tensor, image: torch.Tensor) -> tv_tensors.BoundingBoxes:
    return tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=tuple(image.shape[1:]))
