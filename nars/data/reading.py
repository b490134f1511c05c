"""Image files to upright RGB, whatever their format, and patiently: a network disk may fail for a moment."""

import io
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageOps

from nars.errors import UserError

WAITS = (0.1, 0.3, 1.0)  # seconds before a file is tried again

Result = TypeVar("Result")


def load_image(path: str | os.PathLike) -> Image.Image:
    """The image as upright RGB, transparency over white; UserError names an image that cannot be read."""
    return read_patiently(Path(path), decode)


def read_patiently(path: Path, use: Callable[[bytes], Result]) -> Result:
    """`use` of the file's content; tried again after each of `WAITS`, then UserError names the file."""
    for wait in (*WAITS, None):
        try:
            return use(path.read_bytes())
        except MemoryError:
            raise
        except Exception as error:  # a decoder meets a broken file with nearly any type of exception
            if wait is None:
                reason = _reason(error, path)
                raise UserError(f"{path} cannot be read as an image ({reason}); replace or remove this file") from error
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _reason(error: Exception, path: Path) -> str:
    text = re.sub(r"<_io\.BytesIO[^>]*>", "", str(error).replace(repr(str(path)), ""))
    return " ".join(text.split()).rstrip(" :") or type(error).__name__


def decode(content: bytes, *, at_least: int | None = None) -> Image.Image:
    """The image in a file's content as upright RGB; a JPEG may come at 1/2, 1/4 or 1/8 of its size, never with a side
    shorter than `at_least`, which takes a fraction of the time."""
    with Image.open(io.BytesIO(content)) as image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return to_rgb(upright(image))


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in three channels of 8 bits, transparency over white."""
    if image.mode.startswith("I;16"):  # `convert` would clip 16 bits to 8
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")
