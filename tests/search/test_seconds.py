"""How long trainings are told to take."""

import numpy as np
import pytest

from nars.search.seconds import FEWEST, predicted_seconds


@pytest.fixture
def planted():
    """Features (200, 6), costs and seconds (200,): proportional to the cost, and to e for each unit of one feature."""
    rng = np.random.default_rng(0)
    x, costs = rng.random((200, 6)), 10 ** rng.uniform(6, 9, 200)
    return x, costs, 1e-6 * costs * np.exp(x[:, 2])


def test_seconds_follow_from_costs_and_features(planted):
    x, costs, seconds = planted
    rows = np.arange(60)
    told = predicted_seconds(x, costs, rows, seconds[rows])
    inside = (seconds >= seconds[rows].min()) & (seconds <= seconds[rows].max())
    assert inside[60:].sum() > 100
    np.testing.assert_allclose(told[inside], seconds[inside], rtol=0.05)


def test_nothing_is_told_to_take_longer_than_the_longest_or_less_than_the_shortest(planted):
    x, costs, seconds = planted
    rows = np.flatnonzero((costs > 1e7) & (costs < 1e8))
    told = predicted_seconds(x, costs, rows, seconds[rows])
    assert told.min() == pytest.approx(seconds[rows].min())
    assert told.max() == pytest.approx(seconds[rows].max())


def test_what_is_unknown_or_not_of_the_pool_says_nothing(planted):
    x, costs, seconds = planted
    rows = np.arange(20)
    told = predicted_seconds(x, costs, rows, seconds[rows])
    more = np.concatenate([rows, [30, 31, -1]])
    with_others = predicted_seconds(x, costs, more, np.concatenate([seconds[rows], [np.nan, 0.0, 1e9]]))
    np.testing.assert_array_equal(with_others, told)


@pytest.mark.parametrize("known", range(FEWEST + 1))
def test_all_take_alike_until_a_few_are_known(planted, known):
    x, costs, seconds = planted
    rows = np.arange(5)
    some = np.where(rows < known, seconds[rows], np.nan)
    assert (np.ptp(predicted_seconds(x, costs, rows, some)) == 0) == (known < FEWEST)
