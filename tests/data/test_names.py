"""Class names that look the same are told apart in words."""

import shutil

import pytest

from nars.data import open_data
from nars.data.names import difference, first_alike, nearly, shown
from nars.errors import UserError
from nars.settings import FolderSettings

COMPOSED, DECOMPOSED = "caf\xe9", "cafe\u0301"


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        (COMPOSED, DECOMPOSED, "in their Unicode normal form"),
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
        f"data.val_root: class 'cafe\\u0301' of {val} is not in {train}, which holds 'caf\\xe9': they differ "
        "in their Unicode normal form; both must hold the same class folders"
    )
    shutil.move(val / DECOMPOSED, val / COMPOSED)
    shutil.move(val / "dog", val / "dog ")
    assert "class 'dog ' of" in error_of(root=str(train), val_root=str(val))
    assert "which holds 'dog': they differ in spaces;" in error_of(root=str(train), val_root=str(val))
    shutil.move(val / "dog ", val / "Dog")
    assert "they differ in capital letters;" in error_of(root=str(train), val_root=str(val))


def test_two_classes_that_look_the_same_are_refused(make_images, tmp_path):
    make_images(tmp_path, {COMPOSED: 2, DECOMPOSED: 2, "dog": 2})
    assert error_of(root=str(tmp_path)) == (
        f"data.root: {tmp_path} holds class folders that look the same, 'cafe\\u0301' and 'caf\\xe9', which differ "
        "in their Unicode normal form; merge them or rename one"
    )
    shutil.rmtree(tmp_path / DECOMPOSED)
    make_images(tmp_path, {"Dog": 2, "d og": 2})
    data = open_data(FolderSettings(name="folder", root=str(tmp_path)))
    assert data.class_names == ("Dog", COMPOSED, "d og", "dog"), "letters in capitals are seen"
