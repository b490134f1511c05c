"""No small file costs much memory, whatever the shape of its image."""

import gc
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from nars.data.augmentation import centre
from nars.data.pixels import RefusedError
from nars.data.reading import LARGE, LONGEST, decode, load_image
from nars.errors import UserError
from tests.data.test_pixels import WHITE, greys, photo, png, tiff


def memory_of(call):
    """What a call gives, and the most bytes of memory that it took besides what there was."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    return call(), _status("VmHWM") - before


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])


def saved_as(kind: str) -> bytes:
    file = io.BytesIO()
    photo(1).save(file, kind)
    return file.getvalue()


def zeros(width: int, height: int, colour: int = 2) -> bytes:
    row = 1 + {0: 1, 2: 3, 6: 4}[colour] * width
    return png(width, height, 8, colour, bytes(row * height))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png(60_000, 60_000, 1, 0, b""), r"Image size \(3600000000 pixels\) exceeds limit"),
        (png(1, 200_000_000, 1, 0, b""), r"Image size \(200000000 pixels\) exceeds limit"),
        (png(13_000, 13_000, 8, 2, b""), "13000 x 13000 pixels in .* bytes; a file of more than 50,000,000 pixels"),
        (png(LONGEST + 1, 1, 1, 0, b""), "1048577 x 1 pixels; no side may be longer than 1,048,576"),
        (png(1, LONGEST + 1, 1, 0, b""), "1 x 1048577 pixels; no side"),
        (saved_as("GIF")[:6] + struct.pack("<HH", 13_000, 13_000) + saved_as("GIF")[10:], "13000 x 13000 pixels"),
        (
            b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0/"
            + struct.pack("<L", 12_999 | 12_999 << 14)
            + b"\x07\x10\x11\x11\x88\x88\xfe\x07\0",
            "13000 x 13000 pixels",
        ),
    ],
)
def test_a_small_file_of_a_huge_image_is_refused_before_it_is_decoded(content, said, monkeypatch, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(content)
    monkeypatch.setattr("nars.data.reading.WAITS", ("no wait",))

    def refused():
        with pytest.raises(UserError, match=said):
            load_image(path)

    assert memory_of(refused)[1] < 20e6


def test_a_tile_larger_than_its_image_is_refused():
    assert greys(tiff(8, 1, zlib.compress(b"\x30\xc0" + bytes(254)), tile=16)) == [48, 192]
    with pytest.raises(RefusedError, match="a tile of 1,600,000,000 pixels in"):
        decode(tiff(8, 1, zlib.compress(bytes(256)), tile=40_000))


def test_a_large_image_takes_few_bytes_a_pixel_and_its_own_size_in_the_file_is_enough(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(zeros(7000, 7000, colour=6))
    image, taken = memory_of(lambda: load_image(path))
    assert (image.size, image.getpixel((5, 5))) == ((7000, 7000), WHITE)
    assert taken < 12 * 7000**2
    assert LARGE < 7200**2
    Image.new("L", (7200, 7200)).save(tmp_path / "larger.bmp")  # no small file
    assert load_image(tmp_path / "larger.bmp").size == (7200, 7200)


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (64, 400_000)])
def test_a_long_thin_image_is_resized_in_little_memory(shape):
    pixels = torch.zeros((3, *shape), dtype=torch.uint8)
    middle = [slice(side // 3, side // 3 * 2) if side > 64 else slice(None) for side in shape]
    pixels[:, *middle] = 200
    resized, taken = memory_of(lambda: centre(pixels, image_size=288))
    assert resized.shape == (3, 288, 288)
    assert (resized == 200).all()
    assert taken < 500e6


def test_the_longest_image_that_was_resized_whole_is_so_still():
    """timm's evaluation to the bit, for every shape that it can take."""
    pixels = torch.from_numpy(np.random.default_rng(0).integers(256, size=(3, 4, 900), dtype=np.uint8))
    image = v2.functional.resize(v2.functional.to_pil_image(pixels), [73], v2.InterpolationMode.BICUBIC)
    expected = v2.functional.pil_to_tensor(v2.functional.center_crop(image, [64]))
    assert torch.equal(centre(pixels, image_size=64), expected)
