"""What the operations of augmentation policies make of pixels uint8 (h, w, 3): what torchvision makes of an image of
Pillow, in less time.

An operation that changes each value by itself is a table of 256 values; tables that follow each other are looked up as
one. Rotations and shears take pixels from places that are computed once, bilinear as Pillow does; they are one grey
level off it in about one of a hundred values of a photo. All else is Pillow's to the last bit.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageEnhance
from timm.data import IMAGENET_DEFAULT_MEAN
from torch.nn import functional

FILL = tuple(round(255 * mean) for mean in IMAGENET_DEFAULT_MEAN)  # what is moved out leaves the mean colour

_LEVELS = np.arange(256, dtype=np.uint8)
_GREY = np.array([19595, 38470, 7471], np.float32)  # Pillow's weights of red, green and blue, of 2**16
_ROUNDING = 1e-3  # grey levels; sums of weights in float32 are a little below 1, and values are truncated as Pillow's


class Canvas:
    """Pixels uint8 (h, w, 3), and a table uint8 (256,) or (3, 256) that is still to be looked up."""

    def __init__(self, pixels: np.ndarray):
        self._pixels, self._table = pixels, None

    @property
    def pixels(self) -> np.ndarray:
        """As all operations so far leave them; not to be written to."""
        if self._table is not None:
            self._pixels, self._table = _looked_up(self._pixels, self._table), None
        return self._pixels

    @pixels.setter
    def pixels(self, pixels: np.ndarray) -> None:
        self._pixels, self._table = pixels, None

    def histogram(self) -> np.ndarray:
        """How many pixels have each value: int64 (3, 256)."""
        counts = np.array(Image.fromarray(self._pixels).histogram()).reshape(3, 256)
        if self._table is None:
            return counts
        tables = np.broadcast_to(self._table, (3, 256))
        mapped = [np.bincount(table, weights=count, minlength=256) for table, count in zip(tables, counts, strict=True)]
        return np.array(mapped).astype(np.int64)

    def look_up(self, table: np.ndarray) -> None:
        """Let each value become the table's: uint8 (256,), or (3, 256) for each channel."""
        if self._table is None:
            self._table = table
        elif table.ndim == 1:
            self._table = table[self._table]
        else:
            self._table = np.take_along_axis(table, np.broadcast_to(self._table, table.shape).astype(np.intp), axis=1)


def _looked_up(pixels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """By `translate` of Python's bytes, in a fraction of the time of NumPy's indices."""
    if table.ndim == 1:
        return np.frombuffer(bytearray(pixels).translate(table), np.uint8).reshape(pixels.shape)
    found = np.empty_like(pixels)
    for channel in range(3):
        values = pixels[..., channel].tobytes().translate(table[channel].tobytes())
        found[..., channel] = np.frombuffer(values, np.uint8).reshape(pixels.shape[:2])
    return found


def apply(pixels: np.ndarray, operations: Sequence[tuple[str, float]]) -> np.ndarray:
    """The pixels uint8 (h, w, 3) after operations by name and magnitude."""
    canvas = Canvas(pixels)
    for name, magnitude in operations:
        OPERATIONS[name](canvas, magnitude)
    return canvas.pixels


# --- each value by itself -------------------------------------------------------------------------------------


def _blend(first: np.ndarray | int, second: np.ndarray, share: float) -> np.ndarray:
    """Pillow's mixture of two images of whole numbers, extrapolated above a share of 1."""
    mixed = np.subtract(second, first, dtype=np.float32)
    mixed *= np.float32(share)
    mixed += first
    return np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)


def _brightness(canvas: Canvas, magnitude: float) -> None:
    canvas.look_up(_blend(0, _LEVELS, 1 + magnitude))


def _contrast(canvas: Canvas, magnitude: float) -> None:
    # Pillow's grey, in whole numbers that float32 holds exactly.
    grey = np.floor((canvas.pixels.astype(np.float32) @ _GREY + np.float32(2**15)) * np.float32(2**-16))
    canvas.look_up(_blend(int(grey.mean(dtype=np.float64) + 0.5), _LEVELS, 1 + magnitude))


def _posterize(canvas: Canvas, magnitude: float) -> None:
    dropped = 2 ** (8 - int(magnitude))
    canvas.look_up(_LEVELS // dropped * dropped)


def _solarize(canvas: Canvas, magnitude: float) -> None:
    canvas.look_up(np.where(255 * magnitude > _LEVELS, _LEVELS, 255 - _LEVELS))


def _invert(canvas: Canvas, magnitude: float) -> None:
    canvas.look_up(255 - _LEVELS)


def _autocontrast(canvas: Canvas, magnitude: float) -> None:
    low, high = (end[:, None] for end in _ends(canvas.histogram()))
    scale = 255 / np.maximum(high - low, 1)
    stretched = np.clip(np.arange(256) * scale - low * scale, 0, 255).astype(np.uint8)
    canvas.look_up(np.where(low < high, stretched, _LEVELS))


def _equalize(canvas: Canvas, magnitude: float) -> None:
    counts = canvas.histogram()
    below = counts.cumsum(axis=1) - counts
    step = below[np.arange(3), _ends(counts)[1], None] // 255
    level = np.minimum((step // 2 + below) // np.maximum(step, 1), 255).astype(np.uint8)
    canvas.look_up(np.where(step > 0, level, _LEVELS))


def _ends(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value that is there, of each channel: (3,) each."""
    there = counts > 0
    return there.argmax(axis=1), 255 - there[:, ::-1].argmax(axis=1)


# --- with the pixels beside ----------------------------------------------------------------------------------


def _color(canvas: Canvas, magnitude: float) -> None:
    if magnitude != 0:  # AutoAugment has a magnitude of 0, which changes nothing
        canvas.pixels = np.array(ImageEnhance.Color(Image.fromarray(canvas.pixels)).enhance(1 + magnitude))


def _sharpness(canvas: Canvas, magnitude: float) -> None:
    """The outermost pixels stay."""
    height, width, _ = canvas.pixels.shape
    sharp = canvas.pixels.reshape(height, 3 * width).copy()
    inner, whole = sharp[1:-1, 3:-3], sharp.astype(np.uint16)
    rows = whole[:-2] + whole[1:-1] + whole[2:]
    around = rows[:, :-6] + rows[:, 3:-3] + rows[:, 6:] + 4 * whole[1:-1, 3:-3]
    smooth = around * np.float32(1 / 13)
    smooth += np.float32(0.5)
    inner[:] = _blend(np.floor(smooth, out=smooth), inner, 1 + magnitude)
    canvas.pixels = sharp.reshape(height, width, 3)


# --- from another place ---------------------------------------------------------------------------------------


def _moved(canvas: Canvas, right: int, down: int) -> None:
    """Whole pixels, so nothing is interpolated."""
    height, width, _ = canvas.pixels.shape
    to, of = zip(*(_overlap(*pair) for pair in ((down, height), (right, width))), strict=True)
    moved = _filled(height, width).copy()
    moved[to] = canvas.pixels[of]
    canvas.pixels = moved


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Where what stays in the image lies after and before it is moved by `shift`."""
    return slice(max(0, shift), size + min(0, shift)), slice(max(0, -shift), size - max(0, shift))


@lru_cache(maxsize=4)
def _filled(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), FILL, np.uint8)


def _translate_x(canvas: Canvas, magnitude: float) -> None:
    _moved(canvas, int(magnitude), 0)


def _translate_y(canvas: Canvas, magnitude: float) -> None:
    _moved(canvas, 0, int(magnitude))


def _shear_x(canvas: Canvas, magnitude: float) -> None:
    """About the corner, as torchvision's."""
    _sample(canvas, (1, magnitude, 0, 1), (0, 0))


def _shear_y(canvas: Canvas, magnitude: float) -> None:
    _sample(canvas, (1, 0, magnitude, 1), (0, 0))


def _rotate(canvas: Canvas, magnitude: float) -> None:
    """By degrees, counter-clockwise, about the centre."""
    cos, sin = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
    _sample(canvas, (cos, -sin, sin, cos), (0.5, 0.5))


def _sample(canvas: Canvas, matrix: tuple[float, float, float, float], centre: tuple[float, float]) -> None:
    """Each pixel from where the matrix (row by row: x, y) puts it, about a centre in fractions of the sides."""
    pixels = canvas.pixels
    grid, outside = _places(*pixels.shape[:2], matrix, centre)
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().add_(_ROUNDING)
    found = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)[0].numpy()
    sampled = np.empty_like(pixels)
    for channel, plane in enumerate(found.astype(np.uint8)):
        plane.ravel()[outside] = FILL[channel]
        sampled[..., channel] = plane  # one by one, in a third of the time of a transposed copy
    canvas.pixels = sampled


@lru_cache(maxsize=16)  # a policy uses up to ten; half a megabyte each at 224 pixels
def _places(
    height: int, width: int, matrix: tuple[float, float, float, float], centre: tuple[float, float]
) -> tuple[torch.Tensor, np.ndarray]:
    """Where pixels are taken from, (1, h, w, 2) as `grid_sample` has it, and the indices of those for which that is not
    in the image.
    """
    x = np.arange(width) + 0.5 - centre[0] * width
    y = (np.arange(height) + 0.5 - centre[1] * height)[:, None]
    u = (matrix[0] * x + matrix[1] * y) / width + centre[0]
    v = (matrix[2] * x + matrix[3] * y) / height + centre[1]
    outside = np.flatnonzero((u < 0) | (u >= 1) | (v < 0) | (v >= 1))
    grid = np.stack([2 * u - 1, 2 * v - 1], axis=-1)[None]
    return torch.tensor(grid, dtype=torch.float32), outside


OPERATIONS: dict[str, Callable[[Canvas, float], None]] = {
    "Identity": lambda canvas, magnitude: None,
    "ShearX": _shear_x,
    "ShearY": _shear_y,
    "TranslateX": _translate_x,
    "TranslateY": _translate_y,
    "Rotate": _rotate,
    "Brightness": _brightness,
    "Color": _color,
    "Contrast": _contrast,
    "Sharpness": _sharpness,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
    "Invert": _invert,
}
