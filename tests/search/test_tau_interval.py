"""The interval of Kendall's tau holds the true one about as often as it says."""

import math

import numpy as np
import pytest

from nars.search.early_stop import kendall_tau
from nars.search.tau_interval import _deviation, kendall_interval


@pytest.mark.parametrize("n", [4, 8, 20, 60])
@pytest.mark.parametrize("tau", [-0.4, 0.0, 0.3, 0.6, 0.8])
def test_it_holds_the_true_value_in_about_95_of_100_samples(n, tau):
    """Of normal pairs, whose tau is 2 / pi arcsin of their correlation (Greiner 1909)."""
    rng = np.random.default_rng([n, int(100 * tau) + 100])
    correlation = math.sin(math.pi / 2 * tau)
    x, noise = rng.normal(size=(2, 500, n))
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    intervals = [kendall_interval(kendall_tau(a, b), n) for a, b in zip(x, y, strict=True)]
    share = np.mean([low <= tau <= high for low, high in intervals])
    assert (0.87 if n == 4 else 0.91) <= share <= 0.99


def test_unrelated_pairs_deviate_as_kendall_says():
    """Kendall 1938: 2 (2n + 5) / 9n (n - 1)."""
    for n in (2, 5, 40):
        assert _deviation(np.zeros(1), n)[0] ** 2 == pytest.approx(2 * (2 * n + 5) / (9 * n * (n - 1)))


def test_it_shrinks_with_the_number_and_grows_with_the_level():
    def width(*given, **level):
        low, high = kendall_interval(*given, **level)
        return high - low

    widths = [width(0.3, n) for n in (4, 8, 12, 50, 1000)]
    assert widths == sorted(widths, reverse=True)
    assert width(0.3, 12, level=0.5) < width(0.3, 12, level=0.9) < width(0.3, 12)


@pytest.mark.parametrize("tau", [-1.0, -0.33, 0.0, 1.0])
@pytest.mark.parametrize("n", [2, 4, 12])
def test_it_stays_within_its_range_and_no_few_pairs_are_certain(tau, n):
    low, high = kendall_interval(tau, n)
    assert -1 <= low <= tau <= high <= 1
    assert kendall_interval(-tau, n) == pytest.approx((-high, -low))
    assert high - low > 0.1
