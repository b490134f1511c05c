"""Costs on effective sizes: exact where all is decided, and below the expectation where it is not."""

import numpy as np
import pytest
import torch

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.errors import UserError
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.contract import one_hot
from nars.supernet.effective import EffectiveCosts
from nars.supernet.expected import ExpectedCosts

PRICING = Pricing(num_classes=10)
NAMES = ("macs", "params", "activations")


@pytest.mark.parametrize("seed", range(12))
def test_a_decided_mixture_costs_what_its_network_costs(random_masked_space, seed):
    space = random_masked_space(seed)
    effective = EffectiveCosts(space, NAMES, PRICING)
    points = space.sample(8, seed)
    priced = [effective(one_hot(space, point)).numpy() for point in points]
    np.testing.assert_allclose(priced, costs(space, points, NAMES, PRICING), rtol=1e-12)


def test_an_effective_width_is_the_mean_of_the_widths():
    """15.2 channels of .8 * 16 + .2 * 12 (paper)."""
    skip = {"width": 8, "kind": "skip"}
    values = {"name": "stems", "resolution": 32, "stem_width": [12, 16], "kinds": {"skip": {"skip": True}}}
    values |= {"stages": [{"stride": 2, "blocks": [skip]}], "head": {"conv": 32}}
    space = ArchitectureSpace(parse(ArchitectureSpaceSettings, values))
    mixture = {"stem_width": torch.tensor([0.2, 0.8], dtype=torch.float64)}
    macs = float(EffectiveCosts(space, ("macs",), PRICING)(mixture))
    stem, block, head = 3 * 9 * 15.2 * 16**2, 15.2 * 8 * 8**2, 8 * 32 * 8**2 + 32 * 10
    assert macs == pytest.approx(stem + block + head, rel=1e-12)


def test_undecided_sizes_lose_what_two_of_them_have_in_common(fbnetv2_digits):
    """The channels inside a block follow those that enter it: effective sizes give less than architectures cost on
    average, for which the exact expectation stands."""
    space, rng = fbnetv2_digits, np.random.default_rng(0)
    for _ in range(5):
        rows = [rng.dirichlet(np.ones(size)) for size in space.sizes]
        mixture = {d.name: torch.tensor(row) for d, row in zip(space.dimensions, rows, strict=True)}
        expected = ExpectedCosts(space, NAMES, PRICING)(mixture).numpy()
        drawn = np.stack([rng.choice(len(row), size=40_000, p=row) for row in rows], axis=1).astype(np.int16)
        mean = costs(space, drawn, NAMES, PRICING).mean(axis=0)
        np.testing.assert_allclose(expected, mean, rtol=0.01)
        effective = EffectiveCosts(space, NAMES, PRICING)(mixture).numpy()
        assert (effective[:2] < 0.99 * expected[:2]).all()


def test_gradients_say_that_wider_costs_more(fbnetv2_digits):
    theta = {d.name: torch.zeros(len(d.choices), requires_grad=True) for d in fbnetv2_digits.dimensions}
    mixture = {name: torch.softmax(logits, dim=0) for name, logits in theta.items()}
    EffectiveCosts(fbnetv2_digits, ("macs",), PRICING)(mixture).sum().backward()
    for name, logits in theta.items():
        if name.endswith(("width", "expansion", "resolution")):
            assert (logits.grad.diff() > 0).all(), name


def test_a_cost_that_is_no_product_of_sizes_is_refused(fbnetv2_digits):
    with pytest.raises(UserError) as error:
        EffectiveCosts(fbnetv2_digits, ("macs", "latency_ms"), PRICING)
    assert "knows macs, params, activations, not latency_ms; take method.costs=expected" in str(error.value)
