"""AutoAugment and RandAugment next to torchvision's: `python -m experiments.policies.run --data TRAIN --val VAL`."""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread
from experiments.warm_start.run import Study, architecture
from nars.data import open_data
from nars.data.augmentation import AUGMENTATIONS, standard
from nars.data.operations import FILL, apply
from nars.data.policies import autoaugment, randaugment
from nars.data.shards import make_shards, shard_jobs, write_manifest
from nars.machine import processor
from nars.settings import FolderSettings, PreparedSettings

SIZES = (37, 64, 224)
DRAWS = {"autoaugment": autoaugment, "randaugment": randaugment}
THEIRS = {"autoaugment": v2.AutoAugment, "randaugment": v2.RandAugment}
EARLIER = {"autoaugment": transforms.AutoAugment, "randaugment": transforms.RandAugment}
BILINEAR = {"interpolation": InterpolationMode.BILINEAR, "fill": list(FILL)}
SEEDS = range(256)


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of each way: the least of rounds in which the ways take turns, after one that warms up."""
    taken = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            begin = time.process_time()
            way()
            taken[name].append(time.process_time() - begin)
    return {name: min(seconds[1:]) for name, seconds in taken.items()}


# --- the policy alone -----------------------------------------------------------------------------------------


def crops(image_size: int) -> list[torch.Tensor]:
    """Eight training images of scikit-learn's two photos, as `standard` leaves them."""
    photos = [torch.from_numpy(photo).permute(2, 0, 1).contiguous() for photo in load_sample_images().images]
    return [standard(photos[seed % 2], seed, image_size=image_size) for seed in range(8)]


def by_pillow(policy: v2.Transform, image: torch.Tensor, seed: int) -> torch.Tensor:
    """What torchvision's policy makes of Pillow's image."""
    torch.manual_seed(seed)
    return pil_to_tensor(policy(to_pil_image(image)))


def by_tensor(policy: v2.Transform, image: torch.Tensor, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return policy(image)


def by_ours(name: str, image: torch.Tensor, seed: int) -> torch.Tensor:
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return torch.from_numpy(apply(pixels, DRAWS[name](seed, len(pixels)))).permute(2, 0, 1)


def alone_table(rounds: int) -> str:
    """CPU microseconds of a policy, from a tensor to a tensor."""
    rows = []
    for name, policy in THEIRS.items():
        ways = {
            "Pillow, bilinear": partial(by_pillow, policy(**BILINEAR)),
            "Pillow, nearest (torchvision's default)": partial(by_pillow, policy(fill=list(FILL))),
            "tensors of bytes, bilinear": partial(by_tensor, policy(**BILINEAR)),
            "ours, bilinear": partial(by_ours, name),
        }
        taken = {}
        for size in SIZES:
            images = crops(size)
            todo = {way: partial(_all_seeds, call, images) for way, call in ways.items()}
            taken[size] = in_turns(todo, rounds)
        for way in ways:
            cells = []
            for size in SIZES:
                microseconds = 1e6 * taken[size][way] / len(SEEDS)
                cells += [f"{microseconds:.0f}", f"{taken[size]['Pillow, bilinear'] / taken[size][way]:.2f}"]
            rows.append([name, way, *cells])
    header = [f"{size} px: {what}" for size in SIZES for what in ("CPU us", "ratio")]
    return markdown_table(["policy", "way", *header], rows)


def _all_seeds(call: Callable, images: list[torch.Tensor]) -> None:
    for seed in SEEDS:
        call(images[seed % len(images)], seed)


# --- from files to batches ------------------------------------------------------------------------------------


def write_photos(folder: Path, count: int = 50) -> None:
    """Parts of scikit-learn's two photos as JPEGs of 500 pixels, by class."""
    rng = np.random.default_rng(0)
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        photo = Image.fromarray(pixels)
        for i in range(count):
            width, height = (int(side * rng.uniform(0.6, 1)) for side in photo.size)
            left, top = rng.integers(photo.width - width + 1), rng.integers(photo.height - height + 1)
            part = photo.crop((left, top, left + width, top + height))
            part.resize((500, max(300, 500 * height // width)), Image.LANCZOS).save(
                folder / name / f"{i}.jpg", quality=95
            )


def batches_table(rounds: int) -> str:
    """CPU milliseconds of an image from its file to a batch, in this process: ImageFolder, and the prepared form."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, output = Path(temporary) / "photos", Path(temporary) / "prepared"
        write_photos(folder)
        output.mkdir()
        data = open_data(FolderSettings(name="folder", root=str(folder)))
        form = {"short_side": 288, "quality": 90}
        shards = list(make_shards(shard_jobs(data, output, **form), workers=1))
        write_manifest(output, shards, source="folder", classes=data.class_names, **form)
        prepared = open_data(PreparedSettings(name="prepared", root=str(output)))
        rows = []
        for size in (64, 224):
            ways = {}
            for name in ("standard", *DRAWS):
                given = {"image_size": size, "batch_size": 25, "seed": 0, "augmentation": name}
                ways["theirs", name] = partial(_images, image_folder(folder, size, EARLIER.get(name)))
                ways["ours", name] = partial(_images, prepared.train_loader(**given))
            counts = {
                whose: sum(len(labels) for _, labels in ways[whose, "standard"].args[0]) for whose in ("theirs", "ours")
            }
            taken = in_turns(ways, rounds)
            for name in ("standard", *DRAWS):
                theirs, ours = (1000 * taken[whose, name] / counts[whose] for whose in ("theirs", "ours"))
                rows.append([size, name, f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.2f}"])
    return markdown_table(["px", "augmentation", "ImageFolder: CPU ms", "ours, prepared: CPU ms", "ratio"], rows)


def _images(loader: DataLoader) -> None:
    for _ in loader:
        pass


def image_folder(folder: Path, image_size: int, policy: type | None) -> DataLoader:
    """torchvision's usual training images, floats."""
    steps = [
        transforms.RandomResizedCrop(image_size),
        transforms.RandomHorizontalFlip(),
        *([policy(**BILINEAR)] if policy else []),
        transforms.ToTensor(),
    ]
    return DataLoader(ImageFolder(str(folder), transforms.Compose(steps)), batch_size=25, shuffle=True)


# --- pixels and accuracies ------------------------------------------------------------------------------------


def pixels_table() -> str:
    """How far ours is off what torchvision makes of Pillow's images, by the same seeds."""
    rows = []
    for name, policy in THEIRS.items():
        for size in SIZES:
            images, whole = crops(size), policy(**BILINEAR)
            pairs = [(by_pillow(whole, images[s % 8], s), by_ours(name, images[s % 8], s)) for s in SEEDS]
            off = torch.stack([(a.int() - b.int()).abs() for a, b in pairs])
            same = (off == 0).flatten(1).all(dim=1).float().mean()
            rows.append([name, size, f"{same:.2f}", f"{(off > 0).float().mean():.4f}", f"{off.float().mean():.4f}"])
    header = ["policy", "px", "images without any difference", "values that differ", "mean difference, grey levels"]
    return markdown_table(header, rows)


@contextmanager
def policies_of_torchvision():
    """Trainings get torchvision's policies on Pillow's images."""
    kept = dict(AUGMENTATIONS)
    AUGMENTATIONS.update({name: partial(_standard_then, policy(**BILINEAR)) for name, policy in THEIRS.items()})
    try:
        yield
    finally:
        AUGMENTATIONS.update(kept)


def _standard_then(policy: v2.Transform, pixels: torch.Tensor, seed: int, *, image_size: int) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        return by_pillow(policy, standard(pixels, seed, image_size=image_size), seed)


def accuracies_table(runs: Path, train: Path, val: Path, seeds: int) -> str:
    """The same trainings with torchvision's policies and with ours, which do the same to the same images."""
    rows = []
    protocol = ("protocol.epochs=4", "protocol.lr_decay=0.6", "protocol.steps_per_epoch=120")

    def accuracy(folder: str, policy: str, seed: int) -> float:
        given = (f"data.val_root={val}", *protocol, f"protocol.augmentation={policy}")
        return Study(runs / folder).train(architecture(), train, *given, seed=seed)[0][-1]

    for name in DRAWS:
        theirs, ours = [], []
        for seed in range(seeds):
            with policies_of_torchvision():
                theirs.append(accuracy("torchvision", name, seed))
            ours.append(accuracy("ours", name, seed))
        differences = [b - a for a, b in zip(theirs, ours, strict=True)]
        rows.append([name, *(f"{mean(x):.4f} ± {stdev(x):.4f}" for x in (theirs, ours, differences))])
    return markdown_table(["policy", "torchvision's", "ours", "difference by seed"], rows)


def main() -> None:
    """Write all tables into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder of <class>/<image> that is trained with; without, no accuracies"
    )
    parser.add_argument("--val", type=Path, help="folder of the same classes that validates")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    use_one_thread()
    parts = [
        f"{processor()}, one thread. The policy alone:",
        alone_table(arguments.rounds),
        "From files to batches, in one process:",
        batches_table(arguments.rounds),
        "Pixels, next to torchvision's policy on Pillow's image by the same seed:",
        pixels_table(),
    ]
    if arguments.data is not None:
        parts += [
            f"Accuracies after 480 steps, mean and standard deviation over {arguments.seeds} seeds:",
            accuracies_table(arguments.runs, arguments.data, arguments.val, arguments.seeds),
        ]
    write_found(__file__, "\n\n".join(parts))


if __name__ == "__main__":
    main()
