"""Images with random boxes, written in every format."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

NAMES = ("ant", "bee", "cow")


def random_images(seed: int, *, images: int) -> list[dict]:
    """By image: name, width, height, and rows of whole-numbered boxes with a class, the first with one of each."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(images):
        width, height = (int(side) for side in rng.integers(40, 90, 2))
        count = 3 if number == 0 else int(rng.integers(0, 4)) + (number == 1)
        corners = rng.integers(0, 20, (count, 2))
        ends = corners + rng.integers(2, 20, (count, 2))
        labels = range(3) if number == 0 else rng.integers(0, 3, count).tolist()
        boxes = np.hstack([corners, ends]).tolist()
        made.append({"name": f"photo {number}", "size": (width, height), "boxes": boxes, "labels": list(labels)})
    return made


def save_images(folder: Path, images: list[dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        width, height = image["size"]
        pixels = np.full((height, width, 3), 10 * number % 255, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{image['name']}.png")


def coco_file(images: list[dict], *, ids=(1, 2, 3)) -> dict:
    annotations = []
    for number, image in enumerate(images, start=1):
        for (left, top, right, bottom), label in zip(image["boxes"], image["labels"], strict=True):
            box = [left, top, right - left, bottom - top]
            key = len(annotations) + 1
            annotations.append({"id": key, "image_id": number, "category_id": ids[label], "bbox": box})
    listed = [
        {"id": number, "file_name": f"{image['name']}.png", "width": image["size"][0], "height": image["size"][1]}
        for number, image in enumerate(images, start=1)
    ]
    categories = [{"id": number, "name": name} for number, name in zip(ids, NAMES, strict=True)]
    return {"images": listed, "annotations": annotations, "categories": categories}


def write_coco(root: Path, splits: dict[str, list[dict]]) -> dict:
    for split, images in splits.items():
        save_images(root / split, images)
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco_file(images)))
    return {"name": "coco", "root": str(root), "train": "train", "val": "val"}


def write_voc(root: Path, splits: dict[str, list[dict]]) -> dict:
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for split, images in splits.items():
        own = [image | {"name": f"{split}-{number}"} for number, image in enumerate(images)]
        save_images(root / "JPEGImages", own)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{image['name']}\n" for image in own))
        for image in own:
            (root / "Annotations" / f"{image['name']}.xml").write_text(voc_xml(image))
    return {"name": "voc", "root": str(root)}


def voc_xml(image: dict) -> str:
    size = "<size><width>{}</width><height>{}</height><depth>3</depth></size>".format(*image["size"])
    objects = "".join(
        f"<object><name>{NAMES[label]}</name><difficult>0</difficult><bndbox><xmin>{left + 1}</xmin>"
        f"<ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for (left, top, right, bottom), label in zip(image["boxes"], image["labels"], strict=True)
    )
    return f"<annotation>{size}{objects}</annotation>"


def write_yolo(root: Path, splits: dict[str, list[dict]]) -> dict:
    for split, images in splits.items():
        save_images(root / "images" / split, images)
        (root / "labels" / split).mkdir(parents=True)
        for image in images:
            if image["boxes"]:
                (root / "labels" / split / f"{image['name']}.txt").write_text(yolo_lines(image))
    (root / "data.yaml").write_text(yaml.dump({"train": "images/train", "val": "images/val", "names": list(NAMES)}))
    return {"name": "yolo", "root": str(root)}


def yolo_lines(image: dict) -> str:
    width, height = image["size"]
    return "".join(
        f"{label} {(left + right) / 2 / width} {(top + bottom) / 2 / height} {(right - left) / width} "
        f"{(bottom - top) / height}\n"
        for (left, top, right, bottom), label in zip(image["boxes"], image["labels"], strict=True)
    )


WRITERS = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}


@pytest.fixture
def write_annotated(tmp_path):
    """A function: values of settings of random images, written in a format, and these images by split."""

    def write(kind: str, *, seed: int = 0, images: int = 6) -> tuple[dict, dict[str, list[dict]]]:
        splits = {"train": random_images(seed, images=images), "val": random_images(seed + 100, images=images // 2)}
        return WRITERS[kind](tmp_path / f"{kind}-{seed}", splits), splits

    return write
