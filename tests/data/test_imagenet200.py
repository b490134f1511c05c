"""Subsets of an ImageNet train folder, and the file that keeps them."""

import json
import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nars.data import open_data
from nars.errors import UserError
from nars.settings import ImagenetSubsetSettings, parse

CONF = Path(__file__).parents[2] / "conf" / "data" / "imagenet200.yaml"
SIZES = {f"n{i:08d}": 6 + i % 5 for i in range(12)}


def subset(root, *, split_file=None, **given):
    given = {"num_classes": 5, "val_images": 9} | given
    return open_data(ImagenetSubsetSettings(name="imagenet200", root=str(root), **given), split_file=split_file)


def parts(data):
    train = data.train_set(image_size=8, augmentation="none").names.tolist()
    return set(train), set(data.val_set(image_size=8).names.tolist())


def error_of(call, *args, **given):
    with pytest.raises(UserError) as caught:
        call(*args, **given)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def root(make_images, tmp_path):
    return make_images(tmp_path / "images", SIZES)


def test_shipped_configuration_asks_for_the_root(root):
    values = OmegaConf.load(CONF)
    assert OmegaConf.is_missing(values, "root")
    values.root = str(root)
    settings = parse(ImagenetSubsetSettings, OmegaConf.to_container(values), where="data")
    assert (settings.num_classes, settings.val_images) == (200, 10_000)  # paper


def test_split_is_disjoint_complete_and_stratified(root):
    data = subset(root)
    train, val = parts(data)
    assert (data.num_classes, data.val_size) == (5, 9)
    assert not train & val
    expected = {f"{name}/{name}_{i}.JPEG" for name in data.class_names for i in range(SIZES[name])}
    assert train | val == expected
    counts = [sum(path.startswith(name) for path in val) for name in data.class_names]
    assert set(counts) == {1, 2}


def test_split_depends_on_names_and_seed_and_not_on_place_or_order_of_the_directory(root, make_images, tmp_path):
    again = make_images(tmp_path / "again", dict(reversed(SIZES.items())), backwards=True)
    assert parts(subset(root)) == parts(subset(again))
    assert subset(root).fingerprint == subset(again).fingerprint
    assert len({subset(root, seed=seed).class_names for seed in range(10)}) > 5


def test_split_file_is_written_once_and_read_again(root, make_images, tmp_path):
    path = tmp_path / "runs" / "split.json"
    first = subset(root, split_file=path)
    written = path.read_bytes()
    assert sorted(os.listdir(path.parent)) == ["split.json"]
    # Classes that came later would be drawn by the same seed; the file keeps the split as it was.
    make_images(root, {f"m{i}": 8 for i in range(30)})
    assert subset(root).class_names != first.class_names
    second = subset(root, split_file=path)
    assert parts(first) == parts(second)
    assert (second.class_names, second.fingerprint) == (first.class_names, first.fingerprint)
    assert path.read_bytes() == written


def test_the_settings_file_goes_before_the_callers(root, tmp_path):
    subset(root, split_file=tmp_path / "callers.json")
    settings = ImagenetSubsetSettings(
        name="imagenet200", root=str(root), num_classes=5, val_images=9, split_file=str(tmp_path / "own.json")
    )
    open_data(settings, split_file=tmp_path / "unused.json")
    assert (tmp_path / "own.json").read_bytes() == (tmp_path / "callers.json").read_bytes()
    assert not (tmp_path / "unused.json").exists()


def test_split_file_of_other_settings_is_refused(root, tmp_path):
    path = tmp_path / "split.json"
    subset(root, split_file=path)
    advice = "delete the file to draw a new split, or name another with data.split_file"
    for key, value, drawn in (("num_classes", 4, 5), ("val_images", 8, 9), ("seed", 1, 0)):
        assert error_of(subset, root, split_file=path, **{key: value}) == (
            f"data.split_file: {path} was drawn with {key}={drawn}, but data.{key} is {value}; "
            f"set data.{key}={drawn}, or {advice}"
        )


def test_split_file_that_names_absent_images_or_classes_is_refused(root, tmp_path):
    path = tmp_path / "split.json"
    _, val = parts(subset(root, split_file=path))
    gone = sorted(val)[:2]
    for name in gone:
        (root / name).unlink()
    message = error_of(subset, root, split_file=path)
    assert message.startswith(
        f"data.split_file: {path} names {gone[0]} and 1 more, not in {root}; check data.root, or delete the file"
    )
    content = json.loads(path.read_text())
    content["val"]["n99999999"] = content["val"].pop(sorted(content["val"])[0])
    path.write_text(json.dumps(content))
    assert f"names n99999999, not in {root}" in error_of(subset, root, split_file=path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "cannot be read (Expecting property name"),
        ("[]", "holds no split"),
        ('{"seed": 0}', "missing"),
        ('{"num_classes": 5, "val_images": 9, "seed": 0, "val": {}}', "does not hold the classes and images that it"),
        ('{"num_classes": 5, "val_images": 9, "seed": 0, "val": {"a": [1]}}', "given 1"),
    ],
)
def test_a_file_that_holds_no_split_is_refused(content, expected, root, tmp_path):
    path = tmp_path / "split.json"
    path.write_text(content)
    message = error_of(subset, root, split_file=path)
    assert expected in message
    assert str(path) in message


def test_split_file_that_cannot_be_written(root, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "split.json"
    message = error_of(subset, root, split_file=path)
    assert message == f"data.split_file: {path} cannot be written (File exists); choose another place"


def test_more_classes_or_images_asked_than_there_are(root):
    assert error_of(subset, root, num_classes=13) == (
        f"data.num_classes: 13 classes asked, but {root} holds 12 class folders; "
        "set data.num_classes=12 or less, or check data.root"
    )
    total = sum(SIZES.values())
    message = error_of(subset, root, num_classes=12, val_images=10_000)
    assert message == (
        f"data.val_images: 10000 asked of {total} images in 12 classes; "
        f"allowed: 12 to {total - 12}, so that every class has images to train and to validate"
    )
    assert "data.val_images: 11 asked" in error_of(subset, root, num_classes=12, val_images=11)


def test_an_empty_chosen_class_is_named(root):
    for name in SIZES:
        (root / name / "more").mkdir()
    for path in (root / "n00000003").glob("*.JPEG"):
        path.unlink()
    assert f"class folder {root / 'n00000003'} holds no images" in error_of(subset, root, num_classes=12, val_images=12)


def test_real_images():
    folder = os.environ.get("NARS_TEST_IMAGES")
    if not folder:
        pytest.skip("NARS_TEST_IMAGES names no folder of <class>/<image> photos")
    data = subset(Path(folder).expanduser(), num_classes=20, val_images=100)
    assert (data.num_classes, data.val_size) == (20, 100)
    for augmentation in ("standard", "autoaugment"):
        loader = data.train_loader(image_size=64, batch_size=100, augmentation=augmentation, seed=0)
        images, _ = next(iter(loader))
        assert images.shape == (100, 3, 64, 64)
        assert abs(images.mean()) < 0.5
        assert 0.7 < images.std() < 1.6
    assert sum(len(labels) for _, labels in data.val_loader(image_size=64, batch_size=30)) == 100
