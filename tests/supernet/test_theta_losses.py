"""What theta minimises: towards the limit in loss=target, the paper's product in loss=paper."""

import math

import pytest
import torch

from nars.settings import LossSettings
from nars.supernet.losses import Objective

NAMES = ("macs", "params", "latency_ms")


def objective(settings, *, low=(0, 0, 0), high=(math.inf, math.inf, math.inf), steered="macs") -> Objective:
    limits = {"low": torch.tensor(low, dtype=torch.float64), "high": torch.tensor(high, dtype=torch.float64)}
    return Objective(settings=settings, names=NAMES, steered=steered, **limits)


def value(objective: Objective, cross_entropy: float, *costs: float) -> tuple[float, list[float]]:
    """The loss, and its gradient by the costs."""
    given = torch.tensor(costs, dtype=torch.float64, requires_grad=True)
    loss = objective(torch.tensor(cross_entropy), given)
    loss.backward()
    return float(loss.detach()), given.grad.tolist()


def test_target_is_the_error_and_the_distance_from_the_limit():
    target = objective(LossSettings(name="target", weight=2.0), high=(100.0, math.inf, math.inf))
    assert value(target, 0.5, 150.0, 9e9, 1.0) == (pytest.approx(1.5), [pytest.approx(0.02), 0, 0])
    assert value(target, 0.5, 50.0, 9e9, 1.0) == (pytest.approx(1.5), [pytest.approx(-0.02), 0, 0])


def test_of_several_upper_limits_the_one_that_is_nearest_counts():
    target = objective(LossSettings(name="target"), high=(100.0, 10.0, math.inf))
    assert value(target, 0.0, 50.0, 12.0, 1.0) == (pytest.approx(0.2), [0, pytest.approx(0.1), 0])
    assert value(target, 0.0, 150.0, 12.0, 1.0) == (pytest.approx(0.5), [pytest.approx(0.01), 0, 0])


def test_below_a_lower_limit_the_cost_is_pulled_up():
    target = objective(LossSettings(name="target"), low=(0, 40.0, 0), high=(100.0, math.inf, math.inf))
    loss, (_, params, _) = value(target, 0.0, 100.0, 20.0, 1.0)
    assert (loss, params) == (pytest.approx(1.0), pytest.approx(-0.1))


def test_paper_is_the_product_with_the_logarithm_of_microseconds():
    settings = LossSettings(name="paper", alpha=0.2, beta=0.6)
    loss, gradient = value(objective(settings, steered="latency_ms"), 2.0, 1e8, 1e6, 20.0)
    assert loss == pytest.approx(2.0 * 0.2 * math.log(20_000) ** 0.6)
    assert gradient[:2] == [0, 0]
    assert gradient[2] == pytest.approx(2.0 * 0.2 * 0.6 * math.log(20_000) ** -0.4 / 20.0)
    assert value(objective(settings), 2.0, 1e8, 1e6, 20.0)[0] == pytest.approx(2.0 * 0.2 * math.log(1e8) ** 0.6)
