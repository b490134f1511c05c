"""Image files of every kind: how they look, and what is said of those that cannot be read."""

import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from nars.data import reading
from nars.data.reading import decode, load_image
from nars.errors import UserError


def halves():
    """32x16 RGB: left half red, right half blue."""
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:, :16, 0] = pixels[:, 16:, 2] = 255
    return Image.fromarray(pixels)


def colour(image, x, y):
    return tuple(round(value / 255) for value in image.getpixel((x, y)))


def test_exif_orientation_6_stands_upright(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # shown turned by 90 degrees clockwise: the left becomes the top
    halves().save(tmp_path / "turned.jpg", exif=exif, quality=100, subsampling=0)
    image = load_image(tmp_path / "turned.jpg")
    assert image.size == (16, 32)
    assert (colour(image, 8, 4), colour(image, 8, 28)) == ((1, 0, 0), (0, 0, 1))


@pytest.mark.parametrize("kind", ["grey.jpg", "cmyk.jpg", "palette.png", "bilevel.png", "sixteen.png", "plain.webp"])
def test_every_mode_loads_as_rgb_with_its_colours(kind, tmp_path):
    mode = {"grey": "L", "cmyk": "CMYK", "palette": "P", "bilevel": "1", "plain": "RGB"}.get(Path(kind).stem)
    if mode:
        halves().convert(mode).save(tmp_path / kind)
    else:
        Image.fromarray(np.tile(np.uint16([76 * 257] * 16 + [29 * 257] * 16), (16, 1))).save(tmp_path / kind)
    image = load_image(tmp_path / kind)
    assert image.mode == "RGB"
    assert image.size == (32, 16)
    left, right = (np.array(image.getpixel((x, 8))) for x in (5, 27))
    if mode in ("CMYK", "P", "RGB"):
        assert np.abs(left - (254, 0, 0)).max() < 20
        assert np.abs(right - (0, 0, 254)).max() < 20
    elif mode != "1":  # the luminance of red and of blue
        assert np.abs(left - 76).max() < 4
        assert np.abs(right - 29).max() < 4


def test_transparency_lies_over_white(tmp_path):
    clear = halves().convert("RGBA")
    clear.putalpha(Image.fromarray(np.repeat(np.uint8([[255] * 16 + [0] * 16]), 16, axis=0)))
    clear.save(tmp_path / "rgba.png")
    clear.convert("LA").save(tmp_path / "la.png")
    palette = halves().convert("P")
    palette.save(tmp_path / "palette.png", transparency=palette.getpixel((27, 8)))
    for name in ("rgba", "la", "palette"):
        image = load_image(tmp_path / f"{name}.png")
        assert image.mode == "RGB"
        assert image.getpixel((27, 8)) == (255, 255, 255), name
        assert image.getpixel((5, 8)) != (255, 255, 255), name


@pytest.mark.filterwarnings("ignore")
def test_damaged_exif_does_not_cost_the_image(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "camera"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = 0.5
    path = tmp_path / "image.jpg"
    halves().save(path, exif=exif)
    whole = path.read_bytes()
    start = whole.index(b"Exif\0\0") + 6
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(start, start + len(exif.tobytes()) - 6, size=4):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        assert load_image(path).size in ((16, 32), (32, 16))


def png_with_broken_chunk(path):
    halves().save(path)
    content = path.read_bytes()
    start = content.index(b"IDAT")
    body = b"no zlib stream"
    chunk = struct.pack(">I", len(body)) + b"IDAT" + body + struct.pack(">I", zlib.crc32(b"IDAT" + body))
    path.write_bytes(content[: start - 4] + chunk + content[content.index(b"IEND") - 4 :])


@pytest.mark.parametrize("how", ["text", "empty", "cut", "png", "absent"])
def test_an_image_that_cannot_be_read_is_named(how, tmp_path):
    path = tmp_path / ("broken.png" if how == "png" else "broken.jpg")
    if how == "png":
        png_with_broken_chunk(path)
    elif how != "absent":
        halves().resize((400, 400)).save(path)
        path.write_bytes({"text": b"<html>not found</html>", "empty": b"", "cut": path.read_bytes()[:-1500]}[how])
    with pytest.raises(UserError) as caught:
        load_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "BytesIO" not in message
    assert message.startswith(f"{path} cannot be read as an image (")
    assert message.endswith("); replace or remove this file")


def test_an_image_that_comes_back_is_waited_for(tmp_path):
    path, away = tmp_path / "image.png", tmp_path / "away.png"
    halves().save(away)
    timer = threading.Timer(sum(reading.WAITS) / 3, away.rename, [path])
    timer.start()
    started = time.monotonic()
    assert load_image(path).size == (32, 16)
    assert time.monotonic() - started < sum(reading.WAITS) + 1
    timer.join()


def test_a_large_jpeg_comes_smaller_but_never_too_small(tmp_path):
    halves().resize((1600, 800)).save(tmp_path / "large.jpg")
    content = (tmp_path / "large.jpg").read_bytes()
    assert decode(content).size == (1600, 800)
    assert [decode(content, at_least=side).size[1] for side in (800, 401, 400, 399, 101, 90, 10)] == [
        800, 800, 400, 400, 200, 100, 100,
    ]  # fmt: skip
    small = decode(content, at_least=300)
    assert (colour(small, 100, 100), colour(small, 700, 100)) == ((1, 0, 0), (0, 0, 1))
