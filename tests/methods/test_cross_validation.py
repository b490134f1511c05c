"""Folds of records, and predictions by fits that have not seen what they predict."""

import numpy as np
import pytest

from nars.methods.cross_validation import FOLDS, folds_of, held_out_predictions


class Silent:
    def start(self, title, total): ...
    def update(self, done, note): ...
    def stop(self): ...


class Memory:
    """A predictor that knows what it has seen, to the last digit, and says -1 of everything else."""

    def fit(self, x, y):
        self.seen = {row.tobytes(): value for row, value in zip(x, y, strict=True)}

    def predict(self, x):
        return np.array([self.seen.get(row.tobytes(), -1.0) for row in x])


@pytest.mark.parametrize("n", [5, 8, 23, 100])
def test_folds_hold_as_many_and_as_good_candidates(n):
    rng = np.random.default_rng(n)
    points, accuracies = np.arange(n)[:, None].astype(np.int16), rng.random(n)
    folds = folds_of(points, accuracies, rng)
    sizes = np.bincount(folds, minlength=FOLDS)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= 1
    if n == 100:
        means = [accuracies[folds == fold].mean() for fold in range(FOLDS)]
        assert np.ptp(means) < 0.05  # of random folds about 0.15


def test_folds_are_decided_by_the_generator():
    points, accuracies = np.arange(30)[:, None].astype(np.int16), np.random.default_rng(0).random(30)
    first, again, other = (folds_of(points, accuracies, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_no_candidate_is_predicted_by_a_fit_that_has_seen_it():
    """Also where several seeds of one were trained."""
    rng = np.random.default_rng(0)
    points = np.repeat(np.arange(12), 2)[rng.permutation(24), None].astype(np.int16)
    accuracies = rng.random(24)
    folds = folds_of(points, accuracies, rng)
    predicted = held_out_predictions(Memory(), points.astype(np.float32), accuracies, folds, Silent())
    assert (predicted == -1).all()
