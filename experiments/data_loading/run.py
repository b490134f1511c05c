"""Images per second, from photos to batches: ImageFolder next to the prepared form; decoders, forms, stores, memory."""

import argparse
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import InterpolationMode

from experiments.data_loading.measuring import cpu_milliseconds, tree_cpu_seconds, tree_memory
from experiments.data_loading.stores import STORES, bytes_on_disk
from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread
from nars.data.augmentation import standard
from nars.data.files import ImageFiles
from nars.data.prepared import Manifest, Prepared, ShardInfo, decode_fast, open_shard
from nars.data.reading import decode
from nars.data.shards import make_shards, shard_jobs, stored, write_manifest
from nars.data.walk import Walk

SHORT_SIDE, QUALITY = 288, 90
FORMS = ((256, 90), (288, 90), (320, 80), (320, 90), (320, 95), (384, 90))
BATCH = 50
FILL = tuple(round(255 * mean) for mean in IMAGENET_DEFAULT_MEAN)
PLAIN = "ImageFolder, 224"


def copied(photos: Path, folder: Path, copies: int) -> ImageFiles:
    """A folder of `copies` copies of each photo, all to train; one of each validates."""
    images = images_of(photos)
    classes = list(images)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(copies):
            for image in images[name]:
                shutil.copyfile(photos / image, folder / name / f"{i}_{Path(image).name}")
    train = images_of(folder)
    val = {name: names[:1] for name, names in train.items()}
    return ImageFiles(name="folder", train_root=folder, train=train, val_root=folder, val=val)


def images_of(photos: Path) -> dict[str, list[str]]:
    """The names of the photos by class."""
    walk = Walk()
    return walk.images(photos, walk.classes(photos, where="photos"), where="photos")


def prepared_form(data: ImageFiles, output: Path) -> Manifest:
    """Makes what `prepare_data.py` makes."""
    output.mkdir()
    form = {"short_side": SHORT_SIDE, "quality": QUALITY}
    results = list(make_shards(shard_jobs(data, output, **form), workers=2))
    return write_manifest(output, results, source="folder", classes=data.class_names, **form)


# --- decoders and forms ---------------------------------------------------------------------------------------


def pillow(content: bytes) -> Image.Image:
    """As ImageFolder's loader does."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def torchvision_decode(content: bytes) -> torch.Tensor:
    return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB)


DECODERS: dict[str, Callable[[bytes], object]] = {
    "Pillow": pillow,
    "Pillow, draft to half the size or less": partial(decode, at_least=140),
    "torchvision.io.decode_jpeg": torchvision_decode,
    "simplejpeg": simplejpeg.decode_jpeg,
    "simplejpeg, fast DCT and upsampling": partial(simplejpeg.decode_jpeg, fastdct=True, fastupsample=True),
}


def decoders_table(photos: Sequence[bytes], small: Sequence[bytes], rounds: int) -> str:
    """CPU time of each decoder on the photos and on their prepared form."""
    ways = {}
    for name, way in DECODERS.items():
        ways[name, 0] = lambda i, way=way: way(photos[i])
        ways[name, 1] = lambda i, way=way: way(small[i])
    taken = cpu_milliseconds(ways, range(len(photos)), rounds)
    rows = [[name, f"{taken[name, 0]:.2f}", f"{taken[name, 1]:.2f}"] for name in DECODERS]
    return markdown_table(["decoder", "CPU ms, original photo", "CPU ms, prepared"], rows)


def forms_table(photos: Sequence[bytes], rounds: int) -> str:
    """Size, CPU time and fidelity of a training crop of 272 pixels, by short side and JPEG quality, and undecoded."""
    pixels = [torch.from_numpy(np.array(pillow(content))).permute(2, 0, 1) for content in photos]
    raw = [decode_fast(stored(content, short_side=SHORT_SIDE, quality=100)) for content in photos]
    contents = {form: [stored(c, short_side=form[0], quality=form[1]) for c in photos] for form in FORMS}
    ways = {form: lambda i, c=c: standard(decode_fast(c[i]), i, image_size=272) for form, c in contents.items()}
    ways["raw"] = lambda i: standard(raw[i], i, image_size=272)
    taken = cpu_milliseconds(ways, range(len(photos)), rounds)
    rows = []
    for form, c in contents.items():
        size = np.mean([len(content) for content in c]) / 1000
        error = np.mean([_difference(pixels[i], decode_fast(c[i])) for i in range(len(photos))])
        rows.append([f"short side {form[0]}, JPEG {form[1]}", f"{size:.0f}", f"{taken[form]:.2f}", f"{error:.1f}"])
    size = np.mean([image.numel() for image in raw]) / 1000
    rows.append([f"short side {SHORT_SIDE}, decoded", f"{size:.0f}", f"{taken['raw']:.2f}", ""])
    return markdown_table(["form", "kB an image", "CPU ms to a crop of 272", "grey levels off the photo"], rows)


def _difference(original: torch.Tensor, small: torch.Tensor) -> float:
    """Mean difference in grey levels once enlarged to the original size, which a typical part at 272 pixels has."""
    size = original.shape[1:]
    again = torch.nn.functional.interpolate(small[None], size=size, mode="bicubic", antialias=True)[0]
    return float((original.float() - again.float()).abs().mean())


# --- stores ---------------------------------------------------------------------------------------------------


def stores_table(path: Path, info: ShardInfo, folder: Path, rounds: int) -> str:
    """CPU time of reading one image of a shard at a random index, and of making a training image of it."""
    reads, sizes = {"Arrow (ours)": open_shard(path, info.digest).image}, {"Arrow (ours)": path.stat().st_size}
    small = [bytes(reads["Arrow (ours)"](i)) for i in range(info.images)]
    for name, write in STORES.items():
        (folder / name).mkdir()
        reads[name] = write(folder / name, small)
        sizes[name] = bytes_on_disk(folder / name)
    indices = np.random.default_rng(0).permutation(len(small)).tolist()
    ways = {}
    for name, read in reads.items():
        ways[name, "read"] = lambda i, read=read: bytes(read(i))
        ways[name, "crop"] = lambda i, read=read: standard(decode_fast(read(i)), i, image_size=224)
    taken = cpu_milliseconds(ways, indices, rounds)
    rows = [
        [
            name,
            f"{sizes[name] / len(small) / 1000:.1f}",
            f"{1000 * taken[name, 'read']:.0f}",
            f"{taken[name, 'crop']:.2f}",
        ]
        for name in reads
    ]
    return markdown_table(["store", "kB an image", "CPU us to read", "CPU ms to a crop of 224"], rows)


# --- loaders --------------------------------------------------------------------------------------------------


def torchvision_loader(
    folder: Path, *, image_size: int, policy: type[transforms.AutoAugment] | None, output: str, workers: int
) -> DataLoader:
    """ImageFolder, RandomResizedCrop, flip, a policy as ours uses it; then floats, normalised floats, or bytes."""
    ends = {
        "bytes": [transforms.PILToTensor()],
        "floats": [transforms.ToTensor()],
        "normalised": [transforms.ToTensor(), transforms.Normalize(IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)],
    }
    steps = [
        transforms.RandomResizedCrop(image_size),
        transforms.RandomHorizontalFlip(),
        *([policy(interpolation=InterpolationMode.BILINEAR, fill=FILL)] if policy else []),
        *ends[output],
    ]
    return DataLoader(
        ImageFolder(str(folder), transforms.Compose(steps)),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def loaders(folder: Path, data: ImageFiles, prepared: Prepared, workers: int) -> dict[str, DataLoader]:
    """All that are compared."""
    theirs = partial(torchvision_loader, folder, image_size=224, workers=workers)
    given = {"batch_size": BATCH, "seed": 0, "workers": workers}
    return {
        PLAIN: theirs(policy=None, output="floats"),
        "ImageFolder, 224, normalised": theirs(policy=None, output="normalised"),
        "ImageFolder, 224, bytes": theirs(policy=None, output="bytes"),
        "ImageFolder, 224, AutoAugment": theirs(policy=transforms.AutoAugment, output="floats"),
        "ImageFolder, 224, RandAugment": theirs(policy=transforms.RandAugment, output="floats"),
        "ours, original files, 224": data.train_loader(image_size=224, augmentation="standard", **given),
        "ours, prepared, 224": prepared.train_loader(image_size=224, augmentation="standard", **given),
        "ours, prepared, 248": prepared.train_loader(image_size=248, augmentation="standard", **given),
        "ours, prepared, 272": prepared.train_loader(image_size=272, augmentation="standard", **given),
        "ours, prepared, 224, AutoAugment": prepared.train_loader(image_size=224, augmentation="autoaugment", **given),
        "ours, prepared, 224, RandAugment": prepared.train_loader(image_size=224, augmentation="randaugment", **given),
        "ours, prepared, validation at 224": prepared.val_loader(image_size=224, batch_size=BATCH, workers=workers),
    }


def loaders_table(compared: dict[str, DataLoader], rounds: int) -> str:
    """Epochs in turns: images per wall second and CPU time of all processes, and the median of the rounds' ratios."""
    rates, cpu = {name: [] for name in compared}, {name: [] for name in compared}
    for _ in range(rounds + 1):
        for name, loader in compared.items():
            begin, cpu_begin = time.perf_counter(), tree_cpu_seconds()
            images = sum(len(labels) for _, labels in loader)
            rates[name].append(images / (time.perf_counter() - begin))
            cpu[name].append(1000 * (tree_cpu_seconds() - cpu_begin) / images)
    rows = []
    for name in compared:
        policy = name.rpartition(", ")[2]
        base = f"{PLAIN}, {policy}" if "Augment" in policy else PLAIN
        wall, milliseconds = (np.array(values[name][1:]) for values in (rates, cpu))  # the first round starts workers
        ratio, cpu_ratio = wall / np.array(rates[base][1:]), np.array(cpu[base][1:]) / milliseconds
        rows.append(
            [
                name,
                f"{np.median(wall):.0f}",
                f"{np.median(ratio):.2f}",
                f"{np.median(milliseconds):.2f}",
                f"{np.median(cpu_ratio):.2f}",
            ]
        )
    return markdown_table(["loader", "images a second", "ratio", "CPU ms an image", "CPU ratio"], rows)


def memory_table(prepared: Prepared, epochs: int) -> str:
    """Memory of all processes after epochs of training and validation images."""
    rows = []
    for workers in (1, 2, 4):
        given = {"image_size": 224, "batch_size": BATCH, "workers": workers}
        train = prepared.train_loader(augmentation="standard", seed=0, **given)
        used = []
        for epoch in range(epochs):
            train.sampler.set_epoch(epoch)
            for _ in train:
                pass
            used.append(tree_memory())
        shown = [used[i] for i in (0, 1, epochs // 2, epochs - 1)]
        rows.append([workers, *(f"{own:.0f} + {mapped:.0f}" for own, mapped in shown)])
        del train
    return markdown_table(
        ["workers", *(f"MiB after epoch {i}: own + mapped images" for i in (1, 2, epochs // 2 + 1, epochs))], rows
    )


def main() -> None:
    """Write all tables into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="folder of <class>/<photo>, JPEGs of their original sizes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30, help="of the memory table")
    arguments = parser.parse_args()
    use_one_thread()
    names = [name for some in images_of(arguments.photos).values() for name in some]
    photos = [(arguments.photos / name).read_bytes() for name in names]
    small = [stored(content, short_side=SHORT_SIDE, quality=QUALITY) for content in photos]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = copied(arguments.photos, folder / "copies", copies=2)
        manifest = prepared_form(data, folder / "prepared")
        prepared = Prepared(folder / "prepared", manifest)
        shard = manifest.shards["train"][0]
        parts = [
            f"{arguments.workers} workers on both sides, batches of {BATCH}, epochs in turns:",
            loaders_table(loaders(folder / "links", data, prepared, arguments.workers), arguments.rounds),
            "Decoders, one thread:",
            decoders_table(photos, small, arguments.rounds),
            "Forms, one thread:",
            forms_table(photos, arguments.rounds),
            f"Memory of all processes, shared pages by their share, in epochs of {data.train_size} images:",
            memory_table(prepared, arguments.epochs),
            "Stores of the same JPEGs, one thread, random order, files in the system's cache:",
            stores_table(folder / "prepared" / shard.file, shard, folder, arguments.rounds),
        ]
    write_found(__file__, "\n\n".join(parts))


if __name__ == "__main__":
    main()
