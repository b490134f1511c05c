"""scikit-learn's 1,797 digit images of 8x8 pixels, in memory: a real task that trains in seconds."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from nars.data.loaders import BatchDataset, Draw, ImageData, check_augmentation
from nars.data.splits import few, hold_out, val_total
from nars.files import content_key
from nars.settings import DigitsSettings


class DigitsSet(BatchDataset):
    """Digits (n, 8, 8) in [0, 1], enlarged, shifted by up to `max_shift` pixels each way."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, *, image_size: int, max_shift: int):
        self.images = images
        self.labels = labels
        self.image_size = image_size
        self.max_shift = max_shift

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, draws: Sequence[Draw]) -> tuple[torch.Tensor, torch.Tensor]:
        index, seeds = torch.tensor(draws, dtype=torch.int64).T
        images = F.interpolate(self.images[index, None], size=(self.image_size,) * 2, mode="bilinear", antialias=True)
        if self.max_shift:
            images = shifted(images, seeds, max_shift=self.max_shift)
        return images.repeat(1, 3, 1, 1), self.labels[index]


def shifted(images: torch.Tensor, seeds: torch.Tensor, *, max_shift: int) -> torch.Tensor:
    """Each image (b, 1, s, s) moved by up to `max_shift` pixels in x and y as its seed (b,) says, zeros moving in."""
    size = images.shape[-1]
    padded = F.pad(images, (max_shift,) * 4)
    top, left = seeds % (2 * max_shift + 1), (seeds >> 32) % (2 * max_shift + 1)
    rows = (top[:, None] + torch.arange(size))[:, :, None]
    columns = (left[:, None] + torch.arange(size))[:, None, :]
    return padded[torch.arange(len(images))[:, None, None], 0, rows, columns][:, None]


class Digits(ImageData):
    """The digits, split by class and seed."""

    white = 1.0

    def __init__(self, settings: DigitsSettings):
        from sklearn.datasets import load_digits  # here, because it takes a second that other data need not wait for

        pixels, labels = load_digits(return_X_y=True)
        total = val_total(len(labels), 10, settings.val_fraction)
        names_by_class = [[str(i) for i in np.flatnonzero(labels == digit)] for digit in range(10)]
        val = np.zeros(len(labels), dtype=bool)
        val[[int(name) for names in hold_out(names_by_class, total, seed=settings.seed) for name in names]] = True
        self._images = torch.tensor(pixels.reshape(-1, 8, 8) / 16, dtype=torch.float32)
        self._labels = torch.tensor(labels, dtype=torch.int64)
        train = ~val
        if settings.shots is not None:
            by_class = [[name for name in names if train[int(name)]] for names in names_by_class]
            chosen = [int(name) for names in by_class for name in few(names, settings.shots, seed=settings.seed)]
            train = np.isin(np.arange(len(labels)), chosen)
        self._train, self._val = torch.tensor(train), torch.tensor(val)
        pixels = self._images[self._train]
        self.mean, self.std = (float(pixels.mean()),) * 3, (float(pixels.std()),) * 3
        self.class_names = tuple(str(digit) for digit in range(10))
        self.val_size = int(val.sum())
        self.train_size = int(train.sum())
        few_of_them = {} if settings.shots is None else {"train": np.flatnonzero(train).tolist()}
        self.fingerprint = content_key({"images": "digits", "val": np.flatnonzero(val).tolist()} | few_of_them)

    def _part(self, chosen: torch.Tensor, *, image_size: int, max_shift: int) -> DigitsSet:
        return DigitsSet(self._images[chosen], self._labels[chosen], image_size=image_size, max_shift=max_shift)

    def train_set(self, *, image_size: int, augmentation: str) -> DigitsSet:
        # No flips: they change what a digit is. `standard` shifts by up to one of the original 8 pixels.
        check_augmentation(augmentation, ("none", "standard"), name="digits")
        max_shift = {"none": 0, "standard": image_size // 8}[augmentation]
        return self._part(self._train, image_size=image_size, max_shift=max_shift)

    def val_set(self, *, image_size: int) -> DigitsSet:
        return self._part(self._val, image_size=image_size, max_shift=0)
