"""Front improvement: against its definition written out, and on planted cases where the best batch is known."""

import numpy as np
import pytest

from nars.search.acquisition import front, front_improvement

SEEDS = range(20)


def random_case(seed):
    rng = np.random.default_rng(seed)
    candidates, m = int(rng.integers(5, 80)), int(rng.integers(1, 6))
    draws = rng.normal(size=(16, candidates)) + rng.normal(size=candidates)
    known = np.maximum.accumulate(rng.normal(size=m))
    return draws, rng.integers(m, size=candidates), known, int(rng.integers(1, 6))


def improvement(draws, bins, known, batch):
    """How much higher the front is with a batch: summed over bins, averaged over samples."""
    total = 0.0
    for sample in draws:
        for b, before in enumerate(known):
            reached = [sample[i] for i in batch if bins[i] <= b]
            total += max([before, *reached]) - before
    return total / len(draws)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_choice_raises_the_front_most(seed):
    draws, bins, known, n = random_case(seed)
    chosen = front_improvement(draws, bins, known, n).tolist()
    assert len(set(chosen)) == n
    for i, column in enumerate(chosen):
        reached = improvement(draws, bins, known, chosen[: i + 1])
        others = [j for j in range(draws.shape[1]) if j not in chosen[:i]]
        best = max(improvement(draws, bins, known, [*chosen[:i], j]) for j in others)
        if best > improvement(draws, bins, known, chosen[:i]) + 1e-12:
            assert reached == pytest.approx(best)
        else:
            assert draws[:, column].mean() == draws[:, others].mean(axis=0).max()


def test_two_that_are_good_in_different_cases_beat_two_alike():
    """Columns 0 and 1 are always equal and best on average; column 2 is good where they are bad."""
    alike = np.array([1.0, 1.0, 1.0, -1.0])
    draws = np.stack([alike, alike, [-1.0, -1.0, -1.0, 0.9]], axis=1)
    assert front_improvement(draws, np.zeros(3, int), np.array([0.0]), 2).tolist() == [0, 2]


def test_a_cheap_candidate_improves_the_dearer_bins_too():
    draws = np.array([[0.5, 0.6]])
    assert front_improvement(draws, np.array([0, 2]), np.zeros(3), 1).tolist() == [0]
    assert front_improvement(draws, np.array([2, 2]), np.zeros(3), 1).tolist() == [1]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_front_is_the_best_at_a_cost_or_less(seed):
    rng = np.random.default_rng(seed)
    accuracies, bins = rng.random(30), rng.integers(2, 8, size=30)
    best = front(accuracies, bins, 9)
    assert best[:2].tolist() == [accuracies.min()] * 2
    assert best[2:].tolist() == [accuracies[bins <= b].max(initial=accuracies.min()) for b in range(2, 9)]
