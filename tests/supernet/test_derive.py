"""From theta to architectures: the most probable ones inside the limits, ranked by what they do in the supernet."""

import itertools

import numpy as np
import pytest
import torch

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.supernet.contract import one_hot
from nars.supernet.derive import accuracies_inside, derived_points
from nars.supernet.loop import train_supernet
from nars.supernet.mixed import MixedSupernet

PRICING = Pricing(num_classes=4)


def everything(space) -> np.ndarray:
    return np.array(list(itertools.product(*(range(int(n)) for n in space.sizes))), dtype=np.int16)


def macs(space, points) -> np.ndarray:
    return costs(space, points, ("macs",), PRICING)[:, 0]


def random_rows(space, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {d.name: rng.dirichlet(np.ones(len(d.choices))) for d in space.dimensions}


def chances(space, rows, points) -> np.ndarray:
    return np.prod([rows[d.name][points[:, i]] for i, d in enumerate(space.dimensions)], axis=0)


def derived(space, rows, limit: float, n: int = 4) -> np.ndarray:
    def feasible(points):
        return macs(space, points) <= limit

    return derived_points(rows, space, feasible, {"macs": limit}, n, pricing=PRICING, seed=0)


@pytest.mark.parametrize("quantile", [0.0, 0.3, 1.0])
def test_all_keep_the_limit_and_nothing_as_cheap_is_more_probable_than_the_first(small_space, quantile):
    points = everything(small_space)
    prices = macs(small_space, points)
    limit = np.quantile(prices, quantile)
    for seed in range(4):
        rows = random_rows(small_space, seed)
        found = derived(small_space, rows, limit)
        assert (macs(small_space, found) <= limit).all()
        assert len(np.unique(found, axis=0)) == len(found) >= 1
        first = chances(small_space, rows, found[:1])[0]
        as_cheap = prices <= macs(small_space, found[:1])[0]
        assert first == pytest.approx(chances(small_space, rows, points[as_cheap]).max())
        rest = chances(small_space, rows, found[1:])
        assert (np.diff(rest) <= 1e-12).all()


def test_the_most_probable_comes_first_where_it_keeps_the_limit(small_space):
    for seed in range(5):
        rows = random_rows(small_space, seed)
        [first] = derived(small_space, rows, 1e9, n=0)
        assert first.tolist() == [int(rows[d.name].argmax()) for d in small_space.dimensions]


def test_a_limit_below_everything_gives_nothing(small_space):
    assert derived(small_space, random_rows(small_space, 0), 1.0).shape == (0, 2)


def test_accuracies_are_those_of_each_network_whatever_was_measured_before(small_space, work_on, tmp_path):
    """Batch norm's statistics are taken anew, so what training left there plays no part, and settings come back."""
    work = work_on(small_space, 1e9, epochs=4, theta={"after": 4})
    torch.manual_seed(0)
    supernet = MixedSupernet(small_space, num_classes=4)
    train_supernet(supernet, work, tmp_path / "state.pt", key="k")
    points = everything(small_space)[::3]
    together = accuracies_inside(supernet, work, points)
    assert together.max() > 0.35  # chance: 0.25
    for norm in supernet.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            assert norm.momentum == 0.1
            norm.running_mean.fill_(7.0)
            norm.running_var.fill_(1e-3)
    alone = [accuracies_inside(supernet, work, [point])[0] for point in points[::-1]]
    assert alone[::-1] == together.tolist()
    images = work.data.train_set(image_size=16, augmentation="none").images[work.parts()[1]]
    labels = work.data.train_set(image_size=16, augmentation="none").labels[work.parts()[1]]
    with torch.no_grad():
        scores = supernet(work.data.normalise()(images), one_hot(small_space, points[0]))
    assert float((scores.argmax(1) == labels).float().mean()) == pytest.approx(alone[-1])
