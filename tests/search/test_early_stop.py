"""Early stopping: after which epoch the ranking is the final one."""

import numpy as np
import pytest

from nars.search.early_stop import correlation_by_epoch, early_stop_epoch, kendall_tau, spearman


@pytest.mark.parametrize(
    ("correlations", "threshold", "epoch"),
    [
        ([0.1, 0.5, 0.93, 0.8, 1.0], 0.92, 3),  # the first that reaches it, though a later one falls again
        ([0.92, 1.0], 0.92, 1),
        ([0.9199, 0.92, 1.0], 0.92, 2),
        ([0.1, 0.2, 0.3], 0.92, 3),
        ([None, None, 1.0], 0.92, 3),
        ([None, None, None], 0.92, 3),
        ([None, 0.95, 1.0], 0.92, 2),
        ([-1.0, -0.5, 1.0], -0.9, 2),
        ([1.0], 0.92, 1),
    ],
)
def test_the_first_epoch_that_reaches_the_threshold(correlations, threshold, epoch):
    assert early_stop_epoch(correlations, threshold) == epoch


@pytest.mark.parametrize("seed", range(20))
def test_an_epoch_whose_ranking_was_planted_is_found(seed):
    """Noise before the settled epoch, the final ranking from there on."""
    rng = np.random.default_rng(seed)
    candidates, epochs, settled = 30, 12, int(rng.integers(2, 12))
    final = rng.permutation(candidates) / candidates
    curves = np.empty((candidates, epochs))
    for epoch in range(1, epochs + 1):
        shown = rng.permutation(candidates) / candidates if epoch < settled else final
        curves[:, epoch - 1] = shown * (0.5 + 0.5 * epoch / epochs)
    correlations = correlation_by_epoch(curves)
    assert len(correlations) == epochs
    assert correlations[-1] == pytest.approx(1)
    assert early_stop_epoch(correlations, 0.92) == settled


@pytest.mark.parametrize("seed", range(30))
def test_equal_rankings_with_ties_reach_a_correlation_of_1(seed):
    accuracies = np.random.default_rng(seed).integers(300, 360, size=48) / 360
    curves = np.stack([accuracies / 2, accuracies, accuracies], axis=1)
    assert early_stop_epoch(correlation_by_epoch(curves), 1.0) == 1


@pytest.mark.parametrize("statistic", [spearman, kendall_tau])
def test_undefined_correlations_are_none(statistic):
    assert statistic(np.array([]), np.array([])) is None
    assert statistic(np.array([1.0]), np.array([1.0])) is None
    assert statistic(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])) is None
    assert statistic(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.0, 0.0])) is None


@pytest.mark.parametrize("statistic", [spearman, kendall_tau])
@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_of_ranks(statistic, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, 20))
    assert statistic(a, a**3) == pytest.approx(1)
    assert statistic(a, -np.exp(a)) == pytest.approx(-1)
    assert statistic(a, b) == pytest.approx(statistic(np.argsort(np.argsort(a)), b))
    assert statistic(a, b) == pytest.approx(statistic(b, a))
    assert -1 <= statistic(a, b) <= 1


def test_known_correlations():
    """By hand: ranks 1 2 3 4 against 1 3 2 4 differ by squares of sum 2; one of six pairs is turned round."""
    assert spearman([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert kendall_tau([1, 2, 3, 4], [1, 3, 2, 4]) == pytest.approx((5 - 1) / 6)


def test_epochs_are_compared_by_spearman_s_correlation():
    """By hand, as above: Kendall's tau would be 2/3 where Spearman's correlation is 0.8."""
    curves = np.array([[0.1, 1.0], [0.3, 2.0], [0.2, 3.0], [0.4, 4.0]])
    assert correlation_by_epoch(curves) == pytest.approx([0.8, 1.0])


def test_epochs_at_which_all_are_equal_have_no_correlation():
    curves = np.array([[0.1, 0.1, 0.3], [0.1, 0.2, 0.4], [0.1, 0.3, 0.5]])
    assert correlation_by_epoch(curves) == [None, pytest.approx(1), pytest.approx(1)]
