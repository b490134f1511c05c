"""Photos stand upright, and no EXIF costs one."""

import io
import random
import struct
import warnings
import zlib
from itertools import product

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from nars.data.reading import decode

SHORT, LONG, BYTE, ASCII, RATIONAL = 3, 4, 1, 2, 5
ORIENTATION = ExifTags.Base.Orientation


def halves() -> Image.Image:
    """32x16: left red, right blue; turned as orientation 6 says, red is above."""
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:, :16, 0] = pixels[:, 16:, 2] = 250
    return Image.fromarray(pixels)


def saved(kind: str, **given) -> bytes:
    file = io.BytesIO()
    halves().save(file, kind, **({"quality": 95} if kind in ("JPEG", "AVIF") else {"lossless": True}) | given)
    return file.getvalue()


JPEG, PNG = saved("JPEG"), saved("PNG")


def tiff(*entries: tuple[int, int, int, bytes], order: str = "<", tail: bytes = b"\xff\x80abc" * 3) -> bytes:
    """EXIF of (tag, type, count, 4 bytes) entries, with `tail` behind them."""
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(entries))
    return start + b"".join(struct.pack(f"{order}HHL", *entry[:3]) + entry[3] for entry in entries) + bytes(4) + tail


def short(value: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", value, 0)


def with_exif(exif: bytes, kind: str = "JPEG") -> bytes:
    if kind == "PNG":
        place = PNG.index(b"IDAT") - 4
        chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        return PNG[:place] + chunk + PNG[place:]
    if kind == "JPEG":
        return JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + JPEG[2:]
    return saved(kind, exif=exif)


def stands(content: bytes) -> str:
    """How the photo is shown, of two ways, with its colours; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = decode(content)
    first, last = (
        tuple(round(v / 250) for v in image.getpixel(at)) for at in ((2, 2), (image.width - 3, image.height - 3))
    )
    assert (first, last) == ((1, 0, 0), (0, 0, 1))
    return {(32, 16): "as stored", (16, 32): "turned"}[image.size]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_all_orientations_are_those_of_pillow(kind):
    for value in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = value
        content = saved(kind, exif=exif)
        expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
        assert decode(content).tobytes() == expected.tobytes(), value
        assert (decode(content).size == (16, 32)) == (value > 4)


TAGS = (0x100, 0x102, 0x10E, 0x10F, 0x111, 0x11A, 0x11B, 0x128, 0x131, 0x132, 0x213, 0x8298, 0x8769, 0x8825, 0xA005)


@pytest.mark.parametrize("tag", TAGS)
def test_no_other_tag_costs_a_photo_or_its_orientation(tag):
    """Every type, known or not, and every count, as cameras and editors get them wrong."""
    for kind, count, place in product(range(19), (0, 1, 2, 15, 1000, 2**31, 2**32 - 1), (38, 0, 2**32 - 1)):
        entries = [(0x112, SHORT, 1, short(6)), (tag, kind, count, struct.pack("<L", place))]
        assert stands(with_exif(tiff(*sorted(entries)))) == "turned", (kind, count, place)


def test_damaged_exif_costs_no_photo_in_any_format():
    rng = random.Random(0)
    entries = [(0x10E, ASCII, 9, b"\x3e\0\0\0"), (0x112, SHORT, 1, short(6)), (0x8769, LONG, 1, b"\x08\0\0\0")]
    whole = tiff(*entries, (0x11A, RATIONAL, 1, b"\x3e\0\0\0"), (0x128, SHORT, 1, short(2)))
    seen = set()
    for _ in range(300):
        exif = bytearray(whole)
        for _ in range(rng.choice((1, 2, 4, 16))):
            exif[rng.randrange(len(exif))] = rng.choice((0, 1, 8, 128, 255, rng.randrange(256)))
        if rng.random() < 0.5:
            place = rng.randrange(len(exif) - 4)
            exif[place : place + 4] = rng.choice((b"\xff" * 4, b"\0\0\0\x80", bytes(4), b"+\0\0\0"))
        cut = bytes(exif[: rng.choice((len(exif), rng.randrange(1, len(exif))))])
        for kind in ("JPEG", "PNG", "WEBP"):
            seen.add(decode(with_exif(cut, kind)).size)
    assert seen == {(32, 16), (16, 32)}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(0x112, SHORT, 1, short(6))], "turned"),
        ([(0x112, LONG, 1, struct.pack("<L", 6))], "turned"),
        ([(0x112, SHORT, 2, short(6))], "turned"),
        ([(0x112, SHORT, 3, struct.pack("<L", 26))], "turned"),  # its values lie behind
        ([(0x112, SHORT, 2**31, struct.pack("<L", 2**31))], "as stored"),
        ([(0x112, SHORT, 0, short(6))], "as stored"),
        ([(0x112, SHORT, 1, short(0))], "as stored"),
        ([(0x112, SHORT, 1, short(9))], "as stored"),
        ([(0x112, SHORT, 1, short(65535))], "as stored"),
        ([(0x112, ASCII, 2, b"6\0\0\0")], "as stored"),
        ([(0x112, RATIONAL, 1, struct.pack("<L", 26))], "as stored"),
        ([(0x112, SHORT, 1, short(9)), (0x112, SHORT, 1, short(6))], "turned"),
        ([], "as stored"),
    ],
)
def test_an_orientation_counts_if_it_is_a_whole_number_from_1_to_8(entries, expected):
    exif = tiff(*entries, tail=struct.pack("<HHH", 6, 0, 0) + bytes(9))
    assert stands(with_exif(exif)) == stands(with_exif(exif, "PNG")) == expected


def test_what_is_no_exif_is_passed_over():
    whole = tiff((0x112, SHORT, 1, short(6)))
    big_endian = tiff((0x112, SHORT, 1, short(6, ">")), order=">")
    assert stands(with_exif(big_endian)) == "turned"
    assert stands(with_exif(b"Exif\0\0" + whole, "PNG")) == "turned"
    for exif in (b"\0\x08\0\x02\x01\x12\0\x03", b"II", b"II*\0\xff\xff\xff\xff", b"XX" + whole[2:], whole[:9]):
        assert stands(with_exif(exif)) == stands(with_exif(exif, "PNG")) == "as stored"


def text_chunk(keyword: bytes, text: bytes) -> bytes:
    chunk = b"iTXt" + keyword + b"\0\0\0\0\0" + text
    place = PNG.index(b"IDAT") - 4
    return PNG[:place] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + PNG[place:]


def test_orientation_of_xmp_and_of_texts():
    digits = tiff((0x112, SHORT, 1, short(6))).hex().encode()
    assert stands(text_chunk(b"XML:com.adobe.xmp", b'<x tiff:Orientation="6"/>')) == "turned"
    assert stands(text_chunk(b"XML:com.adobe.xmp", b'<x tiff:Orientation="0"/>')) == "as stored"
    assert stands(text_chunk(b"Raw profile type exif", b"\nexif\n  52\n" + digits)) == "turned"
    assert stands(text_chunk(b"Raw profile type exif", b"\nexif\n  52\nno digits")) == "as stored"
    assert stands(text_chunk(b"exif", b"a text")) == "as stored"


def test_photos_that_pillow_does_not_open_for_their_exif():
    """A TIFF's tags are its EXIF; AVIF's is parsed, strictly, when the file is opened; a JPEG's for its resolution."""
    exif = tiff((0x112, SHORT, 1, short(6)), (0x128, SHORT, 1, short(2)))
    avif = saved("AVIF", exif=exif)
    assert avif.count(b"II*\0") == 1
    assert stands(avif.replace(b"II*\0", b"XX*\0")) == "turned", "AVIF turns without its EXIF"
    described = Image.Exif()
    described[ORIENTATION], described[ExifTags.Base.ImageDescription] = 6, "a long description"
    plain = saved("TIFF", exif=described)
    place = plain.index(struct.pack("<HH", ExifTags.Base.ImageDescription, ASCII))
    assert stands(plain[: place + 8] + struct.pack("<L", len(plain) - 3) + plain[place + 12 :]) == "turned"
    endless = b"II+\0\x08\0\0\0" + b"\xff" * 8  # a start that no file reaches
    assert stands(with_exif(endless)) == "as stored"
