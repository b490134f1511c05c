"""How well a predictor ranks candidates that it has not seen, from records alone."""

import numpy as np

from nars.predictor.cached_fits import CachedFits
from nars.training.trainer import Progress

FOLDS = 5


def folds_of(points: np.ndarray, accuracies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The fold int (n,), 0 to `FOLDS` - 1, in which each of points (n, d) is held out.

    Equal points share one, or a fit would have seen what it is asked. Good and bad ones are dealt out evenly: were one
    fold better than the others, its fits would have learned from worse ones, and ranks between folds would mean less.
    """
    _, distinct = np.unique(points, axis=0, return_inverse=True)
    means = np.bincount(distinct, weights=accuracies) / np.bincount(distinct)
    order = np.argsort(means, kind="stable")
    folds = np.empty(len(order), dtype=int)
    for start in range(0, len(order), FOLDS):
        dealt = order[start : start + FOLDS]
        folds[dealt] = rng.permutation(FOLDS)[: len(dealt)]
    return folds[distinct]


def held_out_predictions(
    fits: CachedFits, x: np.ndarray, accuracies: np.ndarray, folds: np.ndarray, progress: Progress
) -> np.ndarray:
    """Predictions (n,) of encoded points x (n, f), each by a fit to the folds that it is not in."""
    predicted = np.empty(len(x))
    progress.start(f"cross-validating the predictor on {len(x):,} records", total=FOLDS)
    try:
        for fold in range(FOLDS):
            held = folds == fold
            fits.fit(x[~held], accuracies[~held])
            predicted[held] = fits.predict(x[held])
            progress.update(fold + 1, "")
    finally:
        progress.stop()
    return predicted
