"""A small space of FBNetV1's kind, images in memory, and what a search inside a supernet is told."""

import numpy as np
import pytest
import torch

from nars.costs.pricing import Pricing
from nars.data.loaders import BatchDataset, ImageData
from nars.settings import ArchitectureSpaceSettings, Fbnetv1Settings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.expected import ExpectedCosts
from nars.supernet.loop import Work
from nars.supernet.losses import Objective

KINDS = {
    "small": {"kernel": 3, "expansion": 1, "activation": "relu"},
    "grouped": {"kernel": 3, "expansion": 1, "groups": 2, "activation": "relu"},
    "large": {"kernel": 5, "expansion": 3, "activation": "relu"},
    "skip": {"skip": True, "activation": "relu"},
}
NAMES = ("macs", "params")


@pytest.fixture(scope="session")
def small_space() -> ArchitectureSpace:
    """Four layers, of which the second is fixed and the last two choose together."""
    choices = list(KINDS)
    values = {
        "name": "small",
        "resolution": 32,
        "stem_width": 8,
        "kinds": KINDS,
        "stages": [
            {"stride": 1, "blocks": [{"width": 8, "kind": choices}, {"width": 8, "kind": ["large"]}]},
            {"stride": 2, "blocks": [{"width": 16, "kind": choices[1:]}]},
            {"stride": 2, "blocks": [{"width": 16, "kind": {"same_as": "stage2/block1"}}]},
        ],
        "head": {"conv": 24, "activation": "relu"},
    }
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values))


class Squares(BatchDataset):
    """Bright squares at one of four places: classes that anything learns."""

    def __init__(self, n: int, side: int):
        rng = np.random.default_rng(0)
        self.labels = torch.tensor(rng.integers(4, size=n))
        self.images = torch.tensor(rng.normal(0, 0.3, (n, 3, side, side)), dtype=torch.float32)
        half = side // 2
        for image, label in zip(self.images, self.labels.tolist(), strict=True):
            row, column = divmod(label, 2)
            image[:, row * half : (row + 1) * half, column * half : (column + 1) * half] += 1

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, draws):
        index = torch.tensor([draw.index for draw in draws])
        return self.images[index], self.labels[index]


class SquaresData(ImageData):
    """128 squares to train on."""

    class_names, fingerprint, train_size, val_size = tuple("abcd"), "squares", 128, 32
    mean, std = (0.25,) * 3, (0.5,) * 3

    def train_set(self, *, image_size: int, augmentation: str) -> Squares:
        return Squares(self.train_size, image_size)

    def val_set(self, *, image_size: int) -> Squares:
        return Squares(self.val_size, image_size)


@pytest.fixture(scope="session")
def method_settings(conf):
    """A function: settings of method=fbnetv1 for a few quick steps, with changes."""
    quick = {"epochs": 3, "batch_size": 16, "theta": {"after": 1}, "temperature": {"start": 5.0, "decay": 1.0}}
    return lambda **changes: parse(
        Fbnetv1Settings, {"name": "fbnetv1", "recipe": conf("recipe", "middle")} | quick | changes
    )


@pytest.fixture(scope="session")
def work_on(method_settings):
    """A function: the work on a space with an upper limit on its MACs."""

    def work(space, limit: float, *, data=None, side: int = 16, seed: int = 0, **changes) -> Work:
        settings = method_settings(**changes)
        high = torch.tensor([limit, np.inf], dtype=torch.float64)
        return Work(
            data=data or SquaresData(),
            settings=settings,
            side=side,
            augmentation="none",
            expected=ExpectedCosts(space, NAMES, Pricing(num_classes=4)),
            pricing=Pricing(num_classes=4),
            objective=Objective(settings=settings.loss, names=NAMES, low=-high, high=high, steered="macs"),
            seed=seed,
            device=torch.device("cpu"),
            precision="32-true",
            loader_workers=0,
        )

    return work
