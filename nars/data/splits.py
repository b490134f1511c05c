"""Which images validate: chosen by hashes of (seed, name).

A hash rather than a random generator: the choice depends neither on the order of a directory nor on the version of a
library, and adding or removing one image moves at most a few others.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence

import numpy as np


def shuffled(names: Iterable[str], *, seed: int) -> list[str]:
    """The names in an order that looks random and depends on the seed and on each name alone."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode(errors="surrogateescape")).digest())


def few(names: Iterable[str], shots: int | None, *, seed: int) -> list[str]:
    """`shots` of the names, sorted, or all where they are no more or it is None; fewer are a part of more."""
    return sorted(shuffled(names, seed=seed)[:shots])


def val_total(num_images: int, num_classes: int, fraction: float) -> int:
    """How many images validate: the fraction, rounded up, within what `val_counts` can give."""
    wanted = math.ceil(fraction * num_images - 1e-9)  # 0.07 * 100 is 7.000000000000001
    return min(max(wanted, num_classes), num_images - num_classes)


def val_counts(sizes: Sequence[int], total: int) -> np.ndarray:
    """How many of the `total` images each class gives, by its size: at least one, and never all.

    One of each class first; the others in proportion to what a class can still give, largest remainders first.
    Every size must be at least 2, and `total` between the number of classes and the number of images less that.
    """
    spare = np.asarray(sizes, dtype=np.int64) - 2
    extra = total - len(spare)
    assert spare.min() >= 0, "a class with fewer than 2 images cannot be split"
    assert 0 <= extra <= spare.sum(), "total out of range"
    counts, remainders = np.divmod(spare * extra, max(spare.sum(), 1))
    largest = np.argsort(-remainders, kind="stable")[: extra - counts.sum()]
    counts[largest] += 1
    return counts + 1


def hold_out(names_by_class: Sequence[Sequence[str]], total: int, *, seed: int) -> list[list[str]]:
    """For each class, the sorted names that validate; conditions as for `val_counts`."""
    counts = val_counts([len(names) for names in names_by_class], total)
    return [sorted(shuffled(names, seed=seed)[:count]) for names, count in zip(names_by_class, counts, strict=True)]
