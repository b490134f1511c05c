"""Images annotated as Pascal VOC has it: an XML file each."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from nars.data.detection.annotated import Annotated, AnnotatedFiles, check_names
from nars.data.reading import EXTENSIONS
from nars.errors import UserError
from nars.settings import VocSettings

SIDES = ("xmin", "ymin", "xmax", "ymax")  # whole pixels from 1 on, the last ones included


def open_voc(settings: VocSettings) -> AnnotatedFiles:
    """The images of both splits; UserError for all that can be wrong with their annotations. Classes are those of the
    objects that train, by name."""
    root = Path(settings.root)
    files = {split: root / "ImageSets" / "Main" / f"{getattr(settings, split)}.txt" for split in ("train", "val")}
    images = _images(root / "JPEGImages")
    found = {split: _split(root, images, file, key=f"detection_data.{split}") for split, file in files.items()}
    names = {split: {row[5] for row in rows} for split, (_, _, rows) in found.items()}
    check_names(sorted(names["train"] | names["val"]), where=str(root / "Annotations"))
    if unknown := sorted(names["val"] - names["train"]):
        raise UserError(
            f"{files['val']}: class {unknown[0]} is in no image of {files['train']}, so it cannot be learned"
        )
    label_of = {name: label for label, name in enumerate(sorted(names["train"]))}
    splits = {
        split: Annotated.of(str(files[split]), paths, sizes, [(*r[:5], label_of[r[5]], *r[6:]) for r in rows])
        for split, (paths, sizes, rows) in found.items()
    }
    return AnnotatedFiles(**splits, class_names=tuple(label_of))


def _images(folder: Path) -> dict[str, Path]:
    """Image files by the name that annotations have."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; detection_data.root must hold JPEGImages, Annotations and ImageSets"
        )
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS}


def _split(root: Path, images: dict[str, Path], file: Path, *, key: str) -> tuple[list[Path], list, list[tuple]]:
    """Paths, sizes and rows, with names for labels, of a split."""
    if not file.is_file():
        others = ", ".join(sorted(path.stem for path in file.parent.glob("*.txt"))) or "none"
        raise UserError(f"{file}: no such file; splits there: {others} ({key}=...)")
    names = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    paths, sizes, rows = [], [], []
    for number, name in enumerate(names):
        size, objects = _annotation(root / "Annotations" / f"{name}.xml")
        paths.append(images.get(name, root / "JPEGImages" / f"{name}.jpg"))
        sizes.append(size)
        rows += [(number, *values) for values in objects]
    return paths, sizes, rows


def _annotation(file: Path) -> tuple[tuple[int, int], list[tuple]]:
    """Width and height, and of each object its sides from 0, name, difficulty, and no area."""
    try:
        content = ElementTree.parse(file).getroot()
        size = tuple(int(content.findtext(f"size/{side}")) for side in ("width", "height"))
        objects = []
        for found in content.iter("object"):
            left, top, right, bottom = (float(found.findtext(f"bndbox/{side}")) for side in SIDES)
            if right > left and bottom > top:  # one that is not stays without an area
                left, top = left - 1, top - 1
            difficult = (found.findtext("difficult") or "0").strip() == "1"
            objects.append((left, top, right, bottom, found.findtext("name").strip(), difficult, None))
    except FileNotFoundError:
        raise UserError(f"{file}: no such file, though the split names its image") from None
    except (ElementTree.ParseError, TypeError, ValueError, AttributeError, OSError) as error:
        raise UserError(
            f"{file}: cannot be read as an annotation of VOC ({error}); it has size and object with name and bndbox"
        ) from None
    return size, objects
