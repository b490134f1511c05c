"""Image files with annotations of any format: checked before anything is trained, then served."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from nars.data.detection.contract import DetectionData, DetectionSet, Objects
from nars.data.files import files_digest
from nars.data.reading import load_image
from nars.errors import UserError
from nars.files import content_key

SLACK = 1.0  # pixels by which a box may reach beyond its image unsaid: rounding
FEW = 0.01  # of all boxes may be wrong; if more are, something else is


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """The images of a split and what is annotated in them, as numbers; `where` names it in messages.

    `paths` (m,), `sizes` (m, 2), width and height in pixels. Of each box: `image` int64 (n,), the number of its image,
    `boxes` float64 (n, 4), left, top, right, bottom, `labels` int64 (n,), `crowd` bool (n,), `area` float64 (n,).
    """

    where: str
    paths: tuple[Path, ...]
    sizes: np.ndarray
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    area: np.ndarray

    @classmethod
    def of(cls, where: str, paths: Sequence[Path], sizes: Sequence, rows: Sequence[tuple]) -> "Annotated":
        """From plain lists; a row is the number of its image, four sides of a box, label, crowd, and area or None."""
        columns = list(zip(*rows, strict=True)) if rows else [[]] * 8
        boxes = np.array(columns[1:5], dtype=np.float64).T.reshape(-1, 4)
        of_boxes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        known = np.array([np.nan if area is None else area for area in columns[7]], dtype=np.float64)
        return cls(
            where=where,
            paths=tuple(paths),
            sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
            image=np.array(columns[0], dtype=np.int64),
            boxes=boxes,
            labels=np.array(columns[5], dtype=np.int64),
            crowd=np.array(columns[6], dtype=bool),
            area=np.where(np.isnan(known), of_boxes, known),
        )

    def keep(self, chosen: np.ndarray) -> "Annotated":
        """With the boxes alone that a mask chooses."""
        names = ("image", "boxes", "labels", "crowd", "area")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


def checked(split: Annotated) -> tuple[Annotated, list[str]]:
    """The split with boxes that lie in their images, and what is said of those that do not; UserError if images are
    missing, nothing is annotated, or many boxes are wrong."""
    check_images_are_there(split)
    if not len(split.boxes):
        raise UserError(f"{split.where}: no box in {len(split.paths):,} images; mAP needs objects, so does a detector")
    low, high = split.boxes[:, :2], split.boxes[:, 2:]
    sizes, notes = split.sizes[split.image], []
    gone = (high <= low).any(axis=1) | (low >= sizes).any(axis=1) | (high <= 0).any(axis=1)
    notes += _say(split, gone, "of no area or outside of their image", "left out")
    beyond = ~gone & ((low < -SLACK).any(axis=1) | (high > sizes + SLACK).any(axis=1))
    notes += _say(split, beyond, "that reach beyond their image", "cut at its edge")
    limits = np.hstack([sizes, sizes])
    return replace(split, boxes=split.boxes.clip(0, limits)).keep(~gone), notes


def _say(split: Annotated, wrong: np.ndarray, what: str, done: str) -> list[str]:
    if not wrong.any():
        return []
    first = int(wrong.argmax())
    box = ", ".join(f"{value:g}" for value in split.boxes[first])
    path, (width, height) = split.paths[split.image[first]], split.sizes[split.image[first]]
    said = (
        f"{split.where}: {wrong.sum():,} of {len(wrong):,} boxes {what}, the first in {path} "
        f"({width} x {height}): left, top, right, bottom {box}"
    )
    if wrong.mean() > FEW:
        raise UserError(f"{said}; so many are no slips: check the format and sizes of the annotations")
    return [f"{said}; {done}"]


def check_images_are_there(split: Annotated) -> None:
    """UserError if files are missing; each folder is listed once."""
    by_folder = defaultdict(list)
    for path in split.paths:
        by_folder[path.parent].append(path.name)
    missing = []
    for folder, names in by_folder.items():
        there = set(os.listdir(folder)) if folder.is_dir() else set()
        missing += [folder / name for name in names if name not in there]
    if missing:
        raise UserError(
            f"{split.where}: {len(missing):,} of {len(split.paths):,} images are missing, the first: {missing[0]}"
        )


def check_names(names: Sequence[str], *, where: str) -> None:
    """UserError if two classes are called alike but for capital letters, or alike altogether."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other is not name:
            same = "twice" if other == name else f"and {other}, which differ in case alone"
            raise UserError(f"{where}: a class is called {name} {same}; give each class one name")


class AnnotatedSet(DetectionSet):
    """The images of a split, read from their files at every access."""

    def __init__(self, split: Annotated, *, image_size: int, augmentation: str):
        super().__init__(image_size=image_size, augmentation=augmentation)
        # Arrays, not lists: reference counts of a million objects would copy the list into every worker.
        self.paths = np.array([str(path) for path in split.paths])
        self.sizes = split.sizes
        order = np.argsort(split.image, kind="stable")
        self.split = replace(split.keep(order), paths=())
        self.starts = np.searchsorted(self.split.image, np.arange(len(self.paths) + 1))

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> torch.Tensor:
        pixels = functional.pil_to_tensor(load_image(self.paths[index]))
        width, height = self.sizes[index].tolist()
        if tuple(pixels.shape[1:]) != (height, width):
            raise UserError(
                f"{self.paths[index]} is {pixels.shape[2]} x {pixels.shape[1]} pixels, its annotations say {width} x "
                f"{height}; boxes would be misplaced"
            )
        return pixels

    def objects(self, index: int) -> Objects:
        here, split = slice(self.starts[index], self.starts[index + 1]), self.split
        return Objects.of(split.boxes[here], split.labels[here], split.crowd[here], split.area[here])


class AnnotatedFiles(DetectionData):
    """Two checked splits of the same classes."""

    def __init__(self, *, train: Annotated, val: Annotated, class_names: Sequence[str], notes: Sequence[str] = ()):
        (self._train, said), (self._val, also_said) = checked(train), checked(val)
        self.class_names = tuple(class_names)
        self.notes = (*notes, *said, *also_said)
        self.train_size, self.val_size = len(train.paths), len(val.paths)
        self.fingerprint = content_key(
            {"classes": list(class_names), "train": _digest(self._train), "val": _digest(self._val)}
        )

    def train_set(self, *, image_size: int, augmentation: str) -> AnnotatedSet:
        return AnnotatedSet(self._train, image_size=image_size, augmentation=augmentation)

    def val_set(self, *, image_size: int) -> AnnotatedSet:
        return AnnotatedSet(self._val, image_size=image_size, augmentation="none")


def _digest(split: Annotated) -> str:
    """Of file names, of each file's size and a part of its content, and of what is annotated; not of where they lie."""
    digest = hashlib.sha256("\n".join(path.name for path in split.paths).encode(errors="surrogateescape"))
    for array in (split.sizes, split.image, split.boxes, split.labels, split.crowd, split.area):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest() + files_digest(split.paths)
