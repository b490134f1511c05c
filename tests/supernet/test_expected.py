"""The expected cost is the mean over architectures that are drawn, exactly, and its gradient that of the mean."""

import itertools

import numpy as np
import pytest
import torch

from nars.costs.latency import LatencyTable
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.latency.opening import shapes_of_space
from nars.supernet.contract import one_hot
from nars.supernet.expected import ExpectedCosts

NAMES = ("macs", "params", "activations")


def random_probabilities(space, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = {d.name: 2 * torch.randn(len(d.choices), generator=generator) for d in space.dimensions}
    return {name: row.double().softmax(0) for name, row in logits.items()}


def drawn(space, probabilities, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    columns = [rng.choice(len(d.choices), size=n, p=probabilities[d.name].numpy()) for d in space.dimensions]
    return np.stack(columns, axis=1).astype(np.int16)


def mean_of_all(space, probabilities, names, pricing) -> np.ndarray:
    """Over every architecture, by its probability."""
    points = np.array(list(itertools.product(*(range(int(n)) for n in space.sizes))), dtype=np.int16)
    rows = [probabilities[d.name].numpy() for d in space.dimensions]
    chances = np.prod([row[points[:, i]] for i, row in enumerate(rows)], axis=0)
    return chances @ costs(space, points, names, pricing)


def test_it_is_the_mean_over_all_architectures(small_space):
    probabilities = random_probabilities(small_space, 0)
    expected = ExpectedCosts(small_space, NAMES, Pricing(num_classes=10))(probabilities)
    mean = mean_of_all(small_space, probabilities, NAMES, Pricing(num_classes=10))
    np.testing.assert_allclose(expected.numpy(), mean, rtol=1e-12)


def test_latency_is_one_of_them(small_space):
    rng = np.random.default_rng(0)
    table = LatencyTable({shape: rng.uniform(0.1, 3) for shape in shapes_of_space(small_space, 10)})
    pricing, names = Pricing(num_classes=10, latency=table), ("macs", "latency_ms")
    probabilities = random_probabilities(small_space, 1)
    expected = ExpectedCosts(small_space, names, pricing)(probabilities)
    np.testing.assert_allclose(expected.numpy(), mean_of_all(small_space, probabilities, names, pricing), rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_mean_over_drawn_architectures_of_any_space(random_block_space, fbnetv3, seed):
    space = (random_block_space(seed), random_block_space(seed + 100), fbnetv3)[seed]
    probabilities = random_probabilities(space, seed)
    priced = costs(space, drawn(space, probabilities, 20_000, seed), NAMES, Pricing(num_classes=10))
    expected = ExpectedCosts(space, NAMES, Pricing(num_classes=10))(probabilities).numpy()
    error = priced.std(axis=0) / np.sqrt(len(priced))
    assert (np.abs(expected - priced.mean(axis=0)) <= 5 * error + 1e-9 * expected).all()


def test_one_architecture_costs_what_it_costs(fbnetv3):
    for point in fbnetv3.sample(5, 0):
        expected = ExpectedCosts(fbnetv3, NAMES, Pricing(num_classes=1000))(one_hot(fbnetv3, point))
        assert expected.tolist() == costs(fbnetv3, point[None], NAMES, Pricing(num_classes=1000))[0].tolist()


def test_its_gradient_is_that_of_differences(random_block_space):
    space = random_block_space(5)
    expected = ExpectedCosts(space, ("macs",), Pricing(num_classes=10))
    rows = {name: p.requires_grad_(True) for name, p in random_probabilities(space, 1).items()}
    expected(rows).sum().backward()
    for name, row in rows.items():
        moved = row.detach().clone()
        moved[0] += 0.5  # linear in each row, so a large step is exact
        changed = {other: p.detach() for other, p in rows.items()} | {name: moved}
        difference = float(expected(changed) - expected({other: p.detach() for other, p in rows.items()}))
        assert difference == pytest.approx(0.0 if row.grad is None else 0.5 * float(row.grad[0]), rel=1e-9, abs=1e-3)
