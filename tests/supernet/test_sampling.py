"""Mixtures: the largest entry is drawn as softmax says, soft ones are biased; one path keeps the gradient."""

import math

import numpy as np
import pytest
import torch

from nars.settings import TemperatureSettings
from nars.supernet.sampling import (
    entropy_of,
    gumbel_softmax,
    one_path,
    probabilities_of,
    sampled_mixtures,
    temperature_at,
)

LOGITS = torch.tensor([0.0, 1.0, -1.0, 2.0])


def mixtures(temperature: float, n: int = 4000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.stack([gumbel_softmax(LOGITS, temperature, generator) for _ in range(n)])


def test_the_largest_entry_is_drawn_with_the_probabilities_of_the_logits():
    found = torch.bincount(mixtures(1.0).argmax(dim=1), minlength=4) / 4000
    np.testing.assert_allclose(found, LOGITS.softmax(0), atol=0.03)


def test_a_low_temperature_decides_and_a_high_one_evens_out():
    assert float(mixtures(0.01, 200).max(dim=1).values.mean()) > 0.98
    np.testing.assert_allclose(mixtures(100.0, 200), 0.25, atol=0.06)


def test_the_mean_of_soft_mixtures_is_not_softmax():
    """Why the cost of a mixture is not the expected cost."""
    assert np.abs(mixtures(5.0).mean(dim=0) - LOGITS.softmax(0)).max() > 0.2


def test_the_same_generator_draws_the_same_in_float32_whatever_the_logits_are():
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        mixture = gumbel_softmax(LOGITS.to(dtype), 2.0, torch.Generator().manual_seed(3))
        assert mixture.dtype == torch.float32
        assert torch.equal(mixture, gumbel_softmax(LOGITS, 2.0, torch.Generator().manual_seed(3)))


def test_one_path_is_exactly_zero_elsewhere_and_has_the_gradient_of_the_mixture():
    logits = LOGITS.clone().requires_grad_(True)
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0])
    soft = gumbel_softmax(logits, 1.0, torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((soft * weights).sum(), logits, retain_graph=True)
    hard = one_path(soft)
    assert sorted(hard.tolist()) == [0, 0, 0, pytest.approx(1)]
    assert hard.argmax() == soft.argmax()
    assert torch.autograd.grad((hard * weights).sum(), logits)[0].tolist() == gradient.tolist()
    drawn = sampled_mixtures({"a": LOGITS}, 1.0, torch.Generator().manual_seed(0), paths="sampled")
    assert drawn["a"].tolist() == hard.tolist()


def test_the_temperature_falls_as_the_paper_says():
    """5 x 0.956 an epoch, and the same end in fewer epochs."""
    paper = TemperatureSettings(start=5.0, decay=0.045)
    assert temperature_at(1, paper) / temperature_at(0, paper) == pytest.approx(0.956, abs=1e-3)
    assert temperature_at(14, TemperatureSettings()) == pytest.approx(temperature_at(90, paper), rel=0.02)


def test_entropy_says_how_decided_theta_is():
    assert entropy_of(probabilities_of({"a": torch.zeros(4), "b": torch.zeros(9)})) == pytest.approx(1)
    assert entropy_of(probabilities_of({"a": torch.tensor([200.0, 0.0])})) == pytest.approx(0, abs=1e-6)
    half = {"a": torch.tensor([0.5, 0.5, 0.0, 0.0])}
    assert entropy_of(half) == pytest.approx(math.log(2) / math.log(4))
