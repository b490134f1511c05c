"""scikit-learn's digits scattered on canvases: a real detection task, embedded, that trains in minutes."""

import numpy as np
import torch
from torch.nn import functional

from nars.data.detection.contract import DetectionData, DetectionSet, Objects
from nars.data.digits import Digits
from nars.errors import UserError
from nars.files import content_key
from nars.settings import DigitsSettings, ScatteredDigitsSettings

SIDES = (14, 56)  # of a digit in pixels, on a canvas of any side
OVERLAP = 0.1  # of the smaller of two digits, at most
TRIES = 20  # of a digit to find a place, then it is left out
NOISE = 24  # standard deviation of the background in grey levels


class ScatteredSet(DetectionSet):
    """Canvases made of digits (n, 8, 8) in [0, 1] with their labels (n,); canvas i of a `part` is always the same."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, settings: ScatteredDigitsSettings, *, part: int, image_size: int
    ):
        super().__init__(image_size=image_size)
        self.images, self.labels, self.settings, self.part = images, labels, settings, part

    def __len__(self) -> int:
        return self.settings.val_images if self.part else self.settings.train_images

    def image(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.canvas(index)[0])[None].repeat(3, 1, 1)

    def objects(self, index: int) -> Objects:
        return self.canvas(index)[1]

    def canvas(self, index: int) -> tuple[np.ndarray, Objects]:
        """uint8 (side, side), and the box of each digit's ink."""
        side = self.settings.side
        rng = np.random.default_rng([self.settings.seed, self.part, index])
        canvas = np.abs(rng.normal(0, NOISE, (side, side)))
        boxes, labels = [], []
        for _ in range(rng.integers(1, self.settings.digits + 1)):
            number, size = int(rng.integers(len(self.images))), int(rng.integers(SIDES[0], SIDES[1] + 1))
            ink = _enlarged(self.images[number], size) * rng.uniform(120, 255)
            place = _place(rng, _extent(ink), side, boxes)
            if place is not None:
                left, top, box = place
                region = canvas[top : top + size, left : left + size]
                np.maximum(region, ink, out=region)
                boxes.append(box)
                labels.append(int(self.labels[number]))
        return canvas.clip(0, 255).astype(np.uint8), Objects.of(boxes, labels)


def _enlarged(digit: np.ndarray, size: int) -> np.ndarray:
    tensor = torch.from_numpy(digit)[None, None]
    return functional.interpolate(tensor, size=(size, size), mode="bilinear")[0, 0].numpy()


def _extent(ink: np.ndarray) -> tuple[int, int, int, int, int]:
    """Left, top, right and bottom of what is seen of a digit, and the side of its square."""
    seen = ink > ink.max() / 4
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1, len(ink)


def _place(rng: np.random.Generator, extent: tuple, side: int, boxes: list) -> tuple[int, int, list[int]] | None:
    """Where the square of a digit goes, with its box, so that it covers hardly anything of the others."""
    *inside, size = extent
    for _ in range(TRIES):
        left, top = (int(rng.integers(side - size + 1)) for _ in range(2))
        box = [inside[0] + left, inside[1] + top, inside[2] + left, inside[3] + top]
        if all(_covered(box, other) <= OVERLAP for other in boxes):
            return left, top, box
    return None


def _covered(one: list[int], other: list[int]) -> float:
    """The common area of two boxes, as a fraction of the smaller one's."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return max(width, 0) * max(height, 0) / min(areas)


class ScatteredDigits(DetectionData):
    """Canvases of digits that train, and of others that validate."""

    class_names = tuple(map(str, range(10)))

    def __init__(self, settings: ScatteredDigitsSettings):
        digits = Digits(DigitsSettings(name="digits", seed=settings.seed))
        self._settings = settings
        sets = digits.train_set(image_size=8, augmentation="none"), digits.val_set(image_size=8)
        self._parts = [(some.images.numpy(), some.labels.numpy()) for some in sets]
        self.train_size, self.val_size = settings.train_images, settings.val_images
        drawn = {"sides": SIDES, "overlap": OVERLAP, "noise": NOISE, **settings.model_dump(mode="json")}
        self.fingerprint = content_key({"digits": digits.fingerprint, **drawn})

    def train_set(self, *, image_size: int, augmentation: str) -> ScatteredSet:
        if augmentation != "none":
            raise UserError(
                f"detection_data=scattered_digits: a mirrored or cut digit may be another; give "
                f"detection_protocol.augmentation=none, not {augmentation}"
            )
        return self._set(0, image_size)

    def val_set(self, *, image_size: int) -> ScatteredSet:
        return self._set(1, image_size)

    def _set(self, part: int, image_size: int) -> ScatteredSet:
        return ScatteredSet(*self._parts[part], self._settings, part=part, image_size=image_size)
