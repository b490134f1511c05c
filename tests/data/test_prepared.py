"""Prepared images: what they keep of the originals, and what is said when they are not whole."""

import io
import os
import pickle
import shutil
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import ExifTags, Image
from rich.console import Console

from nars.commands.prepare import prepare_data
from nars.data import open_data
from nars.data.prepared import decode_fast
from nars.data.reading import load_image
from nars.data.shards import stored
from nars.errors import UserError
from nars.settings import FolderSettings, ImagenetSubsetSettings, PreparedSettings, PrepareSettings

SIZES = {"ant": 9, "bee": 7, "cow": 8}


def prepare(root, output, **given) -> tuple[Path, str]:
    """The prepared folder and what was shown."""
    data = given.pop("data", FolderSettings(name="folder", root=str(root), val_fraction=0.2))
    settings = PrepareSettings(data=data, output=str(output), **({"workers": 1} | given))
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=300, file=nowhere)
        return prepare_data(settings, console), console.export_text()


def prepared(root):
    return open_data(PreparedSettings(name="prepared", root=str(root)))


def error_of(call, *args, **given) -> str:
    with pytest.raises(UserError) as caught:
        call(*args, **given)
    message = str(caught.value)
    assert "\n" not in message
    return message


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(256, size=(6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.BICUBIC)


@pytest.fixture
def root(make_images, tmp_path):
    return make_images(tmp_path / "images", SIZES)


def batches(data, augmentation="standard", workers=0):
    given = {"image_size": 16, "batch_size": 4}
    train = data.train_loader(augmentation=augmentation, seed=0, workers=workers, **given)
    return [*train, *data.val_loader(workers=workers, **given)]


# --- what is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_small_images_split_and_order_stay_as_they_are(workers, root, tmp_path):
    output, text = prepare(root, tmp_path / "prepared", workers=workers)
    original = open_data(FolderSettings(name="folder", root=str(root), val_fraction=0.2))
    data = prepared(output)
    assert data.class_names == original.class_names
    assert (data.train_size, data.val_size) == (original.train_size, original.val_size) == (19, 5)
    for mine, theirs in zip(batches(data, workers=workers), batches(original), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert "19 images to train, 6 to 7 for each of 3 classes" in text
    assert "5 images to validate, 1 to 2 for each of 3 classes" in text
    assert f"data=prepared data.root={output}" in text


def test_large_images_get_the_short_side_and_look_the_same(tmp_path):
    for name in ("one", "two"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i, size in enumerate([(900, 600), (500, 1300), (641, 480)]):
            photo(*size, seed=i).save(tmp_path / "images" / name / f"{i}.{('jpg', 'png', 'webp')[i]}")
    settings = FolderSettings(name="folder", root=str(tmp_path / "images"), val_fraction=0.01)
    output, _ = prepare(None, tmp_path / "prepared", data=settings, short_side=96)
    files, originals = prepared(output), open_data(settings)
    small, large = (data.train_set(image_size=64, augmentation="standard") for data in (files, originals))
    assert len(small) == len(large) == 4
    for index in range(4):
        shape, before = small.pixels(index).shape, large.pixels(index).shape
        assert min(shape[1:]) == 96
        assert abs(shape[1] / shape[2] - before[1] / before[2]) < 0.02
        resized = torch.nn.functional.interpolate(large.pixels(index)[None], shape[1:], mode="bicubic", antialias=True)
        assert (small.pixels(index).float() - resized[0].float()).abs().mean() < 3
    validations = [data.val_set(image_size=64) for data in (files, originals)]
    for index in range(2):
        assert torch.equal(*(dataset.pixels(index) for dataset in validations)), "validation images must stay whole"


@pytest.mark.parametrize("kind", ["turned", "cmyk", "grey", "alpha", "progressive"])
def test_small_images_of_every_kind_look_as_they_did(kind, tmp_path):
    image, path, given = photo(60, 40), tmp_path / "image.jpg", {"quality": 95}
    if kind == "turned":
        given["exif"] = Image.Exif()
        given["exif"][ExifTags.Base.Orientation] = 3
    elif kind == "alpha":
        path = tmp_path / "image.png"
        image.putalpha(128)
    elif kind == "progressive":
        given["progressive"] = True
    else:
        image = image.convert({"cmyk": "CMYK", "grey": "L"}[kind])
    image.save(path, **given)
    content = path.read_bytes()
    pixels = decode_fast(stored(content, short_side=100, quality=95))
    expected = torch.tensor(np.asarray(load_image(path))).permute(2, 0, 1)
    assert pixels.shape == expected.shape == (3, 40, 60)
    assert (pixels.float() - expected.float()).abs().mean() < 3
    assert (stored(content, short_side=100, quality=95) == content) == (kind != "turned")
    assert stored(content, short_side=None, quality=95) == content


def test_a_subset_keeps_its_split_in_the_folder(make_images, tmp_path):
    root = make_images(tmp_path / "images", {f"n{i}": 6 for i in range(5)})
    settings = ImagenetSubsetSettings(name="imagenet200", root=str(root), num_classes=3, val_images=4, seed=1)
    output, _ = prepare(None, tmp_path / "prepared", data=settings)
    original = open_data(settings, split_file=output / "split.json")
    assert prepared(output).class_names == original.class_names
    assert prepared(output).val_size == 4
    assert all(torch.equal(a[0], b[0]) for a, b in zip(batches(prepared(output)), batches(original), strict=True))


def test_the_split_of_a_folder_can_be_repeated_on_the_originals(root, tmp_path):
    output, _ = prepare(root, tmp_path / "prepared")
    again = ImagenetSubsetSettings(
        name="imagenet200", root=str(root), num_classes=3, val_images=5, split_file=str(output / "split.json")
    )
    for mine, theirs in zip(batches(prepared(output)), batches(open_data(again)), strict=True):
        assert torch.equal(mine[0], theirs[0])


def test_data_sets_are_small_in_another_process(root, tmp_path):
    """A worker that is spawned gets paths, not pixels."""
    output, _ = prepare(root, tmp_path / "prepared")
    dataset = prepared(output).train_set(image_size=16, augmentation="autoaugment")
    content = pickle.dumps(dataset)
    assert len(content) < 30_000 < sum(file.stat().st_size for file in output.glob("*.arrow"))
    assert torch.equal(pickle.loads(content).pixels(3), dataset.pixels(3))


def test_what_is_found_and_passed_over_is_said(root, tmp_path):
    (root / "ant" / "ant_0.JPEG").rename(root / "ant" / "ant_0.jfif")
    (root / "bee" / "notes.txt").write_text("")
    (root / "bee" / ".thumbnails").mkdir()
    _, text = prepare(root, tmp_path / "prepared")
    assert "found 24 images (23 .jpeg, 1 .jfif)\n" in text
    assert text.count("passed over among the images: no images by name: 1 (1 .txt); hidden: 1\n") == 1


def test_refused_images_are_listed_and_long_ones_kept(root, tmp_path):
    Image.new("F", (4, 4)).save(root / "ant" / "levels.tif")
    Image.new("L", (4, 4)).save(root / "ant" / "flat.tga")
    _, text = prepare(root, tmp_path / "prepared", short_side=10)
    assert "left out 1 unreadable images" in text
    assert f"{root}/ant/levels.tif cannot be read as an image (grey levels as floating" in text
    file = io.BytesIO()
    Image.new("L", (80_000, 11), 9).save(file, "PNG")
    content = file.getvalue()
    assert stored(content, short_side=10, quality=90) is content, "no JPEG is that long"
    assert decode_fast(content).shape == (3, 11, 80_000)


# --- fingerprint ----------------------------------------------------------------------------------------------


def test_fingerprint_follows_images_split_and_form_and_not_the_place(root, tmp_path):
    first = prepared(prepare(root, tmp_path / "a")[0]).fingerprint
    shutil.move(tmp_path / "a", tmp_path / "moved")
    assert prepared(tmp_path / "moved").fingerprint == first
    shutil.copytree(root, tmp_path / "copy")
    assert prepared(prepare(tmp_path / "copy", tmp_path / "b")[0]).fingerprint == first
    others = [
        prepare(root, tmp_path / "c", quality=80)[0],
        prepare(root, tmp_path / "d", short_side=10)[0],
        prepare(root, tmp_path / "e", data=FolderSettings(name="folder", root=str(root), val_fraction=0.4))[0],
    ]
    photo(24, 20, seed=5).save(root / "bee" / "bee_3.JPEG")
    others.append(prepare(root, tmp_path / "f")[0])
    assert len({first, *(prepared(other).fingerprint for other in others)}) == 5


# --- doing it again -------------------------------------------------------------------------------------------


def stamps(output) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in output.glob("*.arrow")}


def test_only_what_changed_is_made_again(make_images, tmp_path):
    root = make_images(tmp_path / "images", {"ant": 300, "bee": 300})
    output, _ = prepare(root, tmp_path / "prepared")
    before, manifest = stamps(output), (output / "prepared.json").read_bytes()
    assert sorted(before) == ["train-00000.arrow", "train-00001.arrow", "val-00000.arrow"]
    (output / "prepared.json").unlink()  # as if killed before the end
    prepare(root, output)
    assert stamps(output) == before
    assert (output / "prepared.json").read_bytes() == manifest
    name = next(
        name for name in ("bee/bee_298.JPEG", "bee/bee_299.JPEG") if name not in (output / "split.json").read_text()
    )
    photo(24, 20).save(root / name)
    fingerprint = prepared(output).fingerprint
    prepare(root, output)
    assert {name for name, stamp in stamps(output).items() if stamp != before[name]} == {"train-00001.arrow"}
    assert prepared(output).fingerprint != fingerprint
    fewer = FolderSettings(name="folder", root=str(root), val_fraction=0.9)
    prepare(root, output, data=fewer)
    assert sorted(stamps(output)) == ["train-00000.arrow", "val-00000.arrow", "val-00001.arrow", "val-00002.arrow"]
    assert (prepared(output).train_size, prepared(output).val_size) == (60, 540)


def test_a_killed_preparation_goes_on(make_images, tmp_path):
    root = make_images(tmp_path / "images", {"ant": 700, "bee": 700})
    output = tmp_path / "prepared"
    process = get_context("fork").Process(target=prepare, args=(root, output))
    process.start()
    while not list(output.glob("*.arrow")):
        assert process.is_alive()
        time.sleep(0.005)
    process.kill()
    process.join()
    before = stamps(output)
    assert not (output / "prepared.json").exists()
    assert "holds no prepared.json" in error_of(prepared, output)
    prepare(root, output)
    assert {name: stamp for name, stamp in stamps(output).items() if name in before} == before
    assert prepared(output).train_size == 1120
    assert not list(output.glob("*.partial"))


# --- what is wrong --------------------------------------------------------------------------------------------


def test_unreadable_images_are_named_and_left_out_until_they_are_mended(root, tmp_path):
    broken = [root / "ant" / "ant_1.JPEG", root / "cow" / "cow_2.JPEG"]
    kept = [path.read_bytes() for path in broken]
    for path in broken:
        path.write_bytes(b"broken")
    output, text = prepare(root, tmp_path / "prepared")
    data = prepared(output)
    assert data.train_size + data.val_size == 22
    assert "left out 2 unreadable images" in text
    lines = (output / "unreadable.txt").read_text().splitlines()
    assert [line.startswith(f"{path} cannot be read as an image (") for line, path in zip(lines, broken, strict=True)]
    assert sum(len(labels) for _, labels in batches(data)) == data.train_size // 4 * 4 + data.val_size
    for path, content in zip(broken, kept, strict=True):
        path.write_bytes(content)
    _, text = prepare(root, output)
    assert prepared(output).train_size + prepared(output).val_size == 24
    assert "left out" not in text
    assert not (output / "unreadable.txt").exists()


def test_a_class_without_readable_images_is_named(make_images, tmp_path):
    root = make_images(tmp_path / "images", {"ant": 2, "bee": 2})
    for path in (root / "bee").iterdir():
        path.write_bytes(b"broken")
    message = error_of(prepare, root, tmp_path / "prepared", workers=2)
    assert message == f"no readable image of class bee is left to train; see {tmp_path}/prepared/unreadable.txt"


def test_a_shard_that_is_not_whole_or_of_another_preparation_is_refused(root, tmp_path):
    output, _ = prepare(root, tmp_path / "prepared")
    path = output / "train-00000.arrow"
    content = path.read_bytes()
    for broken in (b"", content[: len(content) // 2], b"x" * len(content)):
        path.write_bytes(broken)
        # In a process of its own: this one may have mapped the file.
        message = error_of(prepared, shutil.copytree(output, tmp_path / str(len(list(tmp_path.iterdir())))))
        assert "train-00000.arrow cannot be read (" in message
        assert message.endswith("; run prepare_data.py again")
    prepare(root, output)
    assert path.read_bytes() == content
    other, _ = prepare(root, tmp_path / "other", quality=50)
    shutil.copy(other / "train-00000.arrow", path)
    assert error_of(prepared, output).startswith(f"{path} is not the file that {output / 'prepared.json'} names; run")
    path.unlink()
    prepare(root, output)
    assert prepared(output).train_size == 19


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_decoded_is_named(workers, root, tmp_path):
    output, _ = prepare(root, tmp_path / "prepared")
    path = output / "train-00000.arrow"
    with pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).get_batch(0)
    start = path.read_bytes().index(batch["image"][0].as_py())
    with open(path, "r+b") as file:
        file.seek(start + 20)
        file.write(bytes(300))
    message = error_of(batches, prepared(output), workers=workers)
    assert message.startswith(f"{path}: image {batch['name'][0].as_py().decode()} cannot be decoded (")
    assert message.endswith("; delete this file, run prepare_data.py again")
    assert "identify" not in message, "Pillow was asked, which takes longer"


def test_a_folder_that_is_not_prepared(root, tmp_path):
    message = error_of(prepared, root)
    assert message.startswith(
        f"data.root: {root} holds no prepared.json, which is written once all is prepared; make it"
    )
    output, _ = prepare(root, tmp_path / "prepared")
    (output / "prepared.json").write_text("{")
    assert error_of(prepared, output).startswith(f"{output}/prepared.json cannot be read (")
    (output / "prepared.json").write_text("{}")
    assert error_of(prepared, output).startswith(f"{output}/prepared.json.source: missing")


def test_a_disk_that_is_full(root, tmp_path):
    """/dev/full refuses every write."""
    output = tmp_path / "prepared"
    output.mkdir()
    (output / "train-00000.partial").symlink_to("/dev/full")
    message = error_of(prepare, root, output)
    assert message == (
        f"{output}/train-00000.arrow cannot be written (No space left on device); "
        "what is finished is kept: make room and run the same command again"
    )


def test_an_output_that_cannot_be_made(root, tmp_path):
    (tmp_path / "file").write_text("")
    message = error_of(prepare, root, tmp_path / "file" / "prepared")
    assert message == f"output: {tmp_path}/file/prepared cannot be made (Not a directory); choose another place"
