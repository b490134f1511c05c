"""Small spaces of FBNetV1's and V2's kind, images in memory, and what a search inside a supernet is told."""

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


@pytest.fixture(scope="session")
def fbnetv2(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "fbnetv2")))


@pytest.fixture(scope="session")
def fbnetv2_digits(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "fbnetv2_digits")))


@pytest.fixture(scope="session")
def random_masked_space():
    """A function: the space of a seed, with everything that FBNetV2's supernet can hold."""
    return lambda seed: ArchitectureSpace(parse(ArchitectureSpaceSettings, _random(np.random.default_rng(seed))))


def _random(rng: np.random.Generator) -> dict:
    def some(choices):
        return sorted(rng.choice(choices, size=rng.integers(1, 4), replace=False).tolist())

    def activation():
        return ("hswish", "relu")[rng.integers(2)]

    def block():
        width = some(np.arange(4, 40, 4))
        form = rng.random()
        if form < 0.5:
            kinds = [*rng.permutation(list(open_kinds))[:2].tolist(), "skip"]
            return {"width": width, "kind": kinds, "expansion": some([0.6, 0.75, 1.0, 1.5, 2.25, 3.0])}
        if form < 0.7:
            return {"width": width, "kind": ["whole", "whole_small", "skip"]}
        if form < 0.75:
            return {"width": width, "kind": "skip"}
        own = {"kernel": [3, 5], "expansion": some([0.6, 1.0, 2.25]), "se": [False, "input", "expanded"]}
        return {"width": width, "activation": ["hswish", "relu"], **own}

    squeezes = [False, "input", "expanded"]
    open_kinds = {
        f"open{i}": {"kernel": kernel, "se": squeezes[rng.integers(3)], "activation": activation()}
        for i, kernel in enumerate((1, 3, 5, 7))
    }
    kinds = open_kinds | {
        "whole": {"kernel": 3, "expansion": 2.5, "se": "input"},
        "whole_small": {"kernel": 5, "expansion": 0.6},
        "skip": {"skip": True, "activation": activation()},
    }
    stages = [
        {"stride": int(rng.integers(1, 3)), "blocks": [block() for _ in range(rng.integers(1, 4))]}
        for _ in range(rng.integers(2, 4))
    ]
    stages[1]["blocks"][0]["width"] = {"same_as": f"stage1/block{len(stages[0]['blocks'])}"}
    head = {"conv": 40, "activation": "relu"} if rng.random() < 0.5 else {"expansion": 2, "width": 40}
    values = {"name": "masked", "resolution": some(range(17, 40)), "stem_width": some(range(4, 30))}
    return values | {"stem_activation": activation(), "kinds": kinds, "stages": stages, "head": head}


@pytest.fixture(scope="session")
def space_of_widths():
    """A function: a space of two blocks whose widths and expansions are these, for images of these sides."""
    return lambda widths, expansions=(3.0,), resolution=32: ArchitectureSpace(
        parse(
            ArchitectureSpaceSettings,
            {
                "name": "widths",
                "resolution": resolution,
                "stem_width": 16,
                "stages": [{"stride": 2, "blocks": [_block(widths, expansions)] * 2}],
                "head": {"conv": 32},
            },
        )
    )


def _block(widths, expansions) -> dict:
    return {"width": [*widths], "expansion": [*expansions], "kernel": 3, "se": "expanded"}
