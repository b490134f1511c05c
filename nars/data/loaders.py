"""Batches of images whose order and augmentation depend on (seed, epoch, index) and on nothing else.

The sampler hands every image a seed of its own together with its index. So neither the number of loader workers nor
an interruption changes what an epoch draws: a training resumed at epoch e goes on as if it had never stopped.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler

from nars.errors import UserError


class Draw(NamedTuple):
    """One image of one epoch: its index in the data set, and the seed of its augmentation."""

    index: int
    seed: int


class EpochSampler(Sampler[Draw]):
    """The first `used` of all indices in an order that depends on (seed, epoch), of which process `rank` of `world`
    takes every `world`-th; Lightning calls `set_epoch` before each epoch.

    So a batch of one process and the parts of it that several processes get are the same images.
    """

    def __init__(self, size: int, *, seed: int, used: int | None = None, rank: int = 0, world: int = 1):
        self.size = size
        self.seed = seed
        self.mine = slice(rank, used, world)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.size)[self.mine])

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        seeds = rng.integers(2**63, size=self.size)
        for index in rng.permutation(self.size)[self.mine].tolist():
            yield Draw(index, int(seeds[index]))


class OrderedSampler(SequentialSampler):
    """All indices in order, every epoch alike; process `rank` of `world` takes every `world`-th. A SequentialSampler,
    so that Lightning sees that nothing is shuffled."""

    def __init__(self, data_source: Dataset, *, rank: int = 0, world: int = 1):
        super().__init__(data_source)
        self.indices = range(rank, len(data_source), world)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Draw]:
        return (Draw(index, 0) for index in self.indices)


class BatchDataset(Dataset, ABC):
    """A data set that makes whole batches."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, draws: Sequence[Draw]) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (b, 3, s, s), uint8 or float32, as `ImageData.normalise` takes them, and labels int64 (b,)."""

    def __getitems__(self, draws: Sequence[Draw]) -> tuple[torch.Tensor, torch.Tensor] | UserError:
        """What torch's DataLoader asks for; a UserError is handed over as a value, see `Loader`."""
        try:
            return self.batch(draws)
        except UserError as error:
            return error


class Loader(DataLoader):
    """A DataLoader of a BatchDataset. A UserError in a worker arrives as raised there, in one line: torch would wrap
    its message in the worker's traceback."""

    def __init__(
        self, dataset: BatchDataset, *, sampler: Sampler, batch_size: int, workers: int, drop_last: bool, pinned: bool
    ):
        super().__init__(
            dataset,
            sampler=sampler,
            batch_size=batch_size,
            drop_last=drop_last,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=pinned,
            collate_fn=_as_it_is,
            generator=torch.Generator().manual_seed(0),  # else every epoch would advance torch's global generator
        )

    def __iter__(self):
        batches = super().__iter__()
        for batch in batches:
            if isinstance(batch, UserError):
                if self.num_workers > 0:
                    # Left to the garbage collector, in a cycle with the traceback, each worker takes 5 s to end.
                    batches._shutdown_workers()
                    self._iterator = None
                raise batch
            yield batch


def _as_it_is(batch):
    return batch


class Normalise(nn.Module):
    """Pixels (b, 3, h, w) as loaders give them, to the network's float32 inputs: (pixels - mean) / std per channel.

    Done on the training's device, so that a quarter of the bytes goes from the loader's workers to it.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None], persistent=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels - self.mean).div_(self.std)


class SplitImages(ABC):
    """Images of classes, split into train and validation, in batches that several processes may share.

    `fingerprint` changes whenever the images, their classes or their split do, and not with the place they lie at.
    """

    class_names: tuple[str, ...]
    fingerprint: str
    train_size: int
    val_size: int

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @abstractmethod
    def train_set(self, *, image_size: int, augmentation: str) -> BatchDataset:
        """The training images, augmented; UserError for an augmentation that these images do not offer."""

    @abstractmethod
    def val_set(self, *, image_size: int) -> BatchDataset:
        """The validation images, never augmented."""

    def train_loader(
        self,
        *,
        image_size: int,
        batch_size: int,
        augmentation: str,
        seed: int,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        pinned: bool = False,
    ) -> DataLoader:
        """Shuffled batches; the last, partial one is dropped unless it is the only one.

        `augmentation` is none, standard, autoaugment or randaugment. `loader.sampler.set_epoch(e)` chooses the epoch.
        Process `rank` of `world` gets its share of every batch; `batch_size` is that of all together, a multiple of
        `world`. `pinned` batches lie in memory from which a GPU copies them while it computes.
        """
        assert batch_size % world == 0
        dataset = self.train_set(image_size=image_size, augmentation=augmentation)
        drop_last = len(dataset) >= batch_size
        left_over = len(dataset) % batch_size if drop_last and world > 1 else 0  # else some would have a batch more
        sampler = EpochSampler(len(dataset), seed=seed, used=len(dataset) - left_over, rank=rank, world=world)
        return Loader(
            dataset,
            sampler=sampler,
            batch_size=batch_size // world,
            workers=workers,
            drop_last=drop_last,
            pinned=pinned,
        )

    def val_loader(
        self,
        *,
        image_size: int,
        batch_size: int,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        pinned: bool = False,
    ) -> DataLoader:
        """All validation images in order, or the share of process `rank` of `world`: none twice, none missing."""
        dataset = self.val_set(image_size=image_size)
        sampler = OrderedSampler(dataset, rank=rank, world=world)
        return Loader(dataset, sampler=sampler, batch_size=batch_size, workers=workers, drop_last=False, pinned=pinned)


class ImageData(SplitImages):
    """Labelled images.

    `mean` and `std` are those of the pixels that loaders give, per channel, `white` is the greatest that these can be.
    `passed_over` says in one line what lies among the images and is none; empty if there is nothing.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    white: float = 255.0
    passed_over: str = ""

    @property
    def statistics(self) -> dict[str, list[float]]:
        """`mean` and `std` as fractions of white, as cards and timm have them."""
        return {"mean": [value / self.white for value in self.mean], "std": [value / self.white for value in self.std]}

    def normalise(self, statistics: Mapping[str, Sequence[float]] | None = None) -> Normalise:
        """What makes a network's inputs of the loaders' images; `statistics` are those of the images that it was
        trained on, None: these."""
        if statistics is None:
            return Normalise(self.mean, self.std)
        return Normalise(*([self.white * value for value in statistics[name]] for name in ("mean", "std")))


def check_augmentation(augmentation: str, offered: Sequence[str], *, name: str) -> None:
    """UserError if `augmentation` is not among those offered by data `name`."""
    if augmentation not in offered:
        raise UserError(
            f"data={name} offers no augmentation {augmentation}; allowed: {', '.join(offered)} "
            f"(protocol.augmentation={offered[-1]})"
        )
