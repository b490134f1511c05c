"""Pixels of every format to RGB of 8 bits: right, or refused."""

import numpy as np
from PIL import Image

STRIP = 2**20  # pixels that are laid over white at a time
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF
_WHITE_IS_ZERO, _SIGNED = 0, 2


class RefusedError(ValueError):
    """A picture that could be read and is not accepted: trying again does not help."""


def set_key_depth(image: Image.Image, content: bytes) -> None:
    """Bring the transparent grey of a PNG to the 8 bits of its pixels, before they are loaded: Pillow leaves it as in
    the file. Refused for one of 16 bits per colour, of which Pillow keeps 8.
    """
    key = image.info.get("transparency")
    if image.format != "PNG" or key is None or image.mode not in ("L", "RGB"):
        return
    depth = content[24]
    if image.mode == "L" and depth < 8:
        image.info["transparency"] = key * 255 // (2**depth - 1)
    elif image.mode == "RGB" and depth == 16:
        raise RefusedError("a colour of 16 bits stands for transparent; save it with 8 bits or an alpha channel")


def to_rgb(image: Image.Image) -> Image.Image:
    """The loaded image in three channels of 8 bits, transparency over white.

    Refused for grey levels without a known white: signed, of 32 bits, floating-point.
    """
    image = _eight_bits(image)
    if image.mode == "La":  # the only conversion that Pillow has for it
        image = image.convert("LA")
    return _over_white(image) if image.has_transparency_data else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """In strips, or a large image would take several times its memory."""
    width, height = image.size
    result = Image.new("RGB", image.size)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        result.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return result


def _eight_bits(image: Image.Image) -> Image.Image:
    tags = image.tag_v2 if image.format == "TIFF" else {}
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()):
        raise RefusedError("grey levels with a sign, whose black is not known; save it with 8 or 16 bits without sign")
    if image.mode.startswith("I;16"):
        (bits,) = tags.get(_BITS_PER_SAMPLE, (16,))
        return _from_sixteen(image, bits, white_is_zero=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)
    if image.mode == "I" and image.format == "PPM":  # Pillow scales these to 16 bits
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        kind = "of 32 bits" if image.mode == "I" else "as floating-point numbers"
        raise RefusedError(f"grey levels {kind}, whose white is not known; save it with 8 or 16 bits")
    return image


def _from_sixteen(image: Image.Image, bits: int, *, white_is_zero: bool) -> Image.Image:
    levels = np.asarray(image)
    grey = (levels >> bits - 8).astype(np.uint8)  # `convert` would clip
    result = Image.fromarray(255 - grey if white_is_zero else grey)
    if "transparency" in image.info:
        result.putalpha(Image.fromarray(np.where(levels == image.info["transparency"], 0, 255).astype(np.uint8)))
    return result
