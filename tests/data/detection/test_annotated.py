"""COCO, VOC and YOLO: what is written is read, and what is wrong ends in one line before anything is trained."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pydantic import TypeAdapter

from nars.data.detection import open_detection_data
from nars.errors import UserError
from nars.settings import DetectionDataSettings

KINDS = ("coco", "voc", "yolo")


def opened(values: dict):
    return open_detection_data(TypeAdapter(DetectionDataSettings).validate_python(values))


def refused(values: dict) -> str:
    with pytest.raises(UserError) as error:
        opened(values)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def change_coco(values: dict, change, split: str = "train") -> None:
    file = Path(values["root"]) / "annotations" / f"instances_{split}.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_is_read(write_annotated, kind, seed):
    values, splits = write_annotated(kind, seed=seed)
    data = opened(values)
    assert data.class_names == ("ant", "bee", "cow")
    assert (data.train_size, data.val_size) == (6, 3)
    assert data.notes == ()
    sets = {"train": data.train_set(image_size=64, augmentation="none"), "val": data.val_set(image_size=64)}
    for split, images in splits.items():
        for index, image in enumerate(images):
            objects = sets[split].objects(index)
            expected = np.array(image["boxes"], dtype=np.float32).reshape(-1, 4)
            np.testing.assert_allclose(objects.boxes.numpy(), expected, atol=1e-3)
            assert objects.labels.tolist() == image["labels"]
            assert not objects.crowd.any()
            assert sets[split].image(index).shape[1:] == image["size"][::-1]
            assert int(sets[split].image(index)[0, 0, 0]) == 10 * index


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_changes_with_boxes_and_images_and_not_with_the_place(write_annotated, kind, tmp_path):
    values, _ = write_annotated(kind)
    first = opened(values).fingerprint
    moved = Path(values["root"]).rename(tmp_path / "elsewhere")
    values["root"] = str(moved)
    assert opened(values).fingerprint == first
    file = next(moved.rglob("*.png"))
    Image.new("RGB", Image.open(file).size, (200, 3, 3)).save(file)
    second = opened(values).fingerprint
    assert second != first
    (labels,) = {"coco": ["annotations/instances_train.json"], "voc": ["Annotations/train-0.xml"], "yolo": [None]}[kind]
    file = moved / labels if labels else moved / "labels" / "train" / "photo 0.txt"
    swapped = {"coco": ('"category_id": 1', '"category_id": 2'), "voc": ("ant", "bee"), "yolo": ("0 ", "1 ")}[kind]
    file.write_text(file.read_text().replace(*swapped, 1))
    assert opened(values).fingerprint not in (first, second)


def test_crowds_and_areas_of_coco_arrive_and_difficult_objects_of_voc_are_crowds(write_annotated):
    values, _ = write_annotated("coco")
    change_coco(values, lambda c: c["annotations"][1].update(iscrowd=1, area=7.0))
    data = opened(values)
    train = data.train_set(image_size=64, augmentation="none")
    objects = train.objects(0)
    assert objects.crowd.tolist() == [False, True, False]
    assert objects.area[1] == 7.0
    assert objects.area[0] == (objects.boxes[0, 2:] - objects.boxes[0, :2]).prod()
    _, targets = next(iter(data.train_loader(image_size=64, batch_size=6, augmentation="none", seed=0)))
    assert sorted(target["labels"].tolist() for target in targets if target["index"] == 0) == [[0, 2]]
    values, _ = write_annotated("voc")
    file = Path(values["root"]) / "Annotations" / "val-0.xml"
    file.write_text(file.read_text().replace("<difficult>0", "<difficult>1", 1))
    assert opened(values).val_set(image_size=64).objects(0).crowd.tolist() == [True, False, False]


def test_sparse_categories_are_numbered_anew_and_keep_their_numbers_in_results(write_annotated):
    values, splits = write_annotated("coco")
    for split in ("train", "val"):
        number = {1: 7, 2: 18, 3: 90}

        def renumber(content, number=number):
            for category in content["categories"]:
                category["id"] = number[category["id"]]
            for annotation in content["annotations"]:
                annotation["category_id"] = number[annotation["category_id"]]

        change_coco(values, renumber, split)
    data = opened(values)
    assert data.category_ids == (7, 18, 90)
    assert data.val_set(image_size=64).objects(0).labels.tolist() == splits["val"][0]["labels"]
    [note] = data.notes
    assert "3 categories are numbered 7 to 90 with gaps" in note


@pytest.mark.parametrize(
    ("split", "change", "words"),
    [
        ("val", lambda c: c["categories"][1].update(name="wasp"), "category id 2 is bee in "),
        ("val", lambda c: c["categories"].pop(), "category id 3 is cow in "),
        (
            "train",
            lambda c: c["categories"][0].update(name="BEE"),
            "called bee and BEE, which differ in case",
        ),
        ("train", lambda c: c["categories"][0].update(id=2), "category id 2 is there 2 times"),
        (
            "train",
            lambda c: c["annotations"][2].update(id=1),
            "1 annotation ids are there more than once",
        ),
        (
            "train",
            lambda c: c["annotations"][0].update(category_id=9),
            "annotation 1 has category_id 9, which",
        ),
        ("train", lambda c: c["annotations"][0].update(image_id=77), "annotation 1 has image_id 77, which"),
        ("train", lambda c: c["images"][1].update(id=1), "image id 1 is there twice"),
        ("train", lambda c: c["images"][1].update(file_name="gone.png"), "1 of 6 images are missing, the first: "),
        (
            "train",
            lambda c: c["annotations"][0].update(bbox=[5, 5, 0, 9]),
            "boxes of no area or outside",
        ),
        (
            "train",
            lambda c: c["annotations"][0].update(bbox=[500, 5, 9, 9]),
            "boxes of no area or outside",
        ),
        ("train", lambda c: c["annotations"][0].update(bbox=[5, 5, 300, 9]), "boxes that reach beyond their image"),
        ("val", lambda c: c["annotations"].clear(), "no box in 3 images"),
        ("val", lambda c: c.pop("categories"), "has no categories; a COCO file of objects has images"),
    ],
)
def test_what_is_wrong_in_a_coco_file_is_one_line(write_annotated, split, change, words):
    values, _ = write_annotated("coco")
    change_coco(values, change, split)
    message = refused(values)
    assert words in message
    assert f"instances_{split}.json" in message or "gone.png" in message


def test_left_top_right_bottom_in_a_coco_file_is_said(write_annotated):
    values, splits = write_annotated("coco")

    def corners(content):
        boxes = [box for image in splits["train"] for box in image["boxes"]]
        for annotation, box in zip(content["annotations"], boxes, strict=True):
            annotation["bbox"] = [box[0] + 20, box[1] + 20, box[2] + 20, box[3] + 20]
        for image in content["images"]:
            image.update(width=70, height=70)

    change_coco(values, corners)
    assert "boxes look like left, top, right, bottom" in refused(values)


def test_a_few_wrong_boxes_are_passed_over_and_said(write_annotated):
    values, _ = write_annotated("coco", images=150)
    change_coco(values, lambda c: c["annotations"][4].update(bbox=[5, 5, 0, 9]))
    change_coco(values, lambda c: c["annotations"][5].update(bbox=[-5, 3, 12, 9]))
    data = opened(values)
    assert ["left out" in note for note in data.notes] == [True, False]
    assert "that reach beyond their image" in data.notes[1]
    train = data.train_set(image_size=64, augmentation="none")
    boxes = torch.cat([train.objects(index).boxes for index in range(150)])
    assert boxes.min() == 0
    assert (boxes[:, 2:] > boxes[:, :2]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: (root / "JPEGImages" / "train-1.png").unlink(), "1 of 6 images are missing"),
        (lambda root: (root / "Annotations" / "train-1.xml").unlink(), "train-1.xml: no such file"),
        (
            lambda root: (root / "Annotations" / "train-1.xml").write_text("<a"),
            "cannot be read as an annotation",
        ),
        (
            lambda root: (root / "ImageSets" / "Main" / "val.txt").unlink(),
            "splits there: train (detection_data.val=",
        ),
        (lambda root: replace(root / "Annotations" / "val-0.xml", "ant", "wasp"), "class wasp is in no image of"),
        (lambda root: replace(root / "Annotations" / "val-0.xml", "ant", "ANT"), "ant and ANT, which differ in case"),
    ],
)
def test_what_is_wrong_in_voc_files_is_one_line(write_annotated, change, words):
    values, _ = write_annotated("voc")
    change(Path(values["root"]))
    assert words in refused(values)


LABELS = "labels/val/photo 0.txt"
GAPS = yaml.dump({"train": "images/train", "val": "images/val", "names": {0: "a", 2: "b"}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: (root / LABELS).write_text("7 .5 .5 .1 .1"), "line 1: class 7, but there are 3"),
        (lambda root: (root / LABELS).write_text("0 .5 .5 .1"), "line 1: 4 numbers; class, x, y, width"),
        (lambda root: (root / LABELS).write_text("ant .5 .5 .1 .1"), "line 1: not numbers"),
        (lambda root: (root / "labels" / "val").rename(root / "else"), "no label files; the labels of"),
        (lambda root: (root / "images" / "val").rename(root / "else"), "no such folder, nor a text file"),
        (lambda root: (root / "data.yaml").write_text("names: [a]"), "has no train; it must say where"),
        (lambda root: (root / "data.yaml").write_text(GAPS), "names are numbered [0, 2]; give 0 to 1"),
    ],
)
def test_what_is_wrong_in_yolo_files_is_one_line(write_annotated, change, words):
    values, _ = write_annotated("yolo")
    change(Path(values["root"]))
    assert words in refused(values)


def test_an_outline_in_a_yolo_file_is_the_box_around_it(write_annotated):
    values, splits = write_annotated("yolo")
    file = Path(values["root"]) / "labels" / "val" / "photo 0.txt"
    file.write_text("1 0.1 0.2 0.5 0.2 0.3 0.6\n")
    width, height = splits["val"][0]["size"]
    expected = torch.tensor([[0.1 * width, 0.2 * height, 0.5 * width, 0.6 * height]])
    torch.testing.assert_close(opened(values).val_set(image_size=64).objects(0).boxes, expected)


def test_an_image_of_another_size_than_annotated_is_named(write_annotated):
    values, _ = write_annotated("coco")
    change_coco(values, lambda c: c["images"][0].update(width=89, height=89))
    data = opened(values)
    with pytest.raises(UserError, match="its annotations say 89 x 89; boxes would be misplaced"):
        data.train_set(image_size=64, augmentation="none").image(0)


def replace(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text().replace(old, new))


def test_a_photo_that_its_exif_turns_has_its_boxes_where_it_is_upright(write_annotated):
    values, _ = write_annotated("yolo")
    file = Path(values["root"]) / "images" / "val" / "photo 0.png"
    turned = Image.new("RGB", (60, 40), "white")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(file, exif=exif)
    (Path(values["root"]) / LABELS).write_text("0 0.5 0.5 0.5 0.5")
    images = opened(values).val_set(image_size=64)
    assert images.image(0).shape == (3, 60, 40)
    assert images.objects(0).boxes.tolist() == [[10, 15, 30, 45]]
