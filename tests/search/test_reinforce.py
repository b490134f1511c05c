"""The policy of REINFORCE: its gradient is that of PPO's clipped objective, its reward MnasNet's."""

import numpy as np
import pytest
import torch

from nars.search.pool import Pool
from nars.search.reinforce import Reinforce
from nars.settings import ReinforceSettings
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

SPACE = Space(
    "policy", [Dimension(name=f"d{n}", choices=tuple(range(n))) for n in (2, 3, 5)]
)  # dimensions of different numbers of choices


def cost(points):
    return 1.0 + points.sum(axis=1)


def opened(**settings):
    points = np.indices(SPACE.sizes, dtype=np.int16).reshape(3, -1).T
    settings = ReinforceSettings(name="reinforce", **settings)
    return Reinforce(settings, SPACE, Pool(points, cost(points)), lambda p: p[:, 0] >= 0, cost, seed=0)


def trained(n, seed=0):
    rng = np.random.default_rng(seed)
    return SPACE.sample(n, seed=seed), rng.random(n)


def chances(logits):
    return torch.softmax(torch.from_numpy(logits), dim=1).numpy()


def by_autograd(points, accuracies, settings):
    """Logits after the first update, by torch's gradient of the clipped objective."""
    logits = [torch.zeros(int(n), dtype=torch.float64, requires_grad=True) for n in SPACE.sizes]
    advantages = torch.from_numpy((accuracies - accuracies.mean()) / accuracies.std())
    before = [-np.log(float(n)) for n in SPACE.sizes]
    for _ in range(settings.steps):
        objective = 0.0
        for d, own in enumerate(logits):
            now = torch.log_softmax(own, dim=0)
            ratio = torch.exp(now[torch.from_numpy(points[:, d].astype(int))] - before[d])
            clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
            objective = objective + torch.minimum(ratio * advantages, clipped * advantages).mean()
            objective = objective - settings.entropy_bonus * (now.exp() * now).sum()
        gradients = torch.autograd.grad(objective, logits)
        with torch.no_grad():
            logits = [(own + settings.lr * g).requires_grad_() for own, g in zip(logits, gradients, strict=True)]
    return [own.detach().numpy() for own in logits]


@pytest.mark.parametrize("seed", range(5))
def test_an_update_follows_the_gradient_of_the_clipped_objective(seed):
    strategy = opened(update_every=8, steps=5, lr=2.0, entropy_bonus=0.3, clip=0.1)
    points, accuracies = trained(8, seed)
    logits = strategy.policy(points, accuracies)
    for own, expected in zip(logits, by_autograd(points, accuracies, strategy.settings), strict=True):
        np.testing.assert_allclose(own[: len(expected)], expected, atol=1e-12)
        assert np.isneginf(own[len(expected) :]).all()


def test_what_does_not_fill_an_update_waits_and_failures_teach_nothing():
    strategy = opened(update_every=8)
    points, accuracies = trained(12)
    uniform, first = strategy.policy(points[:7], accuracies[:7]), strategy.policy(points[:8], accuracies[:8])
    np.testing.assert_array_equal(uniform[np.isfinite(uniform)], 0)
    assert np.abs(first[np.isfinite(first)]).max() > 0.01
    np.testing.assert_array_equal(strategy.policy(points[:11], accuracies[:11]), first)
    failed = np.insert(accuracies[:8], 3, np.nan)
    np.testing.assert_array_equal(strategy.policy(np.insert(points[:8], 3, points[9], axis=0), failed), first)


def test_later_updates_are_measured_against_the_rewards_before():
    """A second batch that is worse than the first throughout is made less likely, whatever its own average is."""
    strategy = opened(update_every=4, steps=1, entropy_bonus=0.0, baseline_decay=0.5)
    points = np.array([[0, 0, 0]] * 4 + [[1, 1, 1]] * 4, dtype=np.int16)
    accuracies = np.array([0.8, 0.81, 0.79, 0.8, 0.2, 0.21, 0.19, 0.2])
    after = chances(strategy.policy(points, accuracies))
    assert (after[:, 1] < 1 / SPACE.sizes).all()


@pytest.mark.parametrize(("decay", "likelier"), [(1.0, True), (0.0, False)])
def test_rewards_are_averaged_with_the_decay(decay, likelier):
    """The third batch is better than the first and worse than the second: it is measured against the first if nothing
    is forgotten, against the second if everything before it is."""
    strategy = opened(update_every=4, steps=1, entropy_bonus=0.0, baseline_decay=decay)
    points = np.array([[0, 0, 0]] * 4 + [[0, 0, 1]] * 4 + [[0, 0, 2]] * 4, dtype=np.int16)
    accuracies = np.repeat([0.5, 0.9, 0.7], 4) + np.tile([0.01, -0.01], 6)
    before, after = (chances(strategy.policy(points[:n], accuracies[:n]))[2, 2] for n in (8, 12))
    assert (after > before) == likelier


def test_a_batch_that_diverged_throughout_is_no_earthquake():
    """Its rewards do not differ, but from those before they do: it is avoided, and other dimensions stay open."""
    strategy = opened(update_every=4)
    points = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 2], [1, 1, 3], *[[1, 2, 4]] * 4], dtype=np.int16)
    after = chances(strategy.policy(points, np.array([0.4, 0.5, 0.6, 0.5, 0, 0, 0, 0])))
    assert after[2, 4] < 1 / 5
    assert after[np.isfinite(strategy.policy(points, np.zeros(8)))].min() > 0.01


@pytest.mark.parametrize(("exponent", "cheaper"), [(0.0, False), (-0.07, True)])
def test_among_equally_accurate_the_cheaper_is_preferred_if_asked(exponent, cheaper):
    strategy = opened(update_every=8, cost_exponent=exponent, entropy_bonus=0.0)
    points = np.tile(np.array([[0, 1, 0], [0, 1, 4]], dtype=np.int16), (4, 1))
    last = chances(strategy.policy(points, np.full(8, 0.5)))[2]
    assert (last[0] > last[4] + 0.01) == cheaper
    assert (last[0] == pytest.approx(last[4])) != cheaper


def test_the_reward_is_mnasnet_s():
    """Tan et al. 2019, equation 2: accuracy x (cost / target)^w; the target is the highest cost, here 8."""
    points = np.array([[0, 1, 2], [1, 2, 4]], dtype=np.int16)  # costs 4 and 8
    rewards = opened(cost_exponent=-0.07)._rewards(points, np.array([0.6, 0.6]))
    np.testing.assert_allclose(rewards, [0.6 * 0.5**-0.07, 0.6])
