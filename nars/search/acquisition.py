"""Expected improvement of the front: which batch promises most, given joint samples of what accuracies could be."""

import numpy as np


def front(accuracies: np.ndarray, bins: np.ndarray, m: int) -> np.ndarray:
    """Best accuracy (m,) known at the cost of each of m bins or less; accuracies (n,) of candidates in `bins` (n,).

    A bin with nothing in it or below counts as the worst accuracy of all.
    """
    best = np.full(m, accuracies.min())
    np.maximum.at(best, bins, accuracies)
    return np.maximum.accumulate(best)


def front_improvement(draws: np.ndarray, bins: np.ndarray, known: np.ndarray, n: int) -> np.ndarray:
    """Columns (n,) of `draws` that together raise the front most, chosen one after the other.

    draws (s, c): s joint samples of the accuracies of c candidates, c >= n; bins (c,): their cost bins; known (m,):
    the front so far. A candidate improves the front of its own bin and of all dearer ones by what it is better there;
    the improvement is averaged over the samples, each of which keeps its own front as the batch grows. With a single
    bin this is the expected improvement of a batch (Wilson, Hutter and Deisenroth 2018, greedy over samples); with
    several the expected hypervolume improvement of accuracy against a known cost. Once nothing improves, the best
    mean comes next.
    """
    samples, candidates = draws.shape
    assert n <= candidates
    fronts = np.repeat(known[None].astype(np.float64), samples, axis=0)
    mean, free, chosen = draws.mean(axis=0), np.ones(candidates, dtype=bool), []
    gains = _gains(draws, bins, fronts)
    for _ in range(n):
        # A gain only falls as the batch grows: old ones are upper bounds, and few need to be looked at again.
        column = _best(draws, bins, fronts, gains, free)
        if gains[column] <= 0:
            column = int(np.where(free, mean, -np.inf).argmax())
        chosen.append(column)
        free[column] = False
        dearer = fronts[:, bins[column] :]
        np.maximum(dearer, draws[:, column, None], out=dearer)
    return np.array(chosen, dtype=int)


def _best(draws, bins, fronts, gains, free, *, look: int = 32) -> int:
    """The free column of greatest gain; `gains` holds upper bounds, and is brought up to date where looked at."""
    current = np.zeros(len(gains), dtype=bool)
    while True:
        bounds = np.where(free, gains, -np.inf)
        top = int(bounds.argmax())
        if current[top]:
            return top
        some = np.argsort(-bounds, kind="stable")[:look]
        some = some[free[some] & ~current[some]]
        gains[some] = _gains(draws[:, some], bins[some], fronts)
        current[some] = True


def _gains(draws: np.ndarray, bins: np.ndarray, fronts: np.ndarray) -> np.ndarray:
    """Mean over samples (c,) of what each column adds to the fronts (s, m) of its bin and the dearer ones, summed."""
    gains = np.zeros(draws.shape[1])
    for b in range(fronts.shape[1]):
        columns = np.flatnonzero(bins <= b)
        gains[columns] += np.maximum(draws[:, columns] - fronts[:, b, None], 0).mean(axis=0)
    return gains
