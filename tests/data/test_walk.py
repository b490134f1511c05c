"""Which files are images: none of a system's, none twice, and a word about the others."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nars.data import open_data
from nars.data.reading import EXTENSIONS, load_image
from nars.data.walk import Walk
from nars.errors import UserError
from nars.settings import FolderSettings, ImagenetSubsetSettings

SIZES = {"ant": 6, "bee": 6}


def folder(root, **given):
    return open_data(FolderSettings(name="folder", root=str(root), **given))


def names(data) -> list[str]:
    return sorted(name for _, classes in data.files.values() for files in classes.values() for name in files)


def error_of(call, *args, **given) -> str:
    with pytest.raises(UserError) as caught:
        call(*args, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def root(make_images, tmp_path):
    return make_images(tmp_path / "images", SIZES)


PLAIN = sorted(f"{name}/{name}_{i}.JPEG" for name, size in SIZES.items() for i in range(size))


# --- as before ------------------------------------------------------------------------------------------------

# Fingerprints and split before links, hidden folders and formats were looked at.
GOLDEN_FILES = {
    "ant": ["1.jpg", "2.jpg", "10.JPEG", "b/3.png", "b/4.png", "b.c/5.webp", "z.tif"],
    "bee": ["x.bmp", "y.pgm", "z.ppm", "deep/er/a.tiff", "deep/a.jpg", "Deep.jpg"],
    "Cow": [f"{i}.jpg" for i in range(12)],
}


def test_folders_without_oddities_keep_fingerprint_split_and_order(tmp_path):
    files = [f"{label}/{name}" for label, names in GOLDEN_FILES.items() for name in names]
    for n, name in enumerate(files, start=1):
        path = tmp_path / "train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes((i * n + 7) % 251 for i in range(100 + 37 * n)))
    data = folder(tmp_path / "train", val_fraction=0.3)
    assert data.fingerprint == "6cd2543d8bee6e81"
    assert data.files["val"][1] == {
        "Cow": ["Cow/11.jpg", "Cow/7.jpg", "Cow/8.jpg", "Cow/9.jpg"],
        "ant": ["ant/2.jpg", "ant/b/3.png"],
        "bee": ["bee/Deep.jpg", "bee/z.ppm"],
    }
    assert data.passed_over == ""
    subset = ImagenetSubsetSettings(name="imagenet200", root=str(tmp_path / "train"), num_classes=2, val_images=4)
    assert open_data(subset).fingerprint == "3d6f718cdac192bc"
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    assert folder(tmp_path / "train", val_root=str(tmp_path / "val")).fingerprint == "2c00c5d9b8530521"


# --- hidden and of a system -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        *(".ipynb_checkpoints", ".thumbnails", ".Trash", ".git", "@eaDir", "#recycle", "@Recycle", "__MACOSX"),
        *("$RECYCLE.BIN", "System Volume Information", "lost+found"),
    ],
)
def test_hidden_and_system_folders_hold_no_images_at_any_depth(odd, root):
    image = root / "ant" / "ant_0.JPEG"
    (root / "bee" / "deep" / "er").mkdir(parents=True)
    for place in (root, root / "ant", root / "bee" / "deep" / "er"):
        (place / odd / "0.jpg").mkdir(parents=True)
        shutil.copy(image, place / odd / "copy.jpg")
        shutil.copy(image, place / odd / "0.jpg" / "SYNOPHOTO_THUMB_M.jpg")
    data = folder(root)
    assert data.class_names == ("ant", "bee")
    assert names(data) == PLAIN
    said = "hidden: 3" if odd.startswith(".") else f"system files and folders: 3 (3 {odd})"
    assert data.passed_over == f"passed over among the images: {said}"


def test_hidden_and_system_files_are_no_images(root):
    for name in ("._ant_0.JPEG", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (root / "ant" / name).write_bytes(b"odd")
    data = folder(root)
    assert names(data) == PLAIN
    assert data.passed_over == (
        "passed over among the images: system files and folders: 2 (1 Thumbs.db, 1 desktop.ini); hidden: 2"
    )


# --- formats --------------------------------------------------------------------------------------------------


def test_every_extension_that_the_decoder_reads_counts_in_any_case(root):
    kinds = {"jfif": "JPEG", "jpe": "JPEG", "gif": "GIF", "avif": "AVIF", "jp2": "JPEG2000", "apng": "PNG"}
    kinds |= {"tga": "TGA", "dib": "DIB", "pnm": "PPM", "qoi": "QOI", "mpo": "JPEG", "pcx": "PCX", "sgi": "SGI"}
    assert {f".{kind}" for kind in kinds} < EXTENSIONS
    image = Image.open(root / "ant" / "ant_0.JPEG").convert("RGB")
    for kind, form in kinds.items():
        image.save(root / "ant" / f"a.{kind}", form)
        image.save(root / "bee" / f"b.{kind.upper()}", form)
    data = folder(root)
    assert data.passed_over == ""
    assert names(data) == sorted([*PLAIN, *(f"ant/a.{k}" for k in kinds), *(f"bee/b.{k.upper()}" for k in kinds)])
    exact = {"png", "jp2", "apng", "tga", "dib", "pnm", "qoi", "pcx", "sgi"}
    for kind in kinds:
        read = np.asarray(load_image(root / "ant" / f"a.{kind}")).astype(int)
        assert np.abs(read - np.asarray(image)).mean() <= (0 if kind in exact - {"jp2"} else 40), kind


def test_no_format_that_runs_programs_or_holds_no_photo_is_read():
    assert not EXTENSIONS & {".eps", ".ps", ".wmf", ".h5", ".fits", ".mpg", ".ico", ".psd", ".pdf", ".svg"}


def test_other_files_are_counted_by_their_extension(root):
    for name in ["1.heic", "2.HEIC", "3.heic", "notes.txt", "README", "half.jpg.part"]:
        (root / "ant" / name).write_bytes(b"")
    shutil.copy(root / "ant" / "ant_0.JPEG", root / "outside.jpg")
    (root / "about.txt").write_text("not within a class")
    os.mkfifo(root / "bee" / "pipe.jpg")
    data = folder(root)
    assert names(data) == PLAIN
    assert data.passed_over == (
        "passed over among the images: no images by name: 6 (3 .heic, 1 .part, 1 .txt, 1 without extension); "
        "images outside class folders: 1; neither file nor folder: 1"
    )
    for i in range(20):
        (root / "ant" / f"x.k{i:02d}").write_bytes(b"")
    assert "(3 .heic, 1 .k00, 1 .k01, 1 .k02, 1 .k03, 1 .k04, 1 .k05, 1 .k06, 16 others)" in folder(root).passed_over


def test_a_class_of_other_formats_is_refused_with_what_it_holds(root):
    for path in (root / "ant").iterdir():
        path.rename(path.with_suffix(".heic"))
    message = error_of(folder, root)
    assert message.startswith(f"data.root: class folder {root}/ant holds no images (.apng .avif")
    assert "; passed over among the images: no images by name: 6 (6 .heic)), needed 2; add images" in message


# --- links ----------------------------------------------------------------------------------------------------


def said(data) -> str:
    return data.passed_over.removeprefix("passed over among the images: ")


def test_links_to_folders_that_are_walked_anyway_lead_nowhere(root):
    """Cycles too."""
    (root / "ant" / "again").symlink_to(root / "bee")  # before bee is walked
    (root / "bee" / "up").symlink_to("..")
    (root / "bee" / "self").symlink_to(".")
    (root / "bee" / "above").symlink_to(root.parent.parent)
    (root / "cat").symlink_to("ant")
    (root / "a bee").symlink_to("bee")  # which stays, though it is listed later
    (root / "all").symlink_to(root)
    (root / "above").symlink_to(root.parent)
    data = folder(root)
    assert data.class_names == ("ant", "bee")
    assert names(data) == PLAIN
    assert said(data) == "listed before under another name: 8"


def test_a_folder_elsewhere_is_walked_once(root, make_images):
    pool = make_images(root.parent / "pool", {"more": 3})
    (pool / "more" / "loop").symlink_to(pool)
    (root / "ant" / "one").symlink_to(pool / "more")
    (root / "ant" / "two").symlink_to(pool)
    (root / "bee" / "three").symlink_to(root / "ant" / "one")
    assert names(folder(root)) == sorted([*PLAIN, *(f"ant/one/more_{i}.JPEG" for i in range(3))])
    (root / "dog").symlink_to(pool / "more")  # a class goes before what lies deeper
    assert names(folder(root)) == sorted([*PLAIN, *(f"dog/more_{i}.JPEG" for i in range(3))])


def test_a_class_may_be_a_link(root, make_images):
    pool = make_images(root.parent / "pool", {"more": 3})
    (root / "cat").symlink_to(pool / "more")
    data = folder(root)
    assert data.class_names == ("ant", "bee", "cat")
    assert names(data) == sorted([*PLAIN, *(f"cat/more_{i}.JPEG" for i in range(3))])
    assert data.passed_over == ""


def test_a_file_counts_once_under_its_own_name(root, tmp_path):
    (root / "ant" / "0_first.jpg").symlink_to(root / "bee" / "bee_0.JPEG")
    os.link(root / "bee" / "bee_1.JPEG", root / "bee" / "z.jpg")
    shutil.copy(root / "ant" / "ant_0.JPEG", tmp_path / "elsewhere.jpg")
    for label in ("ant", "bee"):
        (root / label / "elsewhere.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (root / "ant" / "blob.jpg").symlink_to(tmp_path / "blob")
    (root / "ant" / "lost.jpg").symlink_to(tmp_path / "nowhere")
    (root / "ant" / "ring.jpg").symlink_to("ring.jpg")
    shutil.copy(root / "ant" / "ant_1.JPEG", tmp_path / "blob")
    data = folder(root)
    assert names(data) == sorted([*PLAIN, "ant/elsewhere.jpg", "ant/blob.jpg"])
    assert said(data) == "broken links: 2; listed before under another name: 3"


def test_a_dataset_of_links_into_a_store_is_as_one_of_files(root, tmp_path):
    store = tmp_path / "store"
    plain = names(folder(root))
    for i, name in enumerate(plain):
        store.mkdir(exist_ok=True)
        shutil.move(root / name, store / f"{i:040x}")
        (root / name).symlink_to(store / f"{i:040x}")
    data = folder(root)
    assert names(data) == plain
    assert data.passed_over == ""


def test_what_validates_is_not_trained_on(root, make_images):
    val = make_images(root.parent / "val", {"ant": 1, "bee": 1})
    (val / "ant" / "linked.jpg").symlink_to(root / "ant" / "ant_2.JPEG")
    os.link(root / "bee" / "bee_3.JPEG", val / "bee" / "linked.jpg")
    data = folder(root, val_root=str(val))
    assert [name for files in data.files["val"][1].values() for name in files] == [
        "ant/ant_0.JPEG", "ant/linked.jpg", "bee/bee_0.JPEG", "bee/linked.jpg",
    ]  # fmt: skip
    train = {name for files in data.files["train"][1].values() for name in files}
    assert train == set(PLAIN) - {"ant/ant_2.JPEG", "bee/bee_3.JPEG"}
    assert said(data) == "listed before under another name: 2"
    for label in SIZES:
        shutil.rmtree(val / label)
        (val / label).symlink_to(root / label)
    message = error_of(folder, root, val_root=str(val))
    assert message.startswith(f"data.root: class folder {root}/ant holds no images (")
    assert "listed before under another name: 2" in message


def test_a_folder_that_cannot_be_listed_is_named(root, monkeypatch):
    """A file system that fails: root may list everything."""
    scandir = os.scandir

    def failing(path):
        if str(path).endswith("bee"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    assert error_of(folder, root) == (
        f"data.root: {root}/bee cannot be listed (Permission denied); check its permissions"
    )


def test_every_class_is_walked_once_for_a_subset_too(root):
    (root / "ant" / "@eaDir").mkdir()
    settings = ImagenetSubsetSettings(name="imagenet200", root=str(root), num_classes=2, val_images=4)
    assert open_data(settings).passed_over.endswith("system files and folders: 1 (1 @eaDir)")


def test_a_walk_counts_from_zero(root):
    walk = Walk()
    assert str(walk.passed_over) == ""
    assert walk.classes(Path(root), where="data.root") == ["ant", "bee"]
