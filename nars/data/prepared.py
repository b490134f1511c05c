"""Prepared images: a few large Arrow files that are mapped into memory, instead of a file for every image.

A prepared folder holds `train-00000.arrow`, ... and `val-00000.arrow`, ..., shards of some hundred images each, and
`prepared.json`, written last, which says what they must hold. Training images are JPEGs of a bounded short side for a
fast decoder; validation images are the files as they were, so that their pixels are those of the original folder.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import simplejpeg
import torch
from pydantic import PositiveInt
from torchvision.transforms.v2 import functional

from nars.data.images import Augment, ImageSet, Photos
from nars.data.reading import decode
from nars.errors import UserError
from nars.files import content_key
from nars.settings import PreparedSettings, Settings, parse

MANIFEST = "prepared.json"
SCHEMA = pa.schema([("name", pa.binary()), ("label", pa.int32()), ("image", pa.large_binary())])
JPEG_START = b"\xff\xd8\xff"


class ShardInfo(Settings):
    """What a shard holds: `digest` hashes the names, labels and contents of the files that it was made of, and how."""

    file: str
    images: PositiveInt
    digest: str


class Manifest(Settings):
    """What a prepared folder holds; `train` and `val` count the images of every class."""

    source: str
    short_side: PositiveInt
    quality: PositiveInt
    train: dict[str, PositiveInt]
    val: dict[str, PositiveInt]
    shards: dict[Literal["train", "val"], tuple[ShardInfo, ...]]


class Shard(NamedTuple):
    """A shard in memory that the system reads when it is looked at: image i is values[offsets[i] : offsets[i + 1]]."""

    names: pa.Array
    labels: np.ndarray
    offsets: np.ndarray
    values: memoryview

    def image(self, row: int) -> memoryview:
        """The stored file of one image."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]


@cache
def open_shard(path: Path, digest: str) -> Shard:
    """The shard in a file, once in a process; UserError if it is none, not whole, or not the one of this digest."""
    try:
        with pa.memory_map(str(path)) as source:  # what is mapped stays so when the file is closed
            reader = pa.ipc.open_file(source)
            batch = reader.get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read ({str(error).splitlines()[0]}); {_AGAIN}") from None
    if reader.schema.metadata[b"digest"].decode() != digest:
        raise UserError(f"{path} is not the file that {path.with_name(MANIFEST)} names; {_AGAIN}")
    _, offsets, values = batch["image"].buffers()  # not Arrow's scalars, which copy an image
    return Shard(
        names=batch["name"],
        labels=batch["label"].to_numpy(),
        offsets=np.frombuffer(offsets, dtype=np.int64),
        values=memoryview(values).cast("B"),
    )


def decode_fast(content: memoryview) -> torch.Tensor:
    """Pixels uint8 (3, h, w) of a stored training image."""
    if content[:3] == JPEG_START:
        return torch.from_numpy(simplejpeg.decode_jpeg(content)).permute(2, 0, 1)
    return decode_any(content)


def decode_any(content: memoryview) -> torch.Tensor:
    """Pixels uint8 (3, h, w) of a file of any format."""
    return functional.pil_to_tensor(decode(content))


class PreparedSet(ImageSet):
    """The images of the shards under `root`; each process maps a shard when it first needs it."""

    def __init__(
        self, root: Path, shards: Sequence[ShardInfo], decode: Callable[[memoryview], torch.Tensor], augment: Augment
    ):
        self.files = [(root / shard.file, shard.digest) for shard in shards]
        self.starts = np.cumsum([0, *(shard.images for shard in shards[:-1])])
        self.decode = decode
        super().__init__(np.concatenate([open_shard(*file).labels for file in self.files]), augment)

    def pixels(self, index: int) -> torch.Tensor:
        place = int(np.searchsorted(self.starts, index, side="right")) - 1
        shard, row = open_shard(*self.files[place]), index - int(self.starts[place])
        try:
            return self.decode(shard.image(row))
        except MemoryError:
            raise
        except Exception as error:  # as for image files
            path, name = self.files[place][0], shard.names[row].as_py().decode(errors="backslashreplace")
            raise UserError(f"{path}: image {name} cannot be decoded ({error}); delete this file, {_AGAIN}") from error


class Prepared(Photos):
    """A prepared folder; UserError if a shard is not whole."""

    name = "prepared"

    def __init__(self, root: Path, manifest: Manifest):
        self.class_names = tuple(manifest.train)
        self.train_size, self.val_size = (sum(counts.values()) for counts in (manifest.train, manifest.val))
        self.fingerprint = content_key(manifest.model_dump(mode="json", exclude={"source"}))
        self._root, self._shards = root, manifest.shards
        for shards in manifest.shards.values():  # now, rather than in the middle of a training
            for shard in shards:
                open_shard(root / shard.file, shard.digest)

    def image_set(self, part: str, augment: Augment) -> PreparedSet:
        return PreparedSet(self._root, self._shards[part], {"train": decode_fast, "val": decode_any}[part], augment)


_AGAIN = "run prepare_data.py again"


def open_prepared(settings: PreparedSettings) -> Prepared:
    """The images of the prepared folder; UserError if it is none or not whole."""
    root = Path(settings.root)
    path = root / MANIFEST
    if not path.is_file():
        raise UserError(
            f"data.root: {root} holds no {MANIFEST}, which is written once all is prepared; "
            "make it: python prepare_data.py data=folder data.root=/images output=..."
        )
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); {_AGAIN}") from None
    return Prepared(root, parse(Manifest, content, where=str(path)))
