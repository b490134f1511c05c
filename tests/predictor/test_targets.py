"""Targets: a map that keeps order and inverts, whatever the accuracies."""

import numpy as np
import pytest

from nars.predictor.targets import Targets

KINDS = ("standardised", "normal_scores")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 7, 200])
def test_the_map_inverts_and_keeps_order_also_beyond_the_ends(kind, n):
    rng = np.random.default_rng(n)
    accuracies = 1 - rng.random(n) ** 3
    targets = Targets.of(accuracies, kind)
    y = targets.of_accuracies(accuracies)
    assert y.mean() == pytest.approx(0, abs=1e-9)
    assert y.std() == pytest.approx(1)
    np.testing.assert_allclose(targets.to_accuracies(y), accuracies, atol=1e-12)
    wide = np.linspace(-9, 9, 1000)
    assert (np.diff(targets.to_accuracies(wide)) > 0).all()
    np.testing.assert_allclose(targets.of_accuracies(targets.to_accuracies(wide)), wide, atol=1e-6)


def test_equal_accuracies_share_a_score():
    accuracies = np.array([0.0, 0.0, 0.0, 0.5, 0.9])
    y = Targets.of(accuracies, "normal_scores").of_accuracies(accuracies)
    assert len(np.unique(y)) == 3


def test_standardised_targets_are_linear():
    targets = Targets.of(np.array([1.0, 2.0, 6.0]), "standardised")
    np.testing.assert_allclose(
        targets.of_accuracies(np.array([3.0, 3 + np.sqrt(14 / 3), -7])), [0, 1, -10 / np.sqrt(14 / 3)], atol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("accuracies", [[0.7], [0.7] * 40])
def test_a_constant_maps_to_zero_and_back(kind, accuracies):
    targets = Targets.of(np.array(accuracies), kind)
    np.testing.assert_array_equal(targets.of_accuracies(np.array(accuracies)), 0)
    np.testing.assert_array_equal(targets.to_accuracies(np.array([-3.0, 0, 5])), 0.7)
