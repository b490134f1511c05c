"""A part of ImageNet: classes and validation images drawn from its train folder, kept in a split file.

The paper searches on 200 random classes with 10,000 of their train images held out; ImageNet's own validation images
stay unseen until the end.
"""

import json
import os
from pathlib import Path

from pydantic import PositiveInt

from nars.data.files import ImageFiles
from nars.data.names import beside
from nars.data.splits import hold_out, shuffled
from nars.data.walk import Walk
from nars.errors import UserError
from nars.files import write_whole
from nars.settings import ImagenetSubsetSettings, NonNegativeInt, Settings, parse


class Split(Settings):
    """What a split file holds: the settings that it was drawn for, and for each class its validation images."""

    num_classes: PositiveInt
    val_images: PositiveInt
    seed: NonNegativeInt
    val: dict[str, tuple[str, ...]]


def open_imagenet_subset(settings: ImagenetSubsetSettings, *, split_file: str | os.PathLike | None) -> ImageFiles:
    """The images of the split in `split_file`, which is written if it does not exist; None: drawn, and not written."""
    root, walk = Path(settings.root), Walk()
    available = walk.classes(root, where="data.root")
    path = None if split_file is None else Path(split_file).expanduser()
    if path is not None and path.exists():
        split = read_split(path, settings)
        images = _images_of(split, path, root, available, walk)
    else:
        classes = draw_classes(available, settings, root)
        images = walk.images(root, classes, where="data.root", at_least=2)
        split = draw_split(images, settings)
        if path is not None:
            write_split(path, split)
    val = {name: sorted(split.val[name]) for name in sorted(split.val)}
    train = {name: sorted(set(images[name]) - set(val[name])) for name in val}
    return ImageFiles(
        name="imagenet200", train_root=root, train=train, val_root=root, val=val, passed_over=str(walk.passed_over)
    )


def draw_classes(available: list[str], settings: ImagenetSubsetSettings, root: Path) -> list[str]:
    """`num_classes` of the available classes, sorted."""
    if len(available) < settings.num_classes:
        raise UserError(
            f"data.num_classes: {settings.num_classes} classes asked, but {root} holds {len(available)} class folders; "
            f"set data.num_classes={len(available)} or less, or check data.root"
        )
    return sorted(shuffled(available, seed=settings.seed)[: settings.num_classes])


def draw_split(images: dict[str, list[str]], settings: ImagenetSubsetSettings) -> Split:
    """`val_images` of the images to validate, of every class its share."""
    most = sum(map(len, images.values())) - len(images)
    if not len(images) <= settings.val_images <= most:
        raise UserError(
            f"data.val_images: {settings.val_images} asked of {most + len(images)} images in {len(images)} classes; "
            f"allowed: {len(images)} to {most}, so that every class has images to train and to validate"
        )
    val = hold_out(list(images.values()), settings.val_images, seed=settings.seed)
    return Split(
        num_classes=settings.num_classes,
        val_images=settings.val_images,
        seed=settings.seed,
        val={name: tuple(names) for name, names in zip(images, val, strict=True)},
    )


# --- split file -----------------------------------------------------------------------------------------------


def write_split(path: Path, split: Split) -> None:
    """At once and whole: processes that open the same data at the same time write the same and never read half."""
    try:
        write_whole(path, json.dumps(split.model_dump(), indent=1) + "\n")
    except OSError as error:
        raise UserError(f"data.split_file: {path} cannot be written ({error.strerror}); choose another place") from None


def read_split(path: Path, settings: ImagenetSubsetSettings) -> Split:
    """The split in the file; UserError if it is no split, or was drawn for other settings."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"data.split_file: {path} cannot be read ({error}); {_REDRAW}") from None
    if not isinstance(content, dict):
        raise UserError(f"data.split_file: {path} holds no split; {_REDRAW}")
    split = parse(Split, content, where=f"split file {path}")
    for key in ("num_classes", "val_images", "seed"):
        if getattr(split, key) != getattr(settings, key):
            raise UserError(
                f"data.split_file: {path} was drawn with {key}={getattr(split, key)}, but data.{key} is "
                f"{getattr(settings, key)}; set data.{key}={getattr(split, key)}, or {_REDRAW}"
            )
    if len(split.val) != split.num_classes or len(_flat(split)) != split.val_images:
        raise UserError(f"data.split_file: {path} does not hold the classes and images that it promises; {_REDRAW}")
    return split


def _flat(split: Split) -> set[str]:
    return {name for names in split.val.values() for name in names}


_REDRAW = "delete the file to draw a new split, or name another with data.split_file"


def _images_of(split: Split, path: Path, root: Path, available: list[str], walk: Walk) -> dict[str, list[str]]:
    """The images of the split's classes; UserError if it names classes or images that are not there."""
    absent = sorted(set(split.val) - set(available))
    images = {} if absent else walk.images(root, sorted(split.val), where="data.root", at_least=2)
    there = available if absent else [name for names in images.values() for name in names]
    absent = absent or sorted(_flat(split) - set(there))
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise UserError(
            f"data.split_file: {path} names {beside(absent[0], there)}{more}, not in {root}; "
            f"check data.root, or {_REDRAW}"
        )
    return images
