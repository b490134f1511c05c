"""Photos, from files or prepared: of any size, augmented, with ImageNet's statistics."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from nars.data.augmentation import AUGMENTATIONS, unchanged
from nars.data.loaders import BatchDataset, Draw, ImageData, check_augmentation

Augment = Callable[[torch.Tensor, int], torch.Tensor]  # (pixels, seed) -> pixels of the training's size


class ImageSet(BatchDataset):
    """Images of any size, each brought to one size by `augment` and its seed alone."""

    def __init__(self, labels: Sequence[int], augment: Augment):
        self.labels = torch.tensor(labels, dtype=torch.int64)
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def pixels(self, index: int) -> torch.Tensor:
        """The whole image, uint8 (3, h, w); UserError if it cannot be read."""

    def batch(self, draws: Sequence[Draw]) -> tuple[torch.Tensor, torch.Tensor]:
        images = [self.augment(self.pixels(draw.index), draw.seed) for draw in draws]
        # Channels last in memory: as they were decoded, and as the network takes them.
        batch = torch.stack([image.permute(1, 2, 0) for image in images]).permute(0, 3, 1, 2)
        return batch, self.labels[[draw.index for draw in draws]]


class Photos(ImageData):
    """Train and validation images of any size; `name` is the data's in messages."""

    name: str
    mean = tuple(255 * value for value in IMAGENET_DEFAULT_MEAN)
    std = tuple(255 * value for value in IMAGENET_DEFAULT_STD)

    @abstractmethod
    def image_set(self, part: str, augment: Augment) -> ImageSet:
        """The images of `part`, train or val."""

    def train_set(self, *, image_size: int, augmentation: str) -> ImageSet:
        check_augmentation(augmentation, tuple(AUGMENTATIONS), name=self.name)
        return self.image_set("train", partial(AUGMENTATIONS[augmentation], image_size=image_size))

    def val_set(self, *, image_size: int) -> ImageSet:
        return self.image_set("val", partial(unchanged, image_size=image_size))
