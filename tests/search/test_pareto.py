"""The front is what its definition says, on random and on tied costs and scores."""

import numpy as np
import pytest

from nars.search.pareto import pareto_front


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("values", [4, 1000])
def test_holds_exactly_what_nothing_beats(seed, values):
    rng = np.random.default_rng(seed)
    costs, scores = rng.integers(values, size=(2, 60)) / [[1], [values]]  # scores are fractions, as accuracies are
    front = pareto_front(costs, scores)
    beaten = [
        ((costs <= c) & (scores >= s) & ((costs < c) | (scores > s))).any() for c, s in zip(costs, scores, strict=True)
    ]
    kept = {(costs[i], scores[i]) for i in front}
    assert kept == {(costs[i], scores[i]) for i in range(60) if not beaten[i]}
    assert len(kept) == len(front)
    assert (np.diff(costs[front]) > 0).all()
    assert (np.diff(scores[front]) > 0).all()


def test_of_nothing_is_nothing():
    assert len(pareto_front(np.empty(0), np.empty(0))) == 0
