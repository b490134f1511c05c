"""Image files to upright RGB, whatever their format, and patiently: a network disk may fail for a moment."""

import io
import math
import os
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from PIL import Image, features

from nars.data.exif import UPRIGHT, orientation, without_exif
from nars.data.pixels import RefusedError, set_key_depth, to_rgb
from nars.errors import UserError

TILE_SIZES = (322, 323)  # tags of TIFF: width and height
WAITS = (0.1, 0.3, 1.0)  # seconds before a file is tried again

# Those of Pillow's formats that photos are kept in. Not among them: what other programs would have to draw, numbers of
# science, icons of several sizes, working files of editors. TGA is last, since nothing at its start tells it.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "JPEG2000", "QOI", "DIB", "SGI", "PCX", "TGA")
_LIBRARIES = {"AVIF": "avif", "WEBP": "webp", "JPEG2000": "jpg_2000"}  # that Pillow may have been built without

# No small file may take much memory, and an image takes 10 to 20 bytes a pixel on its way to a network: a file of more
# pixels must hold a byte for every 16 of them, as photos do. Above Pillow's own limit none is read.
LARGE = 50_000_000
PIXELS_PER_BYTE = 16
LONGEST = 2**20  # pixels of a side; each row takes memory of its own

Result = TypeVar("Result")

Image.init()
_READ = tuple(name for name in FORMATS if name not in _LIBRARIES or features.check(_LIBRARIES[name]))
EXTENSIONS = frozenset(
    extension for extension, name in Image.registered_extensions().items() if name in (*_READ, "MPO")
)


def load_image(path: str | os.PathLike) -> Image.Image:
    """The image, of several the first, as upright RGB, transparency over white; UserError names an image that cannot
    be read.
    """
    return read_patiently(Path(path), decode)


def read_patiently(path: Path, use: Callable[[bytes], Result]) -> Result:
    """`use` of the file's content; tried again after each of `WAITS`, then UserError names the file."""
    for wait in (*WAITS, None):
        try:
            return use(path.read_bytes())
        except MemoryError:
            raise
        except Exception as error:  # a decoder meets a broken file with nearly any type of exception
            if wait is None or isinstance(error, RefusedError):
                reason = _reason(error, path)
                raise UserError(f"{path} cannot be read as an image ({reason}); replace or remove this file") from error
        time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _reason(error: Exception, path: Path) -> str:
    text = re.sub(r"<_io\.BytesIO[^>]*>", "", str(error).replace(repr(str(path)), ""))
    return " ".join(text.split()).rstrip(" :") or type(error).__name__


def decode(content: bytes, *, at_least: int | None = None) -> Image.Image:
    """The image in a file's content as upright RGB; a JPEG may come at 1/2, 1/4 or 1/8 of its size, never with a side
    shorter than `at_least`, which takes a fraction of the time.

    Refused for an image too large for its file, or of grey levels that mean nothing by themselves.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, and of sizes that are checked here
        try:
            return _decode(content, at_least)
        except Image.DecompressionBombError as error:
            raise RefusedError(str(error).rstrip(".")) from error
        except (MemoryError, RefusedError):
            raise
        except Exception:  # as in `read_patiently`
            hidden = without_exif(bytes(content))
            if hidden is None:
                raise
        return _decode(hidden, at_least)


def _decode(content: bytes, at_least: int | None) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=_READ) as image:
        _check_size(image, len(content))
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        set_key_depth(image, content)
        image.load()
        upright = None if image.format == "TIFF" else UPRIGHT.get(orientation(image.info))  # a TIFF turns itself
        rgb = to_rgb(image)
    return rgb if upright is None else rgb.transpose(upright)


def _check_size(image: Image.Image, num_bytes: int) -> None:
    width, height = image.size
    if max(width, height) > LONGEST:
        raise RefusedError(f"{width} x {height} pixels; no side may be longer than {LONGEST:,}")
    sizes = {f"{width} x {height} pixels": width * height}
    if image.format == "TIFF":  # a tile may be larger than its image
        tile = math.prod(image.tag_v2.get(tag, 1) for tag in TILE_SIZES)
        sizes[f"a tile of {tile:,} pixels"] = tile
    for what, pixels in sizes.items():
        if pixels > LARGE and pixels > PIXELS_PER_BYTE * num_bytes:
            raise RefusedError(
                f"{what} in {num_bytes:,} bytes; a file of more than {LARGE:,} pixels must hold a byte for every "
                f"{PIXELS_PER_BYTE}"
            )
