"""Expected improvement: which batch promises most, given joint samples of what accuracies could be."""

import numpy as np

LOOK = 32  # columns whose gain is brought up to date at once


def best_by_bin(accuracies: np.ndarray, bins: np.ndarray, m: int) -> np.ndarray:
    """Best accuracy (m,) known at the cost of each of m bins or less; accuracies (n,) of candidates in `bins` (n,).

    A bin with nothing in it or below counts as the worst accuracy of all.
    """
    best = np.full(m, accuracies.min())
    np.maximum.at(best, bins, accuracies)
    return np.maximum.accumulate(best)


def improve_bins(
    draws: np.ndarray, bins: np.ndarray, known: np.ndarray, n: int, *, takes: np.ndarray | None = None
) -> np.ndarray:
    """Columns (n,) of `draws` (s, c), c >= n, as many of each cost bin: those that promise to improve on it most, or
    most for the time that each `takes` (c,).

    bins (c,): the cost bin of each candidate; known (m,): the front so far. What is missing to n, because bins are
    empty or n is no multiple of m, is chosen from all bins as if nothing had been chosen yet: to count what is
    already chosen in each bin finds worse fronts (experiments/joint_search, all constraints at once).
    """
    gains = draws - known[bins]
    takes = np.ones(len(bins)) if takes is None else takes
    chosen = np.empty(0, dtype=int)
    for b in range(len(known)):
        inside = np.flatnonzero(bins == b)
        best = expected_improvement(gains[:, inside], min(n // len(known), len(inside)), takes=takes[inside])
        chosen = np.concatenate([chosen, inside[best]])
    rest = np.setdiff1d(np.arange(len(bins)), chosen)
    return np.concatenate([chosen, rest[expected_improvement(gains[:, rest], n - len(chosen), takes=takes[rest])]])


def expected_improvement(gains: np.ndarray, n: int, *, takes: np.ndarray | None = None) -> np.ndarray:
    """Columns (n,) that together promise the greatest improvement, chosen one after the other; with `takes` (c,), how
    long each would take, the greatest improvement for its time.

    gains (s, c): s joint samples of how much better than the best known c candidates are, c >= n. The improvement of a
    batch is the mean over samples of its best gain, or 0 (Wilson, Hutter and Deisenroth 2018, greedy over samples).
    Once nothing improves, the best mean comes next.
    """
    assert n <= gains.shape[1]
    mean, free, chosen = gains.mean(axis=0), np.ones(gains.shape[1], dtype=bool), []
    reached = np.zeros(len(gains))
    takes = np.ones(gains.shape[1]) if takes is None else takes
    bounds = np.maximum(gains, 0).mean(axis=0) / takes
    for _ in range(n):
        # An improvement only falls as the batch grows: old ones are upper bounds, and few need to be looked at again.
        column = _best(gains, reached, bounds, free, takes)
        if bounds[column] <= 0:
            column = int(np.where(free, mean, -np.inf).argmax())
        chosen.append(column)
        free[column] = False
        reached = np.maximum(reached, gains[:, column])
    return np.array(chosen, dtype=int)


def _best(gains: np.ndarray, reached: np.ndarray, bounds: np.ndarray, free: np.ndarray, takes: np.ndarray) -> int:
    """The free column of greatest improvement over `reached` (s,) for what it `takes` (c,); `bounds` (c,) is brought up
    to date where needed."""
    current = np.zeros(len(bounds), dtype=bool)
    while True:
        order = np.argsort(np.where(free, -bounds, np.inf), kind="stable")
        if current[order[0]]:
            return int(order[0])
        some = [column for column in order[:LOOK] if free[column] and not current[column]]
        bounds[some] = np.maximum(gains[:, some] - reached[:, None], 0).mean(axis=0) / takes[some]
        current[some] = True
