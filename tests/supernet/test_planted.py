"""Supernets whose best choices are known: noise is never chosen, what is fast and good always, and errors alone do not
steer."""

import numpy as np
import pytest
import torch

from experiments.differentiable.planted import PixelData, Planted, planted_space
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.loop import argmax_point, train_supernet

KINDS = {
    "noise": {"kernel": 3, "expansion": 3, "activation": "relu"},
    "slow": {"kernel": 5, "expansion": 6, "activation": "relu"},
    "fast": {"kernel": 3, "expansion": 1, "activation": "relu"},
}
PASSED_ON = (0.0, 1.0, 1.0)  # `slow` and `fast` pass on what they are given, `noise` gives noise
LAYERS = 6


@pytest.fixture(scope="module")
def space() -> ArchitectureSpace:
    return planted_space(KINDS, LAYERS)


def macs_of(space: ArchitectureSpace, kinds: list[str]) -> float:
    point = np.array([list(KINDS).index(kind) for kind in kinds], dtype=np.int16)
    return float(costs(space, point[None], ("macs",), Pricing(num_classes=4))[0, 0])


@pytest.fixture
def chosen(space, work_on, tmp_path):
    """A function: the kinds that are most probable in the end, layer by layer, and their MACs."""

    def search(limit: float, seed: int, **changes) -> tuple[list[str], float]:
        changes = {"epochs": 10, "theta": {"lr": 0.4, "after": 1}, "temperature": {"decay": 0.4}} | changes
        work = work_on(
            space,
            limit,
            data=PixelData(320, noise=0.5),
            side=2,
            seed=seed,
            weights={"lr": 0.01},
            batch_size=32,
            **changes,
        )
        torch.manual_seed(seed)
        supernet = Planted(space, PASSED_ON)
        train_supernet(supernet, work, tmp_path / f"{seed}.pt", key="k")
        kinds = [list(KINDS)[i] for i in argmax_point(supernet)]
        return kinds, macs_of(space, kinds)

    return search


@pytest.mark.parametrize(("paths", "seeds"), [("all", 10), ("sampled", 2)])
def test_what_is_fast_and_as_good_is_chosen_in_every_layer(space, chosen, paths, seeds):
    for seed in range(seeds):
        kinds, _ = chosen(macs_of(space, ["fast"] * LAYERS), seed, paths=paths)
        assert kinds == ["fast"] * LAYERS


def test_the_most_probable_architecture_ends_near_a_limit_that_lets_some_be_slow(space, chosen):
    slow = LAYERS // 2
    limit = macs_of(space, ["slow"] * slow + ["fast"] * (LAYERS - slow))
    one = macs_of(space, ["slow"] + ["fast"] * (LAYERS - 1)) - macs_of(space, ["fast"] * LAYERS)
    for seed in range(3):
        kinds, macs = chosen(limit, seed)
        assert "noise" not in kinds
        assert abs(macs - limit) <= 1.01 * one


def test_noise_is_never_chosen_whatever_the_loss(space, chosen):
    for seed in range(2):
        kinds, _ = chosen(1e9, seed, loss={"name": "paper", "alpha": 0.2, "beta": 0.6})
        assert "noise" not in kinds
