"""What trained weights bring: `python -m experiments.warm_start.run --runs RUNS --photos TRAIN --photos-val VAL`."""

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console
from scipy.stats import kendalltau
from sklearn.datasets import load_digits

from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.files import CONF
from nars.machine import processor
from nars.settings import TrainSettings
from nars.training.weights.card import read_card

RECIPE = {"lr": 0.05, "optimizer": "sgd", "ema": True, "weight_decay": 1e-4}
PROTOCOL = (
    "protocol.batch_size=32",
    "protocol.steps_per_epoch=null",
    "protocol.image_scale=1.0",
    "protocol.lr_batch_size=32",
    "protocol.lr_decay=0.8",
    "protocol.sgd_lr_multiplier=1.0",
    "protocol.ema_decay=0.9",
)
DIGITS = ("protocol.augmentation=none", "protocol.batch_size=8", "protocol.epochs=20", "protocol.lr_decay=0.9")
PHOTOS = ("protocol.augmentation=standard", "protocol.epochs=4")
SHOTS, NEW_CLASSES = 5, 20
CHILDREN = {
    "fewer blocks": {"depths": (1, 1, 2, 1)},
    "fewer channels": {"widths": (12, 16, 24, 32), "expansion": 2},
    "smaller kernels": {"kernel": 3},
}


def architecture(*, widths=(16, 24, 32, 40), depths=(1, 2, 3, 2), kernel: int = 5, expansion: int = 3) -> dict:
    """A network of four stages for images of 32 pixels; the parent is the largest of them."""
    rows = [(1, 3, 1, False), (2, kernel, expansion, False), (2, kernel, expansion, True), (2, kernel, expansion, True)]
    stages = [
        {"width": width, "depth": depth, "stride": stride, "kernel_first": k, "kernel_rest": k, "se": se}
        | {"expansion_first": e, "expansion_rest": e}
        for (stride, k, e, se), width, depth in zip(rows, widths, depths, strict=True)
    ]
    return {"resolution": 32, "stem_width": 16, "stages": stages, "head": {"expansion": 3, "width": 96}}


class Study:
    """Trainings of one folder, each done once however often the study is stopped."""

    def __init__(self, runs: Path):
        self.runs = runs

    def train(self, candidate: dict, root: Path, *overrides: str, seed: int = 0) -> tuple[list[float], Path]:
        """Accuracies after each epoch, of which no validation image chooses one, and the weights."""
        file = self.runs / "candidate.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"architecture": candidate, "recipe": RECIPE}))
        given = [f"candidate={file}", f"runs_dir={self.runs}", "study=trained", f"seed={seed}", "logger=none"]
        given += ["data=folder", f"data.root={root}", "trainer.accelerator=cpu"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            settings = settings_from(compose("train", overrides=_last([*given, *PROTOCOL, *overrides])), TrainSettings)
        folder = train_candidate(settings, Console(file=io.StringIO()))
        lines = (folder / "epochs.jsonl").read_text().splitlines()
        curve = [json.loads(line)["accuracy"] for line in lines]
        print(f"{curve[-1]:.3f}  {' '.join(overrides)} seed={seed}", flush=True)
        return curve, folder / "weights.safetensors"


def _last(overrides: Sequence[str]) -> list[str]:
    """Of overrides of the same key the last."""
    return list({override.partition("=")[0]: override for override in overrides}.values())


def digits(study: Study, seeds: int) -> str:
    """Zero to four are known, five to nine are learned from few images."""
    folder = study.runs / "digits"
    for digit, images in _images_of_digits().items():
        place = folder / ("known" if digit < 5 else "new") / str(digit)
        if not place.is_dir():
            place.mkdir(parents=True)
            for i, pixels in enumerate(images):
                Image.fromarray((pixels * 15.9).astype("uint8")).save(place / f"{i}.png")
    _, parent = study.train(architecture(), folder / "known", *DIGITS, "protocol.batch_size=32", "protocol.epochs=4")
    few = (*DIGITS, f"data.shots={SHOTS}", "data.val_fraction=0.2")
    ways = {"scratch": (), "warm": _start(parent)}
    found = {
        way: [
            study.train(architecture(), folder / "new", *few, f"data.seed={s}", *start, seed=s)[0] for s in range(seeds)
        ]
        for way, start in ways.items()
    }
    return f"Digits 5 to 9, {SHOTS} images of each, after training on 0 to 4:\n\n{_table(found, (5, 10, 20))}"


def _images_of_digits() -> dict[int, np.ndarray]:
    known = load_digits()
    return {digit: known.images[known.target == digit] for digit in range(10)}


def _start(parent: Path, name: str = "finetune") -> tuple[str, str]:
    return f"start={name}", f"start.weights={parent}"


def photos(study: Study, given: argparse.Namespace) -> str:
    """New classes of photos on a network that knows all others, then its children from slices."""
    known, new = (_linked(study, given, part) for part in ("known", "new"))
    validated = [(root, (*PHOTOS, f"data.val_root={val}")) for root, val in (known, new)]
    (known_root, of_known), (root, of_new) = validated
    of_parent, parent = study.train(architecture(), known_root, *of_known, f"protocol.epochs={given.parent_epochs}")
    ways = {"scratch": (), "warm": _start(parent), "only the classifier": _start(parent, "linear_probe")}
    found = {
        way: [study.train(architecture(), root, *of_new, *start, seed=seed)[0] for seed in range(given.photo_seeds)]
        for way, start in ways.items()
    }
    children = {}
    for name, keys in CHILDREN.items():
        for way, start in (("scratch", ()), ("from slices", _start(parent, "inherit"))):
            children[f"{name}, {way}"] = [study.train(architecture(**keys), root, *of_new, *start)[0]]
    classes, after = read_card(parent)["num_classes"], (1, 2, 4)
    known = f"after a parent of {classes} others, of which it knows {of_parent[-1]:.3f}"
    tables = (_table(found, after), f"Its children:\n\n{_table(children, after)}")
    ranked = _ranking(study, parent, root, of_new, given)
    return "\n\n".join([f"Photos, {NEW_CLASSES} new classes, {known}:", *tables, ranked])


def _linked(study: Study, given: argparse.Namespace, part: str) -> tuple[Path, Path]:
    """Folders with links to the classes of a part, to train and to validate."""
    names = sorted(path.name for path in given.photos.iterdir() if path.is_dir())
    names = names[:-NEW_CLASSES] if part == "known" else names[-NEW_CLASSES:]
    folders = []
    for kind, source in (("train", given.photos), ("val", given.photos_val)):
        folder = study.runs / "photos" / part / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not (folder / name).exists():
                (folder / name).symlink_to((source / name).resolve())
        folders.append(folder)
    return folders[0], folders[1]


def _ranking(study: Study, parent: Path, root: Path, of_new: Sequence[str], given: argparse.Namespace) -> str:
    """How trainings of two epochs rank candidates, begun with slices and with nothing, next to long ones."""
    rng, candidates = np.random.default_rng(0), []
    for _ in range(given.candidates):
        depths = (1, *(int(rng.integers(1, most + 1)) for most in (2, 3, 2)))
        widths = tuple(int(rng.choice([w // 2, 3 * w // 4, w])) for w in (16, 24, 32, 40))
        kernel, expansion = int(rng.choice([3, 5])), int(rng.choice([2, 3]))
        candidates.append(architecture(widths=widths, depths=depths, kernel=kernel, expansion=expansion))
    short, slices = "protocol.epochs=2", _start(parent, "inherit")
    columns = {
        "2 epochs, nothing": [study.train(c, root, *of_new, short)[0][-1] for c in candidates],
        "2 epochs, slices": [study.train(c, root, *of_new, short, *slices)[0][-1] for c in candidates],
    }
    long = [study.train(c, root, *of_new, "protocol.epochs=4", seed=1)[0][-1] for c in candidates]
    columns["4 epochs, nothing"] = long
    names = list(columns)
    rows = [
        [
            name,
            f"{np.mean(columns[name]):.3f}",
            *(f"{kendalltau(columns[name], columns[other])[0]:.2f}" for other in names),
        ]
        for name in names
    ]
    header = ["begun with", "mean accuracy", *(f"tau with {name}" for name in names)]
    many = f"Ranks of {len(candidates)} candidates, smaller than the parent; the long trainings have another seed:"
    return f"{many}\n\n{markdown_table(header, rows)}"


def _table(found: dict[str, list[list[float]]], epochs: Sequence[int]) -> str:
    """Medians after some epochs, which are those of trainings of that length, and the last ones of all seeds."""
    rows = [
        [way, *(f"{median(c[n - 1] for c in curves):.3f}" for n in epochs), " ".join(f"{c[-1]:.3f}" for c in curves)]
        for way, curves in found.items()
    ]
    return markdown_table(["", *(f"after epoch {n}" for n in epochs), "seeds"], rows)


def main() -> None:
    """Train what is missing, and write the README's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder for images and trainings; a stopped study goes on"
    )
    parser.add_argument("--photos", type=Path, help="folder of class folders; the last 20 by name are the new ones")
    parser.add_argument("--photos-val", type=Path, help="folder of the same classes to validate with")
    parser.add_argument("--seeds", type=int, default=5, help="of the digits")
    parser.add_argument("--parent-epochs", type=int, default=20, help="of the photos' parent")
    parser.add_argument("--photo-seeds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=5, help="that are ranked")
    given = parser.parse_args()
    use_one_thread()
    study = Study(given.runs.resolve())
    parts = [digits(study, given.seeds)]
    if given.photos:
        parts.append(photos(study, given))
    write_found(__file__, "\n\n".join([*parts, f"{processor()}, one thread."]))


if __name__ == "__main__":
    main()
