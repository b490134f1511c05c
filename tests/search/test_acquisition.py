"""Expected improvement: against its definition written out, and on planted cases where the best batch is known."""

import numpy as np
import pytest

from nars.search.acquisition import best_by_bin, expected_improvement, improve_bins

SEEDS = range(20)


def improvement(gains, batch):
    """The mean over samples of the best gain of a batch, or 0."""
    return np.mean([max([0.0, *(sample[i] for i in batch)]) for sample in gains])


@pytest.mark.parametrize("seed", SEEDS)
def test_each_choice_improves_most(seed):
    rng = np.random.default_rng(seed)
    candidates = int(rng.integers(5, 80))
    gains = rng.normal(size=(16, candidates)) + rng.normal(size=candidates) - seed / 10
    chosen = expected_improvement(gains, 5).tolist()
    assert len(set(chosen)) == 5
    for i, column in enumerate(chosen):
        others = [j for j in range(candidates) if j not in chosen[:i]]
        best = max(improvement(gains, [*chosen[:i], j]) for j in others)
        if best > improvement(gains, chosen[:i]) + 1e-12:
            assert improvement(gains, chosen[: i + 1]) == pytest.approx(best)
        else:
            assert gains[:, column].mean() == gains[:, others].mean(axis=0).max()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_choice_improves_most_for_its_time(seed):
    rng = np.random.default_rng(seed)
    gains = rng.normal(size=(16, 200)) + rng.normal(size=200)
    takes = rng.uniform(0.1, 10, 200)
    chosen = expected_improvement(gains, 4, takes=takes).tolist()
    for i, column in enumerate(chosen):
        before = improvement(gains, chosen[:i])
        per_second = [(improvement(gains, [*chosen[:i], j]) - before) / takes[j] for j in range(200)]
        assert per_second[column] == pytest.approx(max(per_second[j] for j in range(200) if j not in chosen[:i]))
    bins, known = np.repeat([0, 1], 100), np.array([0.0, 0.5])
    for b, column in enumerate(improve_bins(gains, bins, known, 2, takes=takes)):
        per_second = [improvement(gains[:, [j]] - known[b], [0]) / takes[j] for j in np.flatnonzero(bins == b)]
        assert column == 100 * b + int(np.argmax(per_second))
    # Where one bin is empty, what it leaves is taken from all others, as if nothing had been chosen yet.
    first, second, *rest = improve_bins(gains, 0 * bins, np.zeros(2), 4, takes=takes).tolist()
    assert [first, second] == chosen[:2]
    others = np.setdiff1d(np.arange(200), chosen[:2])
    assert rest == others[expected_improvement(gains[:, others], 2, takes=takes[others])].tolist()


def test_two_that_are_good_in_different_cases_beat_two_alike():
    """Columns 0 and 1 are always equal and best on average; column 2 is good where they are bad."""
    alike = np.array([1.0, 1.0, 1.0, -1.0])
    assert expected_improvement(np.stack([alike, alike, [-1.0, -1.0, -1.0, 0.9]], axis=1), 2).tolist() == [0, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_of_equal_promises_the_first_is_taken(seed):
    gains = np.random.default_rng(seed).integers(-2, 3, size=(1, 300)) / 10
    best, second = np.flatnonzero(gains[0] == 0.2)[:2]
    assert expected_improvement(gains, 2).tolist() == [best, second]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_bin_gets_its_share_of_what_improves_on_it(seed):
    rng = np.random.default_rng(seed)
    m, share, extra = int(rng.integers(1, 5)), int(rng.integers(1, 4)), int(rng.integers(0, 1 + seed % 3))
    extra = min(extra, m - 1)
    bins = np.repeat(np.arange(m), 10)
    draws, known = rng.normal(size=(16, len(bins))), np.sort(rng.normal(size=m))
    rows = improve_bins(draws, bins, known, m * share + extra)
    assert len(set(rows.tolist())) == len(rows) == m * share + extra
    for b in range(m):
        inside = np.flatnonzero(bins == b)
        expected = inside[expected_improvement(draws[:, inside] - known[b], share)]
        assert rows[b * share : (b + 1) * share].tolist() == expected.tolist()


def test_empty_bins_leave_their_share_to_the_others():
    draws = np.array([[0.1, 0.4, 0.3, 0.2]])
    assert improve_bins(draws, np.array([0, 0, 2, 2]), np.zeros(3), 3).tolist() == [1, 2, 3]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_front_is_the_best_at_a_cost_or_less(seed):
    rng = np.random.default_rng(seed)
    accuracies, bins = rng.random(30), rng.integers(2, 8, size=30)
    best = best_by_bin(accuracies, bins, 9)
    assert best[:2].tolist() == [accuracies.min()] * 2
    assert best[2:].tolist() == [accuracies[bins <= b].max(initial=accuracies.min()) for b in range(2, 9)]
