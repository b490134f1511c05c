"""Making prepared images of image files: shard by shard, in parallel, each whole or not there.

A shard that was made of the same files in the same way is not made again, so a killed preparation goes on where it was
and one of changed images makes what changed.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from nars.data.files import ImageFiles, flat
from nars.data.prepared import JPEG_START, MANIFEST, SCHEMA, Manifest, ShardInfo
from nars.data.reading import decode, read_patiently
from nars.errors import UserError
from nars.files import content_key, write_whole

IMAGES_PER_SHARD = 256
UNREADABLE = "unreadable.txt"
LONGEST_OF_JPEG = 65_500  # pixels of a side, as its libraries allow


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """A shard to make: `short_side` null keeps the files as they are."""

    path: str
    root: str
    names: tuple[str, ...]
    labels: tuple[int, ...]
    short_side: int | None
    quality: int


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """What a shard holds; `labels` are those of its images, `unreadable` says what was left out and why."""

    path: str
    digest: str
    labels: tuple[int, ...]
    unreadable: tuple[str, ...]


# --- one image ------------------------------------------------------------------------------------------------


def stored(content: bytes, *, short_side: int | None, quality: int) -> bytes:
    """What is kept of an image file: a JPEG of the short side, or the file itself if it is no larger or to be kept.

    Raises whatever a decoder raises for a file that it cannot read.
    """
    if short_side is None:
        decode(content)
        return content
    image = decode(content, at_least=2 * short_side)
    scale = short_side / min(image.size)
    if scale < 1 and scale * max(image.size) <= LONGEST_OF_JPEG:
        size = tuple(max(short_side, round(scale * side)) for side in image.size)
        return encode(image.resize(size, Image.Resampling.BICUBIC), quality=quality)
    if content[:3] != JPEG_START or _same_pixels(content, image):
        return content
    return encode(image, quality=quality)


def encode(image: Image.Image, *, quality: int) -> bytes:
    """The image as JPEG, colour at half the resolution, as photos are commonly stored."""
    return simplejpeg.encode_jpeg(np.array(image), quality=quality, colorsubsampling="420")


def _same_pixels(content: bytes, image: Image.Image) -> bool:
    """Whether the fast decoder reads `image` from a JPEG: it knows no EXIF orientation."""
    try:
        pixels = simplejpeg.decode_jpeg(content)
    except ValueError:
        return False
    expected = np.asarray(image)
    return pixels.shape == expected.shape and np.abs(pixels - expected.astype(np.int16)).mean() < 1


# --- one shard ------------------------------------------------------------------------------------------------


def make_shard(job: ShardJob) -> ShardResult:
    """The result of the job's shard, which is written unless it is there already, whole and of the same files."""
    files = [
        (name, label, _stamp(os.path.join(job.root, name))) for name, label in zip(job.names, job.labels, strict=True)
    ]
    key = content_key({"files": files, "short_side": job.short_side, "quality": job.quality})
    result = _finished(job, key)
    return _make(job, key) if result is None else result


def _stamp(path: str) -> list[int]:
    try:
        stat = os.stat(path)
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def _finished(job: ShardJob, key: str) -> ShardResult | None:
    """The result of an earlier preparation; None if there is none, or an image was unreadable then."""
    try:
        with pa.memory_map(job.path) as source:
            reader = pa.ipc.open_file(source)
            metadata, labels = reader.schema.metadata, reader.get_batch(0)["label"].to_pylist()
    except (OSError, pa.ArrowInvalid):
        return None
    if metadata[b"key"].decode() != key or len(labels) < len(job.names):
        return None
    return ShardResult(path=job.path, digest=metadata[b"digest"].decode(), labels=tuple(labels), unreadable=())


def _make(job: ShardJob, key: str) -> ShardResult:
    keep = partial(stored, short_side=job.short_side, quality=job.quality)
    names, labels, images, unreadable = [], [], [], []
    digest = hashlib.sha256(f"{job.short_side} {job.quality}".encode())
    for name, label in zip(job.names, job.labels, strict=True):
        try:
            content, image = read_patiently(Path(job.root, name), lambda content: (content, keep(content)))
        except UserError as error:
            unreadable.append(str(error))
            continue
        names.append(os.fsencode(name))
        labels.append(label)
        images.append(image)
        digest.update(hashlib.sha256(b"%s\0%d\0%s" % (names[-1], label, content)).digest())
    if images:
        columns = [pa.array(column, type) for column, type in zip((names, labels, images), SCHEMA.types, strict=True)]
        metadata = {"key": key, "digest": digest.hexdigest()}
        _write(Path(job.path), pa.record_batch(columns, schema=SCHEMA.with_metadata(metadata)))
    return ShardResult(path=job.path, digest=digest.hexdigest(), labels=tuple(labels), unreadable=tuple(unreadable))


def _write(path: Path, batch: pa.RecordBatch) -> None:
    """At once and whole."""
    partial_path = path.with_suffix(".partial")
    try:
        with pa.OSFile(str(partial_path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        partial_path.replace(path)
    except OSError as error:
        partial_path.unlink(missing_ok=True)
        raise UserError(
            f"{path} cannot be written ({os.strerror(error.errno) if error.errno else error}); "
            "what is finished is kept: make room and run the same command again"
        ) from None


# --- all shards -----------------------------------------------------------------------------------------------


class ShardSet(Dataset):
    """Shards made when they are asked for, so that a DataLoader's workers make them; a UserError comes as a value."""

    def __init__(self, jobs: Sequence[ShardJob]):
        self.jobs = jobs

    def __len__(self) -> int:
        return len(self.jobs)

    def __getitem__(self, index: int) -> ShardResult | UserError:
        try:
            return make_shard(self.jobs[index])
        except UserError as error:
            return error


def shard_jobs(data: ImageFiles, output: Path, *, short_side: int, quality: int) -> list[ShardJob]:
    """One job for every `IMAGES_PER_SHARD` images; validation images are kept as they are."""
    jobs = []
    for part, (root, names_by_class) in data.files.items():
        names, labels = flat(names_by_class)
        for start in range(0, len(names), IMAGES_PER_SHARD):
            job = ShardJob(
                path=str(output / f"{part}-{start // IMAGES_PER_SHARD:05d}.arrow"),
                root=str(root),
                names=tuple(names[start : start + IMAGES_PER_SHARD]),
                labels=tuple(labels[start : start + IMAGES_PER_SHARD]),
                short_side=short_side if part == "train" else None,
                quality=quality,
            )
            jobs.append(job)
    return jobs


def make_shards(jobs: Sequence[ShardJob], *, workers: int) -> Iterator[ShardResult]:
    """The results of all jobs as they finish, in any order, made by `workers` processes."""
    for result in DataLoader(ShardSet(jobs), batch_size=None, num_workers=workers, in_order=False):
        if isinstance(result, UserError):
            raise result
        yield result


def write_manifest(
    output: Path, results: Sequence[ShardResult], *, source: str, classes: Sequence[str], short_side: int, quality: int
) -> Manifest:
    """Writes what the finished shards hold, and removes shards of earlier preparations.

    UserError names a class that is left without an image to train or to validate.
    """
    filled = sorted((result for result in results if result.labels), key=lambda result: result.path)
    shards = {part: [result for result in filled if _part(result.path) == part] for part in ("train", "val")}
    counts = {part: _counts(shards[part], classes) for part in shards}
    for part, by_class in counts.items():
        empty = [name for name, count in by_class.items() if count == 0]
        if empty:
            raise UserError(f"no readable image of class {empty[0]} is left to {part}; see {output / UNREADABLE}")
    manifest = Manifest(
        source=source,
        short_side=short_side,
        quality=quality,
        **counts,
        shards={
            part: tuple(ShardInfo(file=Path(r.path).name, images=len(r.labels), digest=r.digest) for r in found)
            for part, found in shards.items()
        },
    )
    write_whole(output / MANIFEST, json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n")
    kept = {result.path for result in filled}
    for path in output.glob("*-?????.arrow"):
        if _part(path) in shards and str(path) not in kept:
            path.unlink()
    return manifest


def _part(path: str | Path) -> str:
    return Path(path).name.partition("-")[0]


def _counts(results: Sequence[ShardResult], classes: Sequence[str]) -> dict[str, int]:
    labels = [label for result in results for label in result.labels]
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
