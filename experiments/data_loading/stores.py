"""The same stored images in several libraries' formats: written once, then read by index, or in order.

Each store writes `contents` into a folder and gives back a function from an index to the content; webdataset, which
has no index, gives what comes next instead.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path

import datasets
import numpy as np
import webdataset
from litdata import StreamingDataset
from litdata.streaming import Cache

Read = Callable[[int], bytes | memoryview]


def files(folder: Path, contents: Sequence[bytes]) -> Read:
    """A file for every image."""
    for i, content in enumerate(contents):
        (folder / f"{i:06d}.jpg").write_bytes(content)
    return lambda i: (folder / f"{i:06d}.jpg").read_bytes()


def memory_map(folder: Path, contents: Sequence[bytes]) -> Read:
    """One file of bytes and one of offsets, by NumPy."""
    offsets = np.cumsum([0, *map(len, contents)])
    (folder / "images.bin").write_bytes(b"".join(contents))
    np.save(folder / "offsets.npy", offsets)
    values = memoryview(np.memmap(folder / "images.bin", mode="r", dtype=np.uint8))
    return lambda i: values[offsets[i] : offsets[i + 1]]


def hugging_face(folder: Path, contents: Sequence[bytes]) -> Read:
    """A Hugging Face dataset: Arrow too, behind a layer of Python."""
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"image": list(contents)}).save_to_disk(folder)
    dataset = datasets.load_from_disk(folder)
    return lambda i: dataset[i]["image"]


def litdata(folder: Path, contents: Sequence[bytes]) -> Read:
    """Chunks of 64 MB, as `litdata.optimize` writes them: that empties /tmp/data, so its writer is called here."""
    cache = Cache(str(folder), chunk_bytes="64MB")
    for i, content in enumerate(contents):
        cache[i] = {"image": content}
    cache.done()
    cache.merge()
    dataset = StreamingDataset(str(folder))
    return lambda i: dataset[i]["image"]


def web_dataset(folder: Path, contents: Sequence[bytes]) -> Read:
    """A tar file, which is read in its own order whatever the index."""
    with webdataset.ShardWriter(str(folder / "%05d.tar"), maxcount=len(contents), verbose=0) as writer:
        for i, content in enumerate(contents):
            writer.write({"__key__": f"{i:06d}", "jpg": content})
    following = _endless(folder)
    return lambda _: next(following)


def _endless(folder: Path) -> Iterator[bytes]:
    urls = sorted(map(str, folder.glob("*.tar")))
    return (sample["jpg"] for _ in cycle([0]) for sample in webdataset.WebDataset(urls, shardshuffle=False))


def bytes_on_disk(folder: Path) -> int:
    """All files below the folder."""
    return sum(os.path.getsize(path) for path in folder.rglob("*") if path.is_file())


STORES: dict[str, Callable[[Path, Sequence[bytes]], Read]] = {
    "files": files,
    "memory map (NumPy)": memory_map,
    "Hugging Face datasets": hugging_face,
    "litdata": litdata,
    "webdataset (in order only)": web_dataset,
}
