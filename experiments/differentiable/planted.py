"""By which cost should theta be trained: that of its mixture, or the expected one? On supernets whose best is known."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from experiments.tables import markdown_table
from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.data.loaders import BatchDataset, ImageData
from nars.settings import ArchitectureSpaceSettings, Fbnetv1Settings, Recipe, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.expected import ExpectedCosts
from nars.supernet.loop import Epoch, Work, train_supernet
from nars.supernet.losses import Objective
from nars.supernet.sampling import probabilities_of

KINDS = {
    "noise": {"kernel": 3, "expansion": 3},
    "slow": {"kernel": 5, "expansion": 6},
    "fast": {"kernel": 3, "expansion": 1},
    "weak": {"kernel": 5, "expansion": 3},
}
PASSED_ON = {"noise": 0.0, "slow": 1.0, "fast": 1.0, "weak": 0.9}  # of what a block is given
LAYERS, SEEDS, SHARES = 7, 5, (0.2, 0.4, 0.7)
PRICING = Pricing(num_classes=4)


class Pixels(BatchDataset):
    """Four pixels, of which that of the class is brighter by 1 on average; `noise` is their deviation."""

    def __init__(self, n: int, noise: float):
        rng = np.random.default_rng(0)
        self.labels = torch.tensor(rng.integers(4, size=n))
        self.images = torch.tensor(rng.normal(0, noise, (n, 3, 2, 2)), dtype=torch.float32)
        self.images = self.images + functional.one_hot(self.labels, 4).float().reshape(-1, 1, 2, 2)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, draws):
        index = torch.tensor([draw.index for draw in draws])
        return self.images[index], self.labels[index]


class PixelData(ImageData):
    """Pixels to train on, by default as many as the digits have."""

    class_names, fingerprint, val_size = tuple("abcd"), "pixels", 4
    mean, std = (0.0,) * 3, (1.0,) * 3

    def __init__(self, train_size: int = 1437, noise: float = 0.7):
        self.train_size, self.noise = train_size, noise

    def train_set(self, *, image_size: int, augmentation: str) -> Pixels:
        return Pixels(self.train_size, self.noise)

    def val_set(self, *, image_size: int) -> Pixels:
        return Pixels(self.val_size, self.noise)


class Planted(nn.Module):
    """A supernet whose blocks pass on a share of what they are given, by kind; those of the first kind add noise."""

    def __init__(self, space: ArchitectureSpace, shares: Sequence[float]):
        super().__init__()
        self.space = space
        self.shares = torch.tensor(shares)
        self.theta = nn.ParameterDict({d.name: torch.zeros(len(d.choices)) for d in space.dimensions})
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See `nars.supernet.contract.Supernet`."""
        x = images.mean(1).flatten(1)
        for dimension in self.space.dimensions:
            weights = mixture[dimension.name]
            x = (weights @ self.shares) * x + weights[0] * torch.randn_like(x)
        return self.scale * x

    def weight_parameters(self):
        """See `nars.supernet.contract.Supernet`."""
        return [self.scale]


def report() -> str:
    """How far costs are from the limit and how decided theta is, mean and deviation over the seeds."""
    rows = []
    for way in ("of the mixture (paper)", "expected"):
        for share in SHARES:
            ends = [_searched(way == "expected", share, seed) for seed in range(SEEDS)]
            expected, argmax, decided = np.array(ends).T
            rows.append([way, f"{share:.1f}", _words(argmax), _words(expected), f"{decided.mean():.2f}"])
    header = ["cost", "limit, from least to greatest", "most probable / limit", "expected / limit", "decided"]
    return markdown_table(header, rows)


def _words(ratios: np.ndarray) -> str:
    return f"{ratios.mean():.3f} ± {ratios.std():.3f}"


def _searched(exact: bool, share: float, seed: int) -> tuple[float, float, float]:
    """Expected cost and that of the most probable network by the limit, and how decided theta is."""
    space = planted_space(KINDS, LAYERS)
    low, high = (extreme(space, "macs", PRICING, greatest=greatest).cost for greatest in (False, True))
    limit = low + share * (high - low)
    torch.manual_seed(seed)
    supernet = Planted(space, list(PASSED_ON.values()))
    last = _trained(supernet, limit, exact, seed)
    return last.expected["macs"] / limit, last.argmax["macs"] / limit, last.decided


def planted_space(kinds: Mapping[str, Mapping], layers: int) -> ArchitectureSpace:
    """Layers of equal width, each of one of these kinds of blocks."""
    stage = {"stride": 1, "blocks": [{"width": 8, "kind": list(kinds)}] * layers}
    head = {"conv": 8, "activation": "relu"}
    values = {"name": "planted", "resolution": 32, "stem_width": 8, "kinds": kinds, "stages": [stage], "head": head}
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values))


def _trained(supernet: Planted, limit: float, exact: bool, seed: int) -> Epoch:
    recipe = Recipe(lr=0.1, optimizer="sgd")
    settings = Fbnetv1Settings(name="fbnetv1", recipe=recipe, weights={"lr": 0.01})
    expected, high = ExpectedCosts(supernet.space, ("macs",), PRICING), torch.tensor([limit], dtype=torch.float64)
    objective = Objective(settings=settings.loss, names=("macs",), low=-high, high=high, steered="macs")
    work = Work(
        data=PixelData(),
        settings=settings,
        side=2,
        augmentation="none",
        expected=OfTheta(supernet, expected) if exact else expected,
        pricing=PRICING,
        objective=objective,
        seed=seed,
        device=torch.device("cpu"),
        precision="32-true",
        loader_workers=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        return train_supernet(supernet, work, Path(folder) / "state.pt", key="planted").epochs[-1]


class OfTheta:
    """What the architectures that theta draws cost on average, whatever the mixture."""

    def __init__(self, supernet: Planted, expected: ExpectedCosts):
        self.supernet, self.expected, self.names = supernet, expected, expected.names

    def __call__(self, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self.expected(probabilities_of(self.supernet.theta))
