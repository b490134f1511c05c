"""Importance finds the dimensions that a planted score looks at."""

import numpy as np

from nars.search.importance import partial_dependence, permutation_importance


def test_is_zero_for_what_does_not_matter_and_grows_with_what_does():
    rng = np.random.default_rng(0)
    points = rng.integers(5, size=(400, 4), dtype=np.int16)
    importance = permutation_importance(lambda p: 3.0 * p[:, 0] + p[:, 2] + 0.1 * p[:, 0] * p[:, 3], points, rng)
    assert importance.shape == (4,)
    assert importance[1] == 0
    assert importance[0] > importance[2] > 0
    assert importance[3] > 0


def test_is_in_the_unit_of_the_score():
    points = np.array([[0], [1]] * 500, dtype=np.int16)
    importance = permutation_importance(lambda p: 0.25 * p[:, 0], points, np.random.default_rng(1))
    assert abs(importance[0] - 0.125) < 0.02  # half of the rows get the other value


def test_partial_dependence_finds_planted_curves():
    points = np.random.default_rng(0).integers(11, size=(300, 3), dtype=np.int16)
    before = points.copy()
    found = partial_dependence(lambda p: p[:, 0] ** 2 + 0.1 * p[:, 1], points, [11, 4, 1], most=5)
    assert (points == before).all()
    assert [list(positions) for positions, _ in found] == [[0, 2, 5, 8, 10], [0, 1, 2, 3], [0]]
    others = 0.1 * points[:, 1].mean()
    np.testing.assert_allclose(found[0][1], np.array([0, 4, 25, 64, 100]) + others)
    np.testing.assert_allclose(np.diff(found[1][1]), 0.1)
    assert found[2][1].shape == (1,)
