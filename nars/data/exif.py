"""How a photo is turned: its EXIF orientation, and nothing else of its EXIF.

Cameras and editors write EXIF that breaks the standard in every place, and a library that reads all of it, or writes it
again, stumbles over tags that say nothing about the picture. Here one number is read, and what is odd is passed over.
"""

import re
import struct
from collections.abc import Iterator, Mapping

from PIL import Image

ORIENTATION = 0x112
# Tags of a TIFF that a picture is decoded with; sizes, strips and tiles, colours, tables.
PICTURE_TAGS = {*range(254, 260), 262, 266, 273, ORIENTATION, *range(277, 280), 284, 317, 320, *range(322, 326)} | {
    *(332, 338, 339, 347),
    *range(529, 533),
}
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEADER = b"Exif\0\0"
_WHOLE_NUMBERS = {3: "H", 4: "L", 8: "h", 9: "l"}  # types of TIFF
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def orientation(info: Mapping) -> int:
    """1 to 8 from what Pillow keeps beside the pixels (`image.info` after loading): EXIF's, or else XMP's; 1 if there
    is none, or none that makes sense.
    """
    found = exif_orientation(_exif(info))
    if found is not None:
        return found
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""
    match = _IN_XMP.search(xmp.encode() if isinstance(xmp, str) else xmp)
    return int(match[1]) if match else 1


def _exif(info: Mapping) -> bytes:
    if isinstance(info.get("exif"), bytes):  # a PNG may hold a text of this name
        return info["exif"]
    digits = "".join(str(info.get("Raw profile type exif", "")).split("\n")[3:])  # ImageMagick's, in a PNG's text
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def exif_orientation(exif: bytes) -> int | None:
    """1 to 8, the first whole number in that range that the first directory gives as orientation; None if it gives
    none.
    """
    exif = exif.removeprefix(_HEADER).removeprefix(_HEADER)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "")
    for _, tag, kind, count, at in _entries(exif, order):
        code = _WHOLE_NUMBERS.get(kind)
        if tag != ORIENTATION or code is None or count == 0:
            continue
        place = at if count * struct.calcsize(f"={code}") <= 4 else struct.unpack_from(f"{order}L", exif, at)[0]
        if place + struct.calcsize(f"={code}") > len(exif):
            continue
        (value,) = struct.unpack_from(f"{order}{code}", exif, place)
        if 1 <= value <= 8:
            return value
    return None


def _entries(tiff: bytes, order: str) -> Iterator[tuple[int, int, int, int, int]]:
    """Of the first directory, as far as it goes: (place of the entry, tag, type, count, place of the value)."""
    if not order or len(tiff) < 8:
        return
    (start,) = struct.unpack_from(f"{order}L", tiff, 4)
    if start + 2 > len(tiff):
        return
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    for place in range(start + 2, min(start + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHL", tiff, place)
        yield place, tag, kind, count, place + 8


def without_exif(content: bytes) -> bytes | None:
    """A file's content with its EXIF hidden from Pillow, for photos that it cannot open because of that; None if there
    is nothing to hide.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(content[:4])
    if order is None:  # JPEG by its marker, AVIF by its item; PNG and WebP are opened whatever it holds
        hidden = content.replace(b"Exif", b"none")
        return hidden if hidden != content else None
    places = [place for place, tag, *_ in _entries(content, order) if tag not in PICTURE_TAGS]
    changed = bytearray(content)
    for place in places:
        struct.pack_into(f"{order}L", changed, place + 4, 0)  # no values
    return bytes(changed) if places else None
