"""Supernets whose best choices are known: noise is never chosen, what is fast and good always, and errors alone do not
steer."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.data.loaders import BatchDataset, ImageData
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.loop import argmax_point, train_supernet

KINDS = {
    "noise": {"kernel": 3, "expansion": 3, "activation": "relu"},
    "slow": {"kernel": 5, "expansion": 6, "activation": "relu"},
    "fast": {"kernel": 3, "expansion": 1, "activation": "relu"},
}
LAYERS = 6


class Pixels(BatchDataset):
    """Four pixels, of which that of the class is brighter on average."""

    def __init__(self, n: int):
        rng = np.random.default_rng(0)
        self.labels = torch.tensor(rng.integers(4, size=n))
        noise = torch.tensor(rng.normal(0, 0.5, (n, 3, 2, 2)), dtype=torch.float32)
        self.images = noise + functional.one_hot(self.labels, 4).float().reshape(-1, 1, 2, 2)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, draws):
        index = torch.tensor([draw.index for draw in draws])
        return self.images[index], self.labels[index]


class PixelData(ImageData):
    """320 images to train on."""

    class_names, fingerprint, train_size, val_size = tuple("abcd"), "pixels", 320, 4
    mean, std = (0.0,) * 3, (1.0,) * 3

    def train_set(self, *, image_size: int, augmentation: str) -> Pixels:
        return Pixels(self.train_size)

    def val_set(self, *, image_size: int) -> Pixels:
        return Pixels(self.val_size)


class Planted(nn.Module):
    """A supernet in which `slow` and `fast` blocks pass on what they are given, and `noise` gives noise."""

    def __init__(self, space: ArchitectureSpace):
        super().__init__()
        self.space = space
        self.theta = nn.ParameterDict({d.name: torch.zeros(len(d.choices)) for d in space.dimensions})
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        x = images.mean(1).flatten(1)
        for dimension in self.space.dimensions:
            noise, slow, fast = mixture[dimension.name]
            x = (slow + fast) * x + noise * torch.randn_like(x)
        return self.scale * x

    def weight_parameters(self):
        return [self.scale]


@pytest.fixture(scope="module")
def planted_space() -> ArchitectureSpace:
    stage = {"stride": 1, "blocks": [{"width": 8, "kind": list(KINDS)}] * LAYERS}
    head = {"conv": 8, "activation": "relu"}
    values = {"name": "planted", "resolution": 32, "stem_width": 8, "kinds": KINDS, "stages": [stage], "head": head}
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values))


def macs_of(space: ArchitectureSpace, kinds: list[str]) -> float:
    point = np.array([list(KINDS).index(kind) for kind in kinds], dtype=np.int16)
    return float(costs(space, point[None], ("macs",), Pricing(num_classes=4))[0, 0])


@pytest.fixture
def chosen(planted_space, work_on, tmp_path):
    """A function: the kinds that are most probable in the end, layer by layer, and their MACs."""

    def search(limit: float, seed: int, **changes) -> tuple[list[str], float]:
        changes = {"epochs": 10, "theta": {"lr": 0.4, "after": 1}, "temperature": {"decay": 0.4}} | changes
        work = work_on(
            planted_space, limit, data=PixelData(), side=2, seed=seed, weights={"lr": 0.01}, batch_size=32, **changes
        )
        torch.manual_seed(seed)
        supernet = Planted(planted_space)
        train_supernet(supernet, work, tmp_path / f"{seed}.pt", key="k")
        kinds = [list(KINDS)[i] for i in argmax_point(supernet)]
        return kinds, macs_of(planted_space, kinds)

    return search


@pytest.mark.parametrize(("paths", "seeds"), [("all", 10), ("sampled", 2)])
def test_what_is_fast_and_as_good_is_chosen_in_every_layer(planted_space, chosen, paths, seeds):
    for seed in range(seeds):
        kinds, _ = chosen(macs_of(planted_space, ["fast"] * LAYERS), seed, paths=paths)
        assert kinds == ["fast"] * LAYERS


def test_the_most_probable_architecture_ends_near_a_limit_that_lets_some_be_slow(planted_space, chosen):
    slow = LAYERS // 2
    limit = macs_of(planted_space, ["slow"] * slow + ["fast"] * (LAYERS - slow))
    one = macs_of(planted_space, ["slow"] + ["fast"] * (LAYERS - 1)) - macs_of(planted_space, ["fast"] * LAYERS)
    for seed in range(3):
        kinds, macs = chosen(limit, seed)
        assert "noise" not in kinds
        assert abs(macs - limit) <= 1.01 * one


def test_noise_is_never_chosen_whatever_the_loss(planted_space, chosen):
    for seed in range(2):
        kinds, _ = chosen(1e9, seed, loss={"name": "paper", "alpha": 0.2, "beta": 0.6})
        assert "noise" not in kinds
