"""From an image of any size to one of the training's size: uint8 (3, h, w) to uint8 (3, s, s).

Training parts are resized as tensors with their channels last, in a quarter of the time that Pillow takes. All that is
random in an image follows from its seed.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn import functional
from torchvision.transforms import InterpolationMode, v2

from nars.data.operations import apply
from nars.data.policies import Operation, autoaugment, randaugment

CROP_FRACTION = 0.875  # of the resized short side, as timm evaluates
CROP_TRIES = 10
LARGE = 2**24  # pixels of an image that is resized as a whole


def centre(pixels: torch.Tensor, *, image_size: int) -> torch.Tensor:
    """Short side to image_size / 0.875, then the centre: timm's evaluation, to the bit.

    By Pillow as there: a tensor's bicubic is up to two grey levels off.
    """
    short_side = int(image_size / CROP_FRACTION)
    image = v2.functional.to_pil_image(_without_ends(pixels, short_side))
    resized = v2.functional.resize(image, [short_side], InterpolationMode.BICUBIC)
    return v2.functional.pil_to_tensor(v2.functional.center_crop(resized, [image_size]))


def _without_ends(pixels: torch.Tensor, short_side: int) -> torch.Tensor:
    """The middle of an image so long that resizing would take gigabytes; others as they are."""
    shape = pixels.shape[1:]
    most = max(1, LARGE // short_side**2) * min(shape)
    top, left = (max(0, side - most) // 2 for side in shape)
    return pixels[:, top : top + most, left : left + most]


def unchanged(pixels: torch.Tensor, seed: int, *, image_size: int) -> torch.Tensor:
    """The validation image, whatever the seed."""
    return centre(pixels, image_size=image_size)


def standard(pixels: torch.Tensor, seed: int, *, image_size: int) -> torch.Tensor:
    """A random part of 8 to 100 % of the area, mirrored or not."""
    rng = np.random.default_rng(seed)
    top, left, height, width = random_part(*pixels.shape[1:], rng=rng)
    part = pixels[None, :, top : top + height, left : left + width].contiguous(memory_format=torch.channels_last)
    image = functional.interpolate(part, size=(image_size, image_size), mode="bicubic", antialias=True)[0]
    return image.flip(-1) if rng.random() < 0.5 else image


def random_part(height: int, width: int, *, rng: np.random.Generator, least: float = 0.08) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a part of `least` to all of the area, of an aspect ratio from 3/4 to 4/3.

    What torchvision's RandomResizedCrop draws, all tries at once: a fifth of its time, which is a tenth of an image's.
    """
    area = height * width * rng.uniform(least, 1, CROP_TRIES)
    ratio = np.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3), CROP_TRIES))
    widths, heights = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    if fits.any():
        first = fits.argmax()
        w, h = int(widths[first]), int(heights[first])
        return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    w, h = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return (height - h) // 2, (width - w) // 2, h, w


def with_policy(
    draw: Callable[[int, int], Sequence[Operation]], pixels: torch.Tensor, seed: int, *, image_size: int
) -> torch.Tensor:
    """Standard, then the operations that a policy draws."""
    image = standard(pixels, seed, image_size=image_size).permute(1, 2, 0).contiguous()
    return torch.from_numpy(apply(image.numpy(), draw(seed, image_size))).permute(2, 0, 1)


AUGMENTATIONS = {
    "none": unchanged,
    "standard": standard,
    "autoaugment": partial(with_policy, autoaugment),
    "randaugment": partial(with_policy, randaugment),
}
