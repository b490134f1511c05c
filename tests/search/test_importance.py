"""Importance finds the dimensions that a planted score looks at."""

import numpy as np

from nars.search.importance import permutation_importance


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
