"""Adaptive genetic algorithm over the points of a space, inside a constraint.

The second stage of FBNetV3's search (paper, recalled): start from the best points seen and random ones, make
`children` children of every parent, keep the best `survivors`, stop when the best score no longer rises. The rates of
crossover and mutation adapt to the parents' scores after Srinivas and Patnaik, "Adaptive probabilities of crossover
and mutation in genetic algorithms", IEEE Trans. SMC 24(4), 1994.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nars.errors import UserError
from nars.settings import EvolutionSettings
from nars.spaces.space import Space

CHUNK = 8192  # most random points tried at once
KEPT = 4096  # points that answers which lie apart are chosen from


@dataclass(frozen=True, kw_only=True)
class Generation:
    """What one generation did: best and mean score and number of its survivors; how many new points were scored, and
    how many children were dropped because they broke the constraint or had been tried before."""

    best: float
    mean: float
    size: int
    evaluated: int
    infeasible: int
    duplicates: int


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """The answer: distinct feasible `points` int16 (r, d), best first, their `scores` float64 (r,), and one
    `Generation` per generation, the starting population first. `scored` int16 (n, d) are the best
    `KEPT` points that were scored on the way, best first, survivors or not."""

    points: np.ndarray
    scores: np.ndarray
    history: tuple[Generation, ...]
    scored: np.ndarray

    @property
    def evaluated(self) -> int:
        """Number of points that were scored."""
        return sum(generation.evaluated for generation in self.history)


def evolve(
    score: Callable[[np.ndarray], np.ndarray],
    feasible: Callable[[np.ndarray], np.ndarray],
    space: Space,
    settings: EvolutionSettings,
    rng: np.random.Generator,
    seeds: np.ndarray,
) -> Evolution:
    """The best points of `space` that `feasible` allows, by `score`.

    score: points int16 (n, d) -> float (n,), higher is better; feasible: points -> bool (n,); seeds: points (k, d) to
    start from, best first, infeasible ones are dropped, k may be 0. Every point is scored once, and only if feasible.
    Raises UserError if no feasible point is found to start from, or if a score is not a finite number.
    """
    memory = _Memory(len(space))
    seeds = np.asarray(seeds, dtype=np.int16).reshape(-1, len(space))
    assert ((seeds >= 0) & (seeds < space.sizes)).all(), "seeds are not points of the space"
    left = settings.max_evaluated or sys.maxsize
    points = _start(feasible, space, settings, rng, seeds, memory)[:left]
    alive = _Scored(points=points, keys=memory.keys(points), scores=_scores(score, points)).best(len(points))
    history = [_generation(alive.scores, evaluated=len(points), infeasible=0, duplicates=0)]
    left, stalled, made = left - len(points), 0, settings.attempts * settings.children
    kept = [alive]
    while left and stalled < settings.patience and len(history) <= settings.max_generations:
        points, keys, share, counts = _offspring(alive, made, feasible, space, settings, rng, memory)
        points, keys = points[:left], keys[:left]
        children = _Scored(points=points, keys=keys, scores=_scores(score, points))
        kept = _kept([*kept, children], most=4 * KEPT)  # sorted now and then, not each time
        alive = _Scored.all([alive, children]).best(settings.survivors)
        history.append(_generation(alive.scores, evaluated=len(points), **counts))
        left -= len(points)
        stalled = stalled + 1 if history[-1].best - history[-2].best <= settings.min_gain else 0
        # So many for each of the next parents that enough should be new and feasible.
        made = min(math.ceil(settings.children / max(share, 1 / CHUNK)), settings.attempts * settings.children)
    alive = alive.best(settings.survivors)
    scored = _kept(kept, most=0)[0]
    return Evolution(points=alive.points, scores=alive.scores, history=tuple(history), scored=scored.points)


def random_feasible(
    n: int, feasible: Callable[[np.ndarray], np.ndarray], space: Space, rng: np.random.Generator, *, tries: int
) -> tuple[np.ndarray, int]:
    """Up to `n` uniform random feasible points (m, d) and the number of points tried, at most `tries`.

    Fewer than `n` come back if the constraint leaves little of the space.
    """
    found, tried, missing = [np.empty((0, len(space)), dtype=np.int16)], 0, n
    while missing > 0 and tried < tries:
        size = min(CHUNK, max(2 * n, tried), tries - tried)
        chunk = rng.integers(space.sizes, size=(size, len(space)), dtype=np.int16)
        found.append(chunk[feasible(chunk)][:missing])
        tried += len(chunk)
        missing -= len(found[-1])
    return np.concatenate(found), tried


def adaptive_rates(fitness: np.ndarray, population: np.ndarray, *, above: float, below: float) -> np.ndarray:
    """How much (n,) to change solutions of `fitness` (n,) out of a population of these scores.

    above * (best - fitness) / (best - mean) from the mean upwards, so that the best is left alone and the average is
    not; `below` under the mean (Srinivas and Patnaik 1994, for crossover with k1 and k3, for mutation with k2 and k4).
    """
    best, mean = population.max(), population.mean()
    if best == mean:
        return np.full(len(fitness), above)
    return np.where(fitness >= mean, above * (best - fitness) / (best - mean), below)


def mutate(points: np.ndarray, changes: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points (n, d) with `changes` (n,) dimensions, drawn with replacement, set to another choice, any equally likely.

    A dimension that has one choice only stays.
    """
    row = np.repeat(np.arange(len(points)), changes)
    column = rng.integers(len(sizes), size=len(row))
    size = sizes[column]
    place = row * len(sizes) + column
    mutated = points.copy()
    mutated.ravel()[place] = (points.take(place) + rng.integers(1, np.maximum(size, 2))) % size
    return mutated


def _start(feasible, space, settings, rng, seeds, memory) -> np.ndarray:
    """The starting population: distinct, feasible; seeds first, then random points."""
    seeds = seeds[feasible(seeds)] if len(seeds) else seeds
    seeds = seeds[memory.first(memory.keys(seeds))][: settings.best]
    points, tried = random_feasible(settings.random, feasible, space, rng, tries=settings.tries)
    points = np.concatenate([seeds, points])
    if not len(points):
        raise UserError(
            f"space {space.name}: none of {tried} random points meets the constraint, nor does any seed; "
            "loosen the constraint, give feasible seeds, or raise evolution.tries"
        )
    keys = memory.keys(points)
    points = points[memory.first(keys)]
    memory.add(keys)
    return points


def _offspring(alive: "_Scored", made, feasible, space, settings, rng, memory) -> tuple:
    """New feasible children (m, d), at most `settings.children` of each that is alive, and their keys; which share of
    those made was new and feasible, and counts of the others. `made` of each are made, all at once: pricing many is
    hardly slower."""
    n = len(alive.points)
    children = _children(np.repeat(np.arange(n), made), alive.points, alive.scores, space.sizes, settings, rng)
    keys = memory.keys(children)
    new, kept = _new_and_feasible(children, keys, feasible, memory)
    chosen = _first_of_each(kept, n, settings.children)
    memory.add(keys[chosen])
    counts = {"infeasible": int(np.count_nonzero(new & ~kept)), "duplicates": int(np.count_nonzero(~new))}
    return children[chosen], keys[chosen], float(kept.mean()), counts


def _new_and_feasible(points, keys, feasible, memory) -> tuple[np.ndarray, np.ndarray]:
    """Which points (n,) have not been tried before, and which of these are feasible; only these stay unknown."""
    new = memory.first(keys)
    kept = new.copy()
    if new.any():
        kept[new] = feasible(points[new])
    memory.add(keys[new & ~kept])
    return new, kept


def _first_of_each(kept: np.ndarray, parents: int, most: int) -> np.ndarray:
    """`kept` bool (n,) without what is beyond the first `most` of a parent; rows are n / parents children of each."""
    by_parent = kept.reshape(parents, -1)
    return (by_parent & (by_parent.cumsum(axis=1) <= most)).ravel()


def _children(parents, points, scores, sizes, settings, rng) -> np.ndarray:
    """One child (n, d) of each row of `parents`: crossover with a random mate, then mutation.

    A child equal to its parent has one dimension changed (ours): else the best point, whose rates are 0, would have
    no children but copies, and searches would end early.
    """
    mates = _mates(parents, len(points), rng)
    better = np.maximum(scores[parents], scores[mates])
    rate = adaptive_rates(better, scores, above=settings.crossover_above, below=settings.crossover_below)
    crossed = rng.random(len(parents)) < rate
    first = points.take(parents, axis=0)  # in a quarter of the time of points[parents]
    children = _crossover(first, points.take(mates, axis=0), crossed, rng)
    mutations = adaptive_rates(scores, scores, above=settings.mutations_above, below=settings.mutations_below)
    changes = rng.poisson(mutations[parents])
    unchanged = np.flatnonzero(changes == 0)
    copies = (children.take(unchanged, axis=0) == first.take(unchanged, axis=0)).all(axis=1)
    changes[unchanged[copies]] = 1
    return mutate(children, changes, sizes, rng)


def _mates(parents: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """For each parent another member of the population (itself if it is the only one)."""
    if size == 1:
        return parents
    mates = rng.integers(size - 1, size=len(parents))
    return mates + (mates >= parents)


def _crossover(first: np.ndarray, second: np.ndarray, crossed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where `crossed` (n,): each dimension from either row with equal chance; elsewhere the first row."""
    n, d = first.shape
    coins = rng.integers(256, size=(n, -(-d // 8)), dtype=np.uint8) * crossed[:, None]
    taken = second - first  # in whole numbers, in place: several times faster than np.where
    taken *= np.unpackbits(coins, axis=1, count=d)
    taken += first
    return taken


def _scores(score, points: np.ndarray) -> np.ndarray:
    """Scores float64 (n,); UserError if the score function gives something else than finite numbers."""
    if not len(points):
        return np.empty(0)
    scores = np.asarray(score(points), dtype=np.float64)
    assert scores.shape == (len(points),), f"score gives shape {scores.shape} for {len(points)} points"
    if not np.isfinite(scores).all():
        raise UserError(f"the score of {np.count_nonzero(~np.isfinite(scores))} of {len(scores)} points is not finite")
    return scores


class _Scored(NamedTuple):
    """Points (n, d) with their keys and scores (n,)."""

    points: np.ndarray
    keys: np.ndarray
    scores: np.ndarray

    @classmethod
    def all(cls, several: Sequence["_Scored"]) -> "_Scored":
        """The points of all, in order."""
        return cls(*map(np.concatenate, zip(*several, strict=True)))

    def rows(self, rows: np.ndarray) -> "_Scored":
        """Some of the points."""
        return _Scored(*(part[rows] for part in self))

    def best(self, n: int) -> "_Scored":
        """The n best distinct points, or all, best first; of equal scores the earlier one first."""
        order = np.argsort(-self.scores, kind="stable")
        for first in (order[: 2 * n], order):  # that many hold n distinct ones, unless the memory forgot many
            _, firsts = np.unique(self.keys[first], return_index=True)
            if len(firsts) >= n:
                break
        return self.rows(first[np.sort(firsts)[:n]])


def _kept(parts: list[_Scored], *, most: int) -> list[_Scored]:
    """The same, or, if they are more than `most` points, the `KEPT` best; of equal scores the earlier one first."""
    if sum(len(part.scores) for part in parts) <= most:
        return parts
    everything = _Scored.all(parts)
    return [everything.rows(np.argsort(-everything.scores, kind="stable")[:KEPT])]


def _generation(scores: np.ndarray, **counts: int) -> Generation:
    return Generation(best=float(scores[0]), mean=float(scores.mean()), size=len(scores), **counts)


class _Memory:
    """Which points have been tried: a table of 64-bit keys whose size does not grow with the generations.

    Each key has one slot and pushes out what was there: at worst a point is tried twice. Two points share a key with
    a probability below 2**-56 (multilinear hashing); the second one would be taken for known.
    """

    def __init__(self, dimensions: int, slot_bits: int = 20):
        # The same keys in every run: nothing that is found may depend on them.
        self._factors = np.random.default_rng(1994).integers(2**64, size=dimensions + 1, dtype=np.uint64) | np.uint64(1)
        self._shift = np.uint64(64 - slot_bits)
        self._slots = np.zeros(2**slot_bits, dtype=np.uint64)

    def keys(self, points: np.ndarray) -> np.ndarray:
        """Keys uint64 (n,) of points (n, d)."""
        return points.astype(np.uint64) @ self._factors[1:] + self._factors[0]

    def first(self, keys: np.ndarray) -> np.ndarray:
        """Whether each key is unknown and comes for the first time in `keys`: bool (n,)."""
        unknown = self._slots[keys >> self._shift] != keys
        order = np.argsort(keys)  # of equal ones in any order: np.unique, which keeps theirs, takes twice as long
        starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
        earliest = np.zeros(len(keys), dtype=bool)
        earliest[np.minimum.reduceat(order, starts)] = True
        return unknown & earliest

    def add(self, keys: np.ndarray) -> None:
        """Remember these keys."""
        self._slots[keys >> self._shift] = keys
