"""Images annotated as YOLO has it: a text file each, its numbers fractions of the image."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from PIL import Image

from nars.data.detection.annotated import Annotated, AnnotatedFiles, check_images_are_there, check_names
from nars.data.exif import orientation
from nars.data.reading import EXTENSIONS
from nars.errors import UserError
from nars.settings import YoloSettings

TURNED = (5, 6, 7, 8)  # orientations by which width and height change places


def open_yolo(settings: YoloSettings) -> AnnotatedFiles:
    """The images of both splits; UserError for all that can be wrong with their annotations."""
    file = Path(settings.root)
    file = file / "data.yaml" if file.is_dir() else file
    content = _read(file)
    given = content["names"]
    names = [given[number] for number in sorted(given)] if isinstance(given, dict) else list(given)
    if isinstance(given, dict) and sorted(given) != list(range(len(given))):
        raise UserError(f"{file}: names are numbered {sorted(given)}; give 0 to {len(given) - 1} without gaps")
    names = [str(name) for name in names]
    check_names(names, where=str(file))
    base = file.parent / content.get("path", "")
    splits = {split: _split(base, content[split], file, split, names) for split in ("train", "val")}
    return AnnotatedFiles(**splits, class_names=names)


def _read(file: Path) -> dict:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: cannot be read as YAML ({str(error).partition(chr(10))[0]})") from None
    missing = [key for key in ("train", "val", "names") if key not in (content or {})]
    if missing:
        raise UserError(f"{file}: has no {missing[0]}; it must say where train and val lie, and names of the classes")
    return content


def _split(base: Path, places, file: Path, split: str, names: list[str]) -> Annotated:
    paths = [path for place in ([places] if isinstance(places, str) else places) for path in _images(base, place)]
    where = f"{file} {split}"
    if not paths:
        raise UserError(f"{where}: no images in {base / str(places)}")
    check_images_are_there(Annotated.of(where, paths, [], []))
    labels = [_label_file(path) for path in paths]
    if not any(label.is_file() for label in labels):
        raise UserError(f"{where}: no label files; the labels of {paths[0]} were looked for in {labels[0]}")
    sizes = [_size(path) for path in paths]
    rows = [
        (number, *row)
        for number, (label, size) in enumerate(zip(labels, sizes, strict=True))
        for row in _rows(label, size, names)
    ]
    return Annotated.of(where, paths, sizes, rows)


def _images(base: Path, place: str) -> list[Path]:
    """Those of a folder, or that a text file lists."""
    path = base / place
    if path.suffix == ".txt" and path.is_file():
        return [base / line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not path.is_dir():
        raise UserError(f"{path}: no such folder, nor a text file that lists images")
    return sorted(found for found in path.rglob("*") if found.suffix.lower() in EXTENSIONS)


def _label_file(image: Path) -> Path:
    """In labels/ as the image is in images/: the last folder of that name."""
    parts = list(image.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image, from the file's head."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if orientation(image.info) in TURNED else (width, height)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image ({error}); replace or remove this file") from None


def _rows(file: Path, size: tuple[int, int], names: list[str]) -> Iterator[tuple]:
    """Sides in pixels, label, no crowd, no area, of each line: class, centre, width and height; or class and the
    corners of an outline."""
    if not file.is_file():  # an image without objects
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            label, *values = map(float, line.split())
        except ValueError:
            raise UserError(f"{file} line {number}: not numbers: {line.strip()}") from None
        if not (label == int(label) and 0 <= label < len(names)):
            raise UserError(f"{file} line {number}: class {label:g}, but there are {len(names)}, numbered from 0")
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise UserError(f"{file} line {number}: {len(values) + 1} numbers; class, x, y, width and height are 5")
        x, y, width, height = values if len(values) == 4 else _around(values)
        across, down = size
        sides = (x - width / 2) * across, (y - height / 2) * down, (x + width / 2) * across, (y + height / 2) * down
        yield (*sides, int(label), False, None)


def _around(outline: list[float]) -> tuple[float, float, float, float]:
    """Centre, width and height of the box around an outline."""
    xs, ys = outline[0::2], outline[1::2]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2, max(xs) - min(xs), max(ys) - min(ys)
