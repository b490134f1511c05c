"""Policies of augmentation: which operations an image gets, and how strong, drawn by its seed.

Policies, magnitudes and the order of the draws are torchvision's: what is drawn here by a seed is what its transform
would do after `torch.manual_seed(seed)`.
"""

from functools import cache

import torch
from torchvision.transforms import v2

Operation = tuple[str, float]  # name and magnitude

_AUTO, _RAND = v2.AutoAugment(), v2.RandAugment()


@cache
def _magnitude(policy: v2.AutoAugment | v2.RandAugment, name: str, step: int, steps: int, image_size: int) -> float:
    """Of an operation, before its sign; 0 where it has none."""
    magnitudes = policy._AUGMENTATION_SPACE[name][0](steps, image_size, image_size)
    return 0.0 if magnitudes is None else float(magnitudes[step])


def _signed(policy: v2.AutoAugment | v2.RandAugment, name: str, magnitude: float, rng: torch.Generator) -> float:
    signed = policy._AUGMENTATION_SPACE[name][1]
    return -magnitude if signed and torch.rand((), generator=rng).item() <= 0.5 else magnitude


def autoaugment(seed: int, image_size: int) -> list[Operation]:
    """One of the 25 pairs of operations found on ImageNet (AutoAugment), each applied with its probability."""
    rng = torch.Generator().manual_seed(seed)
    pairs, operations = _AUTO._policies, []
    for name, probability, step in pairs[torch.randint(len(pairs), (), generator=rng).item()]:
        if torch.rand((), generator=rng).item() <= probability:
            magnitude = _magnitude(_AUTO, name, step, 10, image_size)
            operations.append((name, _signed(_AUTO, name, magnitude, rng)))
    return operations


def randaugment(seed: int, image_size: int) -> list[Operation]:
    """Two of 14 operations, at step 9 of 31 (RandAugment)."""
    rng = torch.Generator().manual_seed(seed)
    names, operations = list(_RAND._AUGMENTATION_SPACE), []
    for _ in range(_RAND.num_ops):
        name = names[torch.randint(len(names), (), generator=rng).item()]
        magnitude = _magnitude(_RAND, name, _RAND.magnitude, _RAND.num_magnitude_bins, image_size)
        operations.append((name, _signed(_RAND, name, magnitude, rng)))
    return operations
