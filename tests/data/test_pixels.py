"""Every format arrives with its grey levels and colours, or is refused."""

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import ExifTags, Image

from nars.data.pixels import RefusedError, to_rgb
from nars.data.reading import decode, load_image
from nars.errors import UserError

WHITE = (255, 255, 255)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, key: tuple[int, ...] = ()) -> bytes:
    """`rows` as in the file, each after its filter byte; `key` is the grey or colour that stands for transparent."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    transparent = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    body = chunk(b"IDAT", zlib.compress(rows, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + transparent + body + chunk(b"IEND", b"")


def tiff(
    bits: int, photometric: int, data: bytes, *, order="<", width=2, sample_format=1, samples=1, extra=(), tile=None
) -> bytes:
    """One row in a strip, uncompressed, or in a deflated tile of the given side."""
    tags = [(256, "L", [width]), (257, "L", [1]), (258, "H", [bits] * samples), (259, "H", [8 if tile else 1])]
    tags += [(262, "H", [photometric]), (273, "L", [0]), (277, "H", [samples]), (278, "L", [1])]
    tags += [(279, "L", [len(data)]), (338, "H", list(extra)), (339, "H", [sample_format] * samples)]
    if tile:
        tags = [tag for tag in tags if tag[0] not in (273, 278, 279, 339)]
        tags += [(322, "L", [tile]), (323, "L", [tile]), (324, "L", [0]), (325, "L", [len(data)])]
    tags = [tag for tag in tags if tag[2]]
    behind, directory = b"", b""
    start = 14 + 12 * len(tags)
    at = start + sum(2 * len(values) for _, kind, values in tags if kind == "H" and len(values) > 2)
    for tag, kind, values in tags:
        value = struct.pack(f"{order}{len(values)}{kind}", *([at] if tag in (273, 324) else values))
        if len(value) > 4:
            value, behind = struct.pack(f"{order}L", start + len(behind)), behind + value
        directory += struct.pack(f"{order}HHL", tag, 3 if kind == "H" else 4, len(values)) + value.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}LH", 8, len(tags))
    return header + directory + bytes(4) + behind + data


def pixels(content: bytes) -> list[tuple[int, ...]]:
    image = decode(content)
    assert image.mode == "RGB"
    return [image.getpixel((x, 0)) for x in range(image.width)]


def greys(content: bytes) -> list[int]:
    colours = pixels(content)
    assert all(len(set(colour)) == 1 for colour in colours)
    return [red for red, _, _ in colours]


# --- as before ------------------------------------------------------------------------------------------------

# SHA-256 of size and pixels, before EXIF, depths and sizes were looked at; JPEG as decoded by libjpeg-turbo 3.
GOLDEN = {
    "png": "e4d38a75d4a39ca8",
    "jpg": "cd067459d60fb138",
    "progressive": "39303831f4cc45c0",
    "turned.jpg": "883b35bb58da1a6b",
    "turned.png": "95728a097dd2a011",
    "turned.webp": "95728a097dd2a011",
    "turned.tif": "95728a097dd2a011",
    "grey.jpg": "0fc9aee1b38ad2a2",
    "cmyk.jpg": "5ddb0e09e0c33d26",
    "rgba.png": "a7dff409abcd9836",
    "la.png": "ed0f76a7b0662749",
    "palette.png": "88992acbcd459a53",
    "keyed.png": "2a35f66b4e4b8e24",
    "palette.gif": "88992acbcd459a53",
    "keyed.gif": "2a35f66b4e4b8e24",
    "bilevel.png": "1219d2cbe7877084",
    "sixteen.png": "5b875b5ed851977b",
    "sixteen.tif": "5b875b5ed851977b",
    "webp": "e4d38a75d4a39ca8",
    "alpha.webp": "a7dff409abcd9836",
    "bmp": "e4d38a75d4a39ca8",
    "tif": "e4d38a75d4a39ca8",
    "lzw.tif": "e4d38a75d4a39ca8",
    "cmyk.tif": "e4d38a75d4a39ca8",
    "ppm": "e4d38a75d4a39ca8",
    "pgm": "3d3fd0d2fb9afc1d",
    "tga": "a7dff409abcd9836",
}


def photo(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(256, size=(6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((80, 60), Image.Resampling.BICUBIC)


def ordinary_files() -> Iterator[tuple[str, bytes]]:
    plain, clear, turned = photo(1), photo(1), Image.Exif()
    clear.putalpha(photo(2).convert("L"))
    turned[ExifTags.Base.Orientation] = 6
    palette = plain.quantize(16)
    sixteen = Image.fromarray(np.asarray(photo(3).convert("L")).astype(np.uint16) * 257)
    for name, image, kind, given in [
        ("png", plain, "PNG", {}),
        ("jpg", plain, "JPEG", {"quality": 90}),
        ("progressive", plain, "JPEG", {"progressive": True}),
        ("turned.jpg", plain, "JPEG", {"exif": turned}),
        ("turned.png", plain, "PNG", {"exif": turned}),
        ("turned.webp", plain, "WEBP", {"lossless": True, "exif": turned}),
        ("turned.tif", plain, "TIFF", {"exif": turned}),
        ("grey.jpg", plain.convert("L"), "JPEG", {}),
        ("cmyk.jpg", plain.convert("CMYK"), "JPEG", {}),
        ("rgba.png", clear, "PNG", {}),
        ("la.png", clear.convert("LA"), "PNG", {}),
        ("palette.png", palette, "PNG", {}),
        ("keyed.png", palette, "PNG", {"transparency": 3}),
        ("palette.gif", palette, "GIF", {}),
        ("keyed.gif", palette, "GIF", {"transparency": 3}),
        ("bilevel.png", plain.convert("1"), "PNG", {}),
        ("sixteen.png", sixteen, "PNG", {}),
        ("sixteen.tif", sixteen, "TIFF", {}),
        ("webp", plain, "WEBP", {"lossless": True}),
        ("alpha.webp", clear, "WEBP", {"lossless": True}),
        ("bmp", plain, "BMP", {}),
        ("tif", plain, "TIFF", {}),
        ("lzw.tif", plain, "TIFF", {"compression": "tiff_lzw"}),
        ("cmyk.tif", plain.convert("CMYK"), "TIFF", {}),
        ("ppm", plain, "PPM", {}),
        ("pgm", plain.convert("L"), "PPM", {}),
        ("tga", clear, "TGA", {}),
    ]:
        file = io.BytesIO()
        image.save(file, kind, **given)
        yield name, file.getvalue()


def test_ordinary_images_keep_their_pixels_to_the_bit():
    found = {}
    for name, content in ordinary_files():
        image = decode(content)
        found[name] = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:16]
    assert found == GOLDEN


# --- depths and modes -----------------------------------------------------------------------------------------


def test_grey_of_every_depth_of_png():
    assert greys(png(2, 1, 1, 0, b"\0\x40")) == [0, 255]
    assert greys(png(4, 1, 2, 0, b"\0\x1b")) == [0, 85, 170, 255]
    assert greys(png(2, 1, 4, 0, b"\0\x3c")) == [51, 204]
    assert greys(png(2, 1, 8, 0, b"\0\x30\xc0")) == [48, 192]
    assert greys(png(2, 1, 16, 0, b"\0\x30\x12\xc0\x34")) == [48, 192]
    assert pixels(png(2, 1, 16, 2, b"\0\1\7\2\7\3\7\4\7\5\7\6\7")) == [(1, 2, 3), (4, 5, 6)]


def test_what_png_declares_transparent_is_white_at_every_depth():
    assert greys(png(2, 1, 1, 0, b"\0\x40", key=(0,))) == [255, 255]
    assert greys(png(4, 1, 2, 0, b"\0\x1b", key=(2,))) == [0, 85, 255, 255]
    assert greys(png(2, 1, 4, 0, b"\0\x3c", key=(3,))) == [255, 204]
    assert greys(png(2, 1, 8, 0, b"\0\x30\xc0", key=(48,))) == [255, 192]
    assert greys(png(2, 1, 8, 0, b"\0\x30\xc0", key=(65535,))) == [48, 192]
    assert greys(png(3, 1, 16, 0, b"\0\x30\x12\x30\x13\xc0\x34", key=(0x3012,))) == [255, 48, 192]
    assert pixels(png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", key=(1, 2, 3))) == [WHITE, (4, 5, 6)]
    with pytest.raises(RefusedError, match="a colour of 16 bits stands for transparent"):
        decode(png(1, 1, 16, 2, b"\0\1\7\2\7\3\7", key=(0x107, 0x207, 0x307)))


def test_alpha_lies_over_white():
    """colour * alpha + 255 * (1 - alpha)"""
    assert greys(png(3, 1, 8, 4, b"\0\x30\xff\xc0\0\x64\x80")) == [48, 255, round((100 * 128 + 255 * 127) / 255)]
    assert greys(png(2, 1, 16, 4, b"\0\x30\x12\xff\xff\xc0\x34\0\0")) == [48, 255]
    assert pixels(png(1, 1, 16, 6, b"\0\1\7\2\7\3\7\xff\xff")) == [(1, 2, 3)]
    assert greys(tiff(8, 1, b"\x30\xff\xc0\0", samples=2, extra=(2,))) == [48, 255]
    assert greys(tiff(8, 1, b"\x30\x80\0\0", samples=2, extra=(1,))) == [48 + 127, 255], "colours times alpha"
    assert greys(tiff(8, 1, b"\x30\x80\xc0\0", samples=2, extra=(0,))) == [48, 192], "not said to be alpha"
    for mode, value in (
        ("RGBA", (50, 60, 70, 0)),
        ("RGBa", (0, 0, 0, 0)),
        ("LA", (9, 0)),
        ("La", (0, 0)),
        ("PA", (3, 0)),
    ):
        assert to_rgb(Image.new(mode, (1, 1), value)).getpixel((0, 0)) == WHITE, mode


def test_a_large_transparent_image_is_the_same_in_strips():
    tall = photo(1).resize((1100, 2000))
    tall.putalpha(photo(2).convert("L").resize((1100, 2000)))
    white = Image.new("RGBA", tall.size, "white")
    assert to_rgb(tall).tobytes() == Image.alpha_composite(white, tall).convert("RGB").tobytes()


@pytest.mark.parametrize("order", "<>")
def test_grey_of_every_depth_of_tiff(order):
    for photometric, turn in ((0, lambda level: 255 - level), (1, lambda level: level)):
        assert greys(tiff(1, photometric, b"\x40", order=order)) == [turn(0), turn(255)]
        assert greys(tiff(2, photometric, b"\x1b", order=order, width=4)) == [turn(x) for x in (0, 85, 170, 255)]
        assert greys(tiff(4, photometric, b"\x3c", order=order)) == [turn(51), turn(204)]
        assert greys(tiff(8, photometric, b"\x30\xc0", order=order)) == [turn(48), turn(192)]
        if (order, photometric) != (">", 0):  # which Pillow does not know
            sixteen = struct.pack(f"{order}2H", 0x3012, 0xC034)
            assert greys(tiff(16, photometric, sixteen, order=order)) == [turn(48), turn(192)]
    assert pixels(tiff(8, 5, bytes((0, 255, 255, 0, 255, 0, 0, 0)), samples=4, order=order)) == [
        (255, 0, 0),
        (0, 255, 255),
    ]
    assert greys(tiff(8, 6, b"\x30\x80\x80\xc0\x80\x80", samples=3, order=order)) == [48, 192]
    sixteen = struct.pack(f"{order}6H", *range(0x102, 0x702, 0x100))
    assert pixels(tiff(16, 2, sixteen, samples=3, order=order)) == [(1, 2, 3), (4, 5, 6)]


def test_grey_of_12_bits_and_of_pgm():
    assert greys(tiff(12, 1, b"\x30\x0c\x00")) == [48, 192]
    for most, levels, expected in ((1023, (512, 1023), [128, 255]), (65535, (0x3012, 0xC034), [48, 192])):
        assert greys(b"P5 2 1 %d\n" % most + struct.pack(">2H", *levels)) == expected
    assert greys(b"P5 2 1 200\n\x64\xc8") == [128, 255]
    assert pixels(b"P6 1 1 65535\n" + struct.pack(">3H", 0x3012, 0x4012, 0x5012)) == [(48, 64, 80)]
    grey = Image.fromarray(np.tile(np.uint16([0x3012, 0xC034]), (4, 2)))
    file = io.BytesIO()
    grey.save(file, "JPEG2000", irreversible=False)
    assert greys(file.getvalue())[:2] == [48, 192]


def test_16_bits_in_memory_in_either_order():
    for mode, order in (("I;16", "<"), ("I;16L", "<"), ("I;16B", ">")):
        image = Image.frombytes(mode, (2, 1), struct.pack(f"{order}2H", 0x3012, 0xC034))
        assert [to_rgb(image).getpixel((x, 0)) for x in (0, 1)] == [(48,) * 3, (192,) * 3], mode


def test_other_colours():
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    for mode in ("CMYK", "YCbCr", "HSV", "RGBX"):
        assert np.abs(np.subtract(to_rgb(red.convert(mode)).getpixel((0, 0)), (255, 0, 0))).max() <= 1, mode


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tiff(32, 1, struct.pack("<2f", 0.25, 0.75), sample_format=3), "grey levels as floating-point numbers"),
        (b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.25, 0.75), "grey levels as floating-point numbers"),
        (tiff(32, 1, struct.pack("<2L", 0x30000000, 0xC0000000)), "grey levels of 32 bits"),
        (tiff(16, 1, struct.pack("<2h", 5, -5), sample_format=2), "grey levels with a sign"),
        (tiff(8, 1, b"\x30\xc0", sample_format=2), "grey levels with a sign"),
    ],
)
def test_grey_without_a_known_white_is_refused_at_once(content, said, tmp_path, monkeypatch):
    path = tmp_path / "levels.tif"
    path.write_bytes(content)
    monkeypatch.setattr("nars.data.reading.WAITS", ("no wait",))
    with pytest.raises(UserError) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path} cannot be read as an image ({said}")
    assert "save it with 8 or 16 bits" in str(caught.value)


def test_of_an_animation_the_first_picture_counts(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    for kind, given in (
        ("GIF", {}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("AVIF", {"quality": 95}),
    ):
        path = tmp_path / f"moving.{kind.lower()}"
        frames[0].save(path, kind, save_all=True, append_images=frames[1:], **given)
        with Image.open(path) as image:
            assert image.n_frames == 2
        assert np.abs(np.subtract(load_image(path).getpixel((4, 4)), (250, 0, 0))).max() <= 4, kind
