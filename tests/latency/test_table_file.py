"""Tables as files: appended line by line, and read whatever a kill left of the last one."""

import random

import pytest

from nars.costs.shapes import ACTIVATIONS, KINDS, Shape
from nars.errors import UserError
from nars.latency.table import (
    DEVICE,
    HEAD,
    LINES,
    Device,
    DeviceFile,
    append_measurement,
    read_device,
    read_table,
    write_device,
    write_table,
)

DEVICE_HERE = Device(
    processor="Some Processor", device="cpu", backend="torch", version="2.0", threads=1, batch=1, clock="cpu"
)


def some_shape(rng: random.Random) -> Shape:
    return Shape(rng.choice(KINDS), *(rng.randint(0, 400) for _ in range(9)), rng.choice(ACTIVATIONS))


def test_the_least_measurement_of_a_shape_counts(tmp_path):
    rng = random.Random(0)
    first, second = some_shape(rng), some_shape(rng)
    for shape, ms in ((first, 2.0), (second, 5.0), (first, 1.25), (first, 3.0)):
        append_measurement(tmp_path, shape, ms)
    known = read_table(tmp_path)
    assert known.entries == {first: 1.25, second: 5.0}
    assert known.measurements[first] == (2.0, 1.25, 3.0)
    assert known.damaged == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_torn_line_is_never_taken_for_another_one(tmp_path, seed):
    """Wherever the last line was cut, what was before it is there, and the next one follows."""
    rng = random.Random(seed)
    shapes = [some_shape(rng) for _ in range(3)]
    append_measurement(tmp_path, shapes[0], 1.5)
    append_measurement(tmp_path, shapes[1], 112.25)
    whole = (tmp_path / LINES).read_bytes()
    begin = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(begin, len(whole) - 1):
        (tmp_path / LINES).write_bytes(whole[:cut])
        assert read_table(tmp_path).entries == {shapes[0]: 1.5}, whole[:cut]
        append_measurement(tmp_path, shapes[2], 7.0)
        known = read_table(tmp_path)
        assert known.entries == {shapes[0]: 1.5, shapes[2]: 7.0}
        assert known.damaged == (cut > begin)


def test_a_table_of_somebody_else_needs_no_description(tmp_path):
    shape = some_shape(random.Random(1))
    (tmp_path / LINES).write_text(f"{HEAD}\n{','.join(map(str, (*shape[:-1], 2, shape.activation)))}\n")
    known = read_table(tmp_path)
    assert known.entries == {shape: 2.0}
    assert (known.file.base, known.file.scale, known.file.device) == (0.0, 1.0, None)
    assert known.file.words == "a device that its table does not describe"


def test_other_columns_are_refused(tmp_path):
    (tmp_path / LINES).write_text("kind,ms\nstem,2\n")
    with pytest.raises(UserError) as error:
        read_table(tmp_path)
    assert str(error.value) == f"{tmp_path / LINES}: its first line must be {HEAD}"


def test_what_is_written_of_a_device_is_read(tmp_path):
    shape = some_shape(random.Random(2))
    file = DeviceFile(device=DEVICE_HERE, base=0.5, scale=1.07)
    write_table(tmp_path, {shape: 0.125}, file)
    known = read_table(tmp_path)
    assert (known.entries, known.file) == ({shape: 0.125}, file)
    assert file.words == "Some Processor, torch 2.0, one thread"
    several = DEVICE_HERE.model_copy(update={"threads": 4, "batch": 8})
    write_device(tmp_path, DeviceFile(device=several))
    assert read_device(tmp_path).words == "Some Processor, torch 2.0, 4 threads, batches of 8"


@pytest.mark.parametrize(("text", "words"), [("a: [", "cannot be read"), ("scale: wide", "scale: ")])
def test_a_description_that_cannot_be_read(tmp_path, text, words):
    (tmp_path / DEVICE).write_text(text)
    with pytest.raises(UserError) as error:
        read_device(tmp_path)
    assert str(error.value).startswith(str(tmp_path / DEVICE))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
