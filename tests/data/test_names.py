"""Class names that look the same are told apart in words."""

import shutil

import pytest

from nars.data import open_data
from nars.data.names import difference, first_alike, nearly, shown
from nars.errors import UserError
from nars.settings import FolderSettings, ImagenetSubsetSettings
from nars.training.weights.accuracy import outputs_of_classes

COMPOSED, DECOMPOSED = "caf\xe9", "cafe\u0301"


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        (COMPOSED, DECOMPOSED, "in Unicode normal form"),
        ("cat", "cat ", "in spaces"),
        ("black cat", "black\xa0cat", "in spaces"),
        ("cat", "c\u200bat", "in characters that take no room"),
        ("cat", "cat\ufeff", "in characters that take no room"),
        ("cat", "Cat", "in capital letters"),
        ("cat", "Cat ", "in several respects"),
    ],
)
def test_how_names_differ(one, other, how):
    assert difference(one, other) == difference(other, one) == how
    assert nearly(one, ["dog", other]) == other
    visible = how == "in capital letters" or "C" in other
    assert first_alike(["dog", one, other]) == (None if visible else (one, other))


def test_other_names_are_not_alike_and_are_shown_as_they_are():
    for name in ("cat", COMPOSED, "black cat", "日本", "O'Brien", "a=b"):
        assert shown(name) == name
        assert nearly(name, ["dog", "cut", "cafe"]) is None
    for name in (DECOMPOSED, "cat ", "c\u200bat", "a\nb", "\udce9"):
        assert shown(name) == ascii(name) != name


def error_of(**given) -> str:
    with pytest.raises(UserError) as caught:
        open_data(FolderSettings(name="folder", **given))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_train_and_val_folders_with_names_that_look_the_same(make_images, tmp_path):
    train = make_images(tmp_path / "train", {COMPOSED: 2, "dog": 2})
    val = make_images(tmp_path / "val", {DECOMPOSED: 2, "dog": 2})
    assert error_of(root=str(train), val_root=str(val)) == (
        f"data.val_root: class 'cafe\\u0301' (there is 'caf\\xe9', which differs in Unicode normal form) of {val} "
        f"is not in {train}; both must hold the same class folders"
    )
    shutil.move(val / DECOMPOSED, val / COMPOSED)
    shutil.move(val / "dog", val / "dog ")
    assert "class 'dog ' (there is 'dog', which differs in spaces) of" in error_of(root=str(train), val_root=str(val))
    shutil.move(val / "dog ", val / "Dog")
    message = error_of(root=str(train), val_root=str(val))
    assert "class 'Dog' (there is 'dog', which differs in capital letters) of" in message


def test_weights_and_split_files_of_names_that_look_the_same(make_images, tmp_path):
    with pytest.raises(
        UserError, match=r"class 'cafe\\u0301' \(there is 'caf\\xe9', which differs in Unicode normal form\)"
    ):
        outputs_of_classes(["dog", DECOMPOSED], ["dog", COMPOSED], num_outputs=2)
    root = make_images(tmp_path / "images", {COMPOSED: 3, "dog": 3})
    given = {"name": "imagenet200", "root": str(root), "num_classes": 2, "val_images": 2}
    settings = ImagenetSubsetSettings(**given, split_file=str(tmp_path / "split.json"))
    open_data(settings)
    shutil.move(root / COMPOSED, root / DECOMPOSED)
    with pytest.raises(
        UserError, match=r"names 'caf\\xe9' \(there is 'cafe\\u0301', which differs in Unicode normal form\)"
    ):
        open_data(settings)


def test_two_classes_that_look_the_same_are_refused(make_images, tmp_path):
    make_images(tmp_path, {COMPOSED: 2, DECOMPOSED: 2, "dog": 2})
    assert error_of(root=str(tmp_path)) == (
        f"data.root: {tmp_path} holds class folders that look the same, 'cafe\\u0301' and 'caf\\xe9', which differ "
        "in Unicode normal form; merge them or rename one"
    )
    shutil.rmtree(tmp_path / DECOMPOSED)
    make_images(tmp_path, {"Dog": 2, "d og": 2})
    data = open_data(FolderSettings(name="folder", root=str(tmp_path)))
    assert data.class_names == ("Dog", COMPOSED, "d og", "dog"), "letters in capitals are seen"
