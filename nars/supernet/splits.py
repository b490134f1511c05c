"""The training images in two parts: one trains a supernet's weights, the other theta."""

from collections.abc import Iterator

import numpy as np

from nars.data.loaders import BatchDataset, Draw, EpochSampler, ImageData, Loader


class PartSampler(EpochSampler):
    """Some `indices` in an order that depends on (seed, epoch)."""

    def __init__(self, indices: np.ndarray, *, seed: int):
        super().__init__(len(indices), seed=seed)
        self.indices = indices

    def __iter__(self) -> Iterator[Draw]:
        for draw in super().__iter__():
            yield Draw(int(self.indices[draw.index]), draw.seed)


def split(data: ImageData, share: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training images that train weights, a `share` of them, and of those that train theta: at least one
    each, drawn by seed."""
    order = np.random.default_rng(seed).permutation(data.train_size)
    first = min(max(1, round(share * data.train_size)), data.train_size - 1)
    return np.sort(order[:first]), np.sort(order[first:])


def part_loader(
    dataset: BatchDataset, indices: np.ndarray, *, batch_size: int, seed: int, workers: int, pinned: bool
) -> Loader:
    """Shuffled batches of some images of the data set; the last, partial one is dropped unless it is the only one."""
    return Loader(
        dataset,
        sampler=PartSampler(indices, seed=seed),
        batch_size=batch_size,
        workers=workers,
        drop_last=len(indices) >= batch_size,
        pinned=pinned,
    )
