"""Images annotated as COCO has it: one JSON file a split."""

import json
from collections import Counter
from pathlib import Path

from nars.data.detection.annotated import Annotated, AnnotatedFiles, check_names
from nars.errors import UserError
from nars.settings import CocoSettings


class Coco(AnnotatedFiles):
    """Whose categories keep their own numbers in files of results."""

    category_ids: tuple[int, ...] = ()


def open_coco(settings: CocoSettings) -> Coco:
    """The images of both splits; UserError for all that can be wrong with their annotations."""
    files = {split: _annotation_file(settings, split) for split in ("train", "val")}
    contents = {split: _read(file) for split, file in files.items()}
    categories = {split: _categories(contents[split], where=str(files[split])) for split in files}
    _check_same(categories["train"], categories["val"], files)
    ids = sorted(categories["train"])
    splits = {
        split: _annotated(contents[split], ids, folder=_images(settings, split), where=str(files[split]))
        for split in files
    }
    notes = [] if ids in (list(range(len(ids))), list(range(1, len(ids) + 1))) else [_sparse(ids, files["train"])]
    data = Coco(**splits, class_names=[categories["train"][number] for number in ids], notes=notes)
    data.category_ids = tuple(ids)
    return data


def _annotation_file(settings: CocoSettings, split: str) -> Path:
    given = getattr(settings, f"{split}_annotations")
    name = f"instances_{getattr(settings, split)}.json"
    file = Path(given) if given else Path(settings.root) / "annotations" / name
    if not file.is_file():
        raise UserError(
            f"{file}: no such file; detection_data.root must hold annotations/{name}, or give "
            f"detection_data.{split}_annotations=..."
        )
    return file


def _images(settings: CocoSettings, split: str) -> Path:
    return Path(getattr(settings, f"{split}_folder") or Path(settings.root) / getattr(settings, split))


def _read(file: Path) -> dict:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({str(error).partition(chr(10))[0]})") from None
    missing = [key for key in ("images", "annotations", "categories") if key not in content]
    if missing:
        raise UserError(f"{file}: has no {missing[0]}; a COCO file of objects has images, annotations and categories")
    return content


def _categories(content: dict, *, where: str) -> dict[int, str]:
    """Names by number."""
    numbers = Counter(category["id"] for category in content["categories"])
    if twice := [number for number, count in numbers.items() if count > 1]:
        raise UserError(f"{where}: category id {twice[0]} is there {numbers[twice[0]]} times; give each its own")
    check_names([category["name"] for category in content["categories"]], where=where)
    return {category["id"]: category["name"] for category in content["categories"]}


def _check_same(train: dict[int, str], val: dict[int, str], files: dict[str, Path]) -> None:
    if train == val:
        return
    number = min(number for number in train.keys() | val.keys() if train.get(number) != val.get(number))
    said = [f"{split.get(number, 'nothing')} in {files[name]}" for name, split in (("train", train), ("val", val))]
    raise UserError(
        f"category id {number} is {said[0]} and {said[1]}; train and val must number the same categories alike"
    )


def _sparse(ids: list[int], file: Path) -> str:
    return (
        f"{file}: {len(ids)} categories are numbered {ids[0]} to {ids[-1]} with gaps; they are learned without, "
        "results keep the file's numbers"
    )


def _annotated(content: dict, ids: list[int], *, folder: Path, where: str) -> Annotated:
    images, label_of = {}, {number: label for label, number in enumerate(ids)}
    for number, image in enumerate(content["images"]):
        if image["id"] in images:
            raise UserError(f"{where}: image id {image['id']} is there twice; give each image its own")
        images[image["id"]] = number
    _check_annotation_ids(content["annotations"], where=where)
    sizes = [(image["width"], image["height"]) for image in content["images"]]
    _check_corner_and_size(content["annotations"], images, sizes, where=where)
    rows = []
    for annotation in content["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in images or category not in label_of:
            what = f"image_id {image}" if image not in images else f"category_id {category}"
            raise UserError(f"{where}: annotation {annotation['id']} has {what}, which the file does not list")
        left, top, width, height = annotation["bbox"]
        box = (left, top, left + width, top + height)
        crowd = bool(annotation.get("iscrowd", 0))
        rows.append((images[image], *box, label_of[category], crowd, annotation.get("area")))
    return Annotated.of(where, [folder / image["file_name"] for image in content["images"]], sizes, rows)


def _check_annotation_ids(annotations: list[dict], *, where: str) -> None:
    counts = Counter(annotation["id"] for annotation in annotations)
    if twice := [number for number, count in counts.items() if count > 1]:
        raise UserError(
            f"{where}: {len(twice):,} annotation ids are there more than once, the first: {twice[0]}; COCO's tools "
            "would lose objects, give each annotation its own"
        )


def _check_corner_and_size(annotations: list[dict], images: dict, sizes: list, *, where: str) -> None:
    """UserError if boxes are left, top, right, bottom: as corner and size they leave their images, as corners none
    does."""
    known = [(a["bbox"], sizes[images[a["image_id"]]]) for a in annotations if a["image_id"] in images]
    beyond = sum(x + w > width + 1 or y + h > height + 1 for (x, y, w, h), (width, height) in known)
    corners = all(x < w <= width + 1 and y < h <= height + 1 for (x, y, w, h), (width, height) in known)
    if beyond and corners:
        raise UserError(
            f"{where}: boxes look like left, top, right, bottom ({beyond:,} of {len(known):,} leave their images if "
            "not); COCO's are left, top, width, height"
        )
