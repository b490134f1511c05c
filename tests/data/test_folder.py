"""Class folders: what is read, how it is split, and what people are told."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from nars.data import open_data
from nars.errors import UserError
from nars.settings import FolderSettings, parse

CONF = Path(__file__).parents[2] / "conf" / "data" / "folder.yaml"
SIZES = {"ant": 10, "bee": 12, "cow": 20}


def folder(root, **given):
    return open_data(FolderSettings(name="folder", root=str(root), **given))


def error_of(call, *args, **given):
    with pytest.raises(UserError) as caught:
        call(*args, **given)
    message = str(caught.value)
    assert "\n" not in message
    return message


def parts(data):
    """Relative names of the train and of the validation images."""
    train = data.train_set(image_size=8, augmentation="none").names.tolist()
    return set(train), set(data.val_set(image_size=8).names.tolist())


def test_shipped_configuration_asks_for_the_root_and_opens_with_one(make_images, tmp_path):
    values = OmegaConf.load(CONF)
    assert OmegaConf.is_missing(values, "root")
    values.root = str(make_images(tmp_path, SIZES))
    settings = parse(FolderSettings, OmegaConf.to_container(values), where="data")
    data = open_data(settings)
    assert data.class_names == ("ant", "bee", "cow")
    assert (data.num_classes, data.train_size, data.val_size) == (3, 37, 5)


# --- split ----------------------------------------------------------------------------------------------------


def test_split_is_disjoint_complete_and_stratified(make_images, tmp_path):
    train, val = parts(folder(make_images(tmp_path, SIZES), val_fraction=0.3))
    assert not train & val
    assert train | val == {f"{name}/{name}_{i}.JPEG" for name, size in SIZES.items() for i in range(size)}
    per_class = {name: sum(path.startswith(name) for path in val) for name in SIZES}
    assert per_class == {"ant": 3, "bee": 4, "cow": 6}


def test_split_depends_on_names_and_seed_and_not_on_place_or_order_of_the_directory(make_images, tmp_path):
    first = folder(make_images(tmp_path / "first", SIZES))
    backwards = dict(reversed(SIZES.items()))
    second = folder(make_images(tmp_path / "else" / "where", backwards, backwards=True))
    assert parts(first) == parts(second)
    assert first.fingerprint == second.fingerprint
    others = [folder(tmp_path / "first", seed=seed) for seed in range(5)]
    assert len({data.fingerprint for data in others}) == 5


def test_fingerprint_tells_resized_copies_missing_images_and_other_splits_apart(make_images, tmp_path):
    make_images(tmp_path / "a", SIZES)
    make_images(tmp_path / "resized", SIZES)
    for path in (tmp_path / "resized").glob("*/*"):
        Image.open(path).resize((12, 10)).save(path)
    make_images(tmp_path / "fewer", SIZES | {"cow": 19})
    datas = [folder(tmp_path / name) for name in ("a", "resized", "fewer")]
    datas += [folder(tmp_path / "a", val_fraction=0.4), folder(tmp_path / "a", val_root=str(tmp_path / "fewer"))]
    assert len({data.fingerprint for data in datas}) == 5


def test_fingerprint_tells_one_replaced_image_even_of_the_same_size(make_images, tmp_path):
    root = make_images(tmp_path, SIZES)
    before, name = folder(root).fingerprint, "cow/cow_13.JPEG"
    content = (root / name).read_bytes()
    (root / name).write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    assert folder(root).fingerprint != before
    (root / name).write_bytes(content)
    assert folder(root).fingerprint == before
    for kind in ("first", "second"):
        Image.fromarray(np.full((60, 60, 3), len(kind), dtype=np.uint8)).save(root / "ant" / f"{kind}.bmp")
    with_bitmaps = folder(root).fingerprint
    Image.fromarray(np.full((60, 60, 3), 7, dtype=np.uint8)).save(root / "ant" / "second.bmp")
    assert folder(root).fingerprint != with_bitmaps
    data = folder(root)
    (root / "ant" / "second.bmp").unlink()
    assert error_of(lambda: data.fingerprint).startswith(f"{root}/ant/second.bmp cannot be read (No such file")


def test_own_validation_folder(make_images, tmp_path):
    root, val_root = make_images(tmp_path / "train", SIZES), make_images(tmp_path / "val", dict.fromkeys(SIZES, 1))
    data = folder(root, val_root=str(val_root))
    assert (data.train_size, data.val_size) == (42, 3)
    images, labels = next(iter(data.val_loader(image_size=8, batch_size=9)))
    assert images.shape == (3, 3, 8, 8)
    assert labels.tolist() == [0, 1, 2]


def test_hidden_and_other_files_are_no_images_and_deeper_folders_count(make_images, tmp_path):
    make_images(tmp_path, SIZES)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README.txt").write_text("about")
    (tmp_path / "ant" / "notes.txt").write_text("about ants")
    (tmp_path / "ant" / "._ant_0.JPEG").write_bytes(b"left by macOS")
    (tmp_path / "ant" / "images").mkdir()
    os.rename(tmp_path / "ant" / "ant_0.JPEG", tmp_path / "ant" / "images" / "ant_0.PNG")
    train, val = parts(folder(tmp_path))
    assert len(train | val) == 42
    assert "ant/images/ant_0.PNG" in train | val


def test_names_outside_ascii_and_outside_utf8(make_images, tmp_path):
    make_images(tmp_path, SIZES)
    odd = [os.path.join(os.fsencode(tmp_path), b"ant", name) for name in ("blåbær.jpg".encode(), b"caf\xe9.jpg")]
    for path in odd:
        shutil.copy(tmp_path / "cow" / "cow_0.JPEG", path)
    data = folder(tmp_path)
    assert data.train_size + data.val_size == 44
    assert len(data.fingerprint) == 16
    assert sum(len(labels) for _, labels in data.val_loader(image_size=8, batch_size=5)) == data.val_size


# --- reading --------------------------------------------------------------------------------------------------


def test_validation_resizes_the_short_side_and_takes_the_centre(tmp_path):
    pixels = np.zeros((64, 200, 3), dtype=np.uint8)
    pixels[:, 68:132] = 255  # the central square
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    images, _ = next(iter(folder(tmp_path).val_loader(image_size=56, batch_size=2)))
    assert images.shape == (2, 3, 56, 56)
    assert (images == 255).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named_in_one_line_by_loaders_too(workers, make_images, tmp_path):
    make_images(tmp_path, SIZES)
    for path in (tmp_path / "bee").iterdir():
        path.write_bytes(b"broken")
    loader = folder(tmp_path).train_loader(image_size=8, batch_size=8, augmentation="none", seed=0, workers=workers)
    message = error_of(list, loader)
    assert message.startswith(f"{tmp_path / 'bee' / 'bee_'}")
    assert "cannot be read as an image (cannot identify image file" in message


# --- what people are told -------------------------------------------------------------------------------------


def test_root_that_is_not_there_or_is_no_folder(tmp_path):
    absent, file = tmp_path / "absent", tmp_path / "images.tar"
    file.write_bytes(b"")
    advice = "give a folder that holds one folder of images per class"
    assert error_of(folder, absent) == f"data.root: {absent} does not exist; {advice}"
    assert error_of(folder, file) == f"data.root: {file} is a file, not a folder (unpack an archive first); {advice}"


def test_root_without_class_folders(make_images, tmp_path):
    (tmp_path / "picture.jpg").write_bytes(b"")
    message = error_of(folder, tmp_path)
    assert message == f"data.root: {tmp_path} holds no class folders; expected {tmp_path}/<class>/<image>"


def test_root_that_holds_train_and_val_folders(make_images, tmp_path):
    make_images(tmp_path / "train", SIZES)
    make_images(tmp_path / "val", SIZES)
    message = error_of(folder, tmp_path)
    assert message == (
        f"data.root: {tmp_path} holds train, val instead of one folder per class; "
        f"give one of these folders (data.root={tmp_path}/train)"
    )
    assert f"(data.val_root={tmp_path}/val)" in error_of(folder, tmp_path / "train", val_root=str(tmp_path))


def test_one_class_cannot_be_trained(make_images, tmp_path):
    message = error_of(folder, make_images(tmp_path, {"ant": 5}))
    assert message == f"data.root: {tmp_path} holds one class folder, ant; training needs at least two classes"


def test_empty_class_folder_is_named(make_images, tmp_path):
    make_images(tmp_path, SIZES)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "dog.heic").write_bytes(b"")
    message = error_of(folder, tmp_path)
    assert message.startswith(f"data.root: class folder {tmp_path / 'dog'} holds no images (.apng .avif")
    assert message.endswith("needed 2; add images or remove the folder")


def test_class_with_one_image_cannot_be_split_but_can_be_trained(make_images, tmp_path):
    make_images(tmp_path / "train", {"ant": 1, "bee": 1, "cow": 5})
    message = error_of(folder, tmp_path / "train")
    assert "ant holds 1 image (" in message
    assert "needed 2, and 1 more class like it; add" in message
    make_images(tmp_path / "val", SIZES)
    assert folder(tmp_path / "train", val_root=str(tmp_path / "val")).train_size == 7


def test_validation_classes_must_be_the_train_classes(make_images, tmp_path):
    root = make_images(tmp_path / "train", SIZES)
    more = make_images(tmp_path / "more", SIZES | {"dog": 1, "eel": 1})
    less = make_images(tmp_path / "less", {"ant": 1, "cow": 1})
    rule = "both must hold the same class folders"
    assert error_of(folder, root, val_root=str(more)) == (
        f"data.val_root: class dog and 1 more of {more} is not in {root}; {rule}"
    )
    assert error_of(folder, root, val_root=str(less)) == f"data.val_root: class bee of {root} is not in {less}; {rule}"
    assert "is data.root itself" in error_of(folder, root, val_root=str(root))
    assert error_of(folder, root, val_root=str(tmp_path / "no")).startswith("data.val_root: ")


def test_unknown_augmentation_is_refused(make_images, tmp_path):
    data = folder(make_images(tmp_path, SIZES))
    message = error_of(data.train_loader, image_size=8, batch_size=2, augmentation="cutmix", seed=0)
    assert message.startswith(
        "data=folder offers no augmentation cutmix; allowed: none, standard, autoaugment, randaugment ("
    )
