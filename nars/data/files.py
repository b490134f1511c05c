"""Images that stay in their files, read at every access."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from nars.data.images import Augment, ImageSet, Photos
from nars.data.reading import load_image
from nars.errors import UserError
from nars.files import content_key

MIDDLE_BYTES = 4096


class FileSet(ImageSet):
    """Images read from files under `root` at every access."""

    def __init__(self, root: Path, names: Sequence[str], labels: Sequence[int], augment: Augment):
        super().__init__(labels, augment)
        self.root = root
        # An array, not a list: reference counts of a million strings would copy the list into every worker.
        self.names = np.array(names)

    def pixels(self, index: int) -> torch.Tensor:
        return functional.pil_to_tensor(load_image(self.root / str(self.names[index])))


class ImageFiles(Photos):
    """Train and validation images as names relative to a root each, by class; `name` is the data's in messages."""

    def __init__(
        self,
        *,
        name: str,
        train_root: Path,
        train: Mapping[str, Sequence[str]],
        val_root: Path,
        val: Mapping[str, Sequence[str]],
        passed_over: str = "",
    ):
        assert list(train) == list(val), "train and validation must have the same classes in the same order"
        self.name = name
        self.passed_over = passed_over
        self.class_names = tuple(train)
        self.files = {"train": (train_root, train), "val": (val_root, val)}
        self.train_size, self.val_size = (sum(map(len, names.values())) for names in (train, val))

    @cached_property
    def fingerprint(self) -> str:
        """Of names, and of each file's size and a part of its content; reads a little of every file."""
        names = {part: names for part, (_, names) in self.files.items()}
        paths = [root / name for root, names in self.files.values() for name in flat(names)[0]]
        return content_key(names | {"content": files_digest(paths)})

    def image_set(self, part: str, augment: Augment) -> FileSet:
        root, names = self.files[part]
        return FileSet(root, *flat(names), augment)


def files_digest(paths: Sequence[Path]) -> str:
    """Hash of each file's size and of 4 KiB in its middle, which another image of the same size does not share.

    UserError for a file that cannot be read.
    """
    slices = [paths[i : i + 512] for i in range(0, len(paths), 512)]
    with ThreadPoolExecutor(16) as pool:  # a network disk answers slowly, but many at once
        return hashlib.sha256(b"".join(pool.map(_slice_digest, slices))).hexdigest()


def _slice_digest(paths: Sequence[Path]) -> bytes:
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - MIDDLE_BYTES) // 2)
                digest.update(size.to_bytes(8, "little") + file.read(MIDDLE_BYTES))
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); check its permissions and the disk") from None
    return digest.digest()


def flat(names_by_class: Mapping[str, Sequence[str]]) -> tuple[list[str], list[int]]:
    """All names in order, and the index of the class of each."""
    pairs = [(name, label) for label, names in enumerate(names_by_class.values()) for name in names]
    return [name for name, _ in pairs], [label for _, label in pairs]
