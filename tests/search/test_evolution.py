"""evolve: laws over many seeds, planted optima, errors by their text."""

import time
import tracemalloc

import numpy as np
import pytest

from nars.errors import UserError
from nars.search.evolution import (
    _children,
    _Memory,
    _new_and_feasible,
    adaptive_rates,
    evolve,
    mutate,
    random_feasible,
)
from nars.settings import EvolutionSettings, parse
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

SETTINGS = EvolutionSettings(best=10, random=20, children=6, survivors=12, patience=2, max_generations=30)


def space_of(*sizes: int) -> Space:
    return Space("planted", [Dimension(name=f"d{i}", choices=tuple(range(size))) for i, size in enumerate(sizes)])


def none(space: Space) -> np.ndarray:
    return np.empty((0, len(space)), dtype=np.int16)


def every_point(space: Space) -> np.ndarray:
    return np.indices(space.sizes, dtype=np.int16).reshape(len(space), -1).T


def separable(tables: list[np.ndarray]):
    """Points -> sum of one table entry per dimension."""
    return lambda points: sum(table[points[:, i]] for i, table in enumerate(tables))


def random_problem(seed: int):
    """A small space, a score with interactions, a linear limit that about half of the points meet, and seeds."""
    rng = np.random.default_rng(seed)
    space = space_of(*rng.integers(1, 6, size=7))
    weights, pairs = rng.normal(size=len(space)), rng.normal(size=(len(space), len(space)))
    cost = separable([rng.random(size) for size in space.sizes])
    limit = np.median(cost(space.sample(256, seed)))

    def score(points):
        x = points / space.sizes
        return x @ weights + np.einsum("ni,ij,nj->n", x, pairs, x)

    return space, score, lambda points: cost(points) <= limit, space.sample(15, seed)


@pytest.mark.parametrize("seed", range(40))
def test_laws(seed):
    space, score, feasible, seeds = random_problem(seed)
    scored = []

    def watched(points):
        assert points.dtype == np.int16
        assert feasible(points).all()
        scored.extend(map(bytes, points))
        return score(points)

    answer = evolve(watched, feasible, space, SETTINGS, np.random.default_rng(seed), seeds)
    assert feasible(answer.points).all()
    assert ((answer.points >= 0) & (answer.points < space.sizes)).all()
    assert len(np.unique(answer.points, axis=0)) == len(answer.points) <= SETTINGS.survivors
    assert (np.diff(answer.scores) <= 0).all()
    np.testing.assert_array_equal(answer.scores, score(answer.points))
    assert len(scored) == len(set(scored)) == answer.evaluated
    bests = [generation.best for generation in answer.history]
    assert bests == sorted(bests)
    assert bests[-1] == answer.scores[0] == max(score(np.array([np.frombuffer(p, np.int16) for p in scored])))
    gains = np.diff(bests)
    assert len(gains) <= SETTINGS.max_generations
    stalled = [i for i in range(1, len(gains)) if (gains[i - 1 : i + 1] <= SETTINGS.min_gain).all()]  # patience is 2
    assert stalled == [len(gains) - 1] or (stalled == [] and len(gains) == SETTINGS.max_generations)


@pytest.mark.parametrize("seed", range(5))
def test_what_became_of_the_children_is_counted(seed):
    space, score, feasible, seeds = random_problem(seed)
    asked = []

    def watched(points):
        asked.append(feasible(points))
        return asked[-1]

    settings = SETTINGS.model_copy(update={"max_generations": 1, "children": 50})  # fewer are new: all are scored
    answer = evolve(score, watched, space, settings, np.random.default_rng(seed), seeds)
    first, second = answer.history
    assert (first.infeasible, first.duplicates) == (0, 0)
    made = first.size * settings.children * settings.attempts
    assert second.duplicates == made - len(asked[-1]) > 0
    assert second.infeasible == np.count_nonzero(~asked[-1]) > 0
    assert first.evaluated + second.evaluated == answer.evaluated


@pytest.mark.parametrize("seed", range(5))
def test_decided_by_the_generator(seed):
    space, score, feasible, seeds = random_problem(seed)
    first, second, other = (
        evolve(score, feasible, space, SETTINGS, np.random.default_rng(s), seeds) for s in (seed, seed, seed + 1)
    )
    np.testing.assert_array_equal(first.points, second.points)
    assert first.history == second.history
    assert first.history != other.history


def test_never_below_the_best_feasible_seed():
    for seed in range(20):
        space, score, feasible, _ = random_problem(seed)
        points = every_point(space)
        points = points[feasible(points)]
        best = points[np.argmax(score(points))]
        answer = evolve(score, feasible, space, SETTINGS, np.random.default_rng(seed), best[None])
        np.testing.assert_array_equal(answer.points[0], best)


def test_seeds_may_be_absent_infeasible_or_repeated():
    space, score, feasible, _ = random_problem(3)
    points = every_point(space)
    for seeds in (none(space), points[~feasible(points)], np.repeat(points[feasible(points)][:1], 99, axis=0)):
        answer = evolve(score, feasible, space, SETTINGS, np.random.default_rng(0), seeds)
        assert feasible(answer.points).all()
        assert answer.history[0].size <= SETTINGS.random + 1


@pytest.mark.parametrize("seed", range(10))
def test_finds_the_optimum_of_a_separable_score_under_a_cost_limit(seed):
    space = space_of(*[4] * 10)  # 1,048,576 points
    rng = np.random.default_rng(seed)
    score, cost = (separable([np.cumsum(rng.random(4)) for _ in range(10)]) for _ in range(2))
    points = every_point(space)
    costs = cost(points)
    limit = np.quantile(costs, 0.2)
    best = score(points[costs <= limit]).max()
    settings = EvolutionSettings(patience=5)
    answer = evolve(score, lambda p: cost(p) <= limit, space, settings, rng, none(space))
    assert answer.scores[0] == pytest.approx(best, abs=1e-12)
    assert answer.evaluated < 0.02 * space.cardinality


def trap(points: np.ndarray) -> np.ndarray:
    """Blocks of three dimensions of four choices: 3 for (3, 3, 3), else the more the lower the choices are."""
    blocks = points.reshape(len(points), -1, 3).astype(int)
    return np.where((blocks == 3).all(axis=2), 3.0, 2 - blocks.sum(axis=2) / 4).sum(axis=1)


def test_patience_gets_past_a_deceptive_score():
    space = space_of(*[4] * 12)  # 16,777,216 points; every single step towards the optimum lowers the score

    def found(patience):
        settings = EvolutionSettings(patience=patience)
        runs = (
            evolve(trap, lambda p: np.ones(len(p), bool), space, settings, np.random.default_rng(seed), none(space))
            for seed in range(10)
        )
        return sum(run.scores[0] == 12 for run in runs)

    assert found(patience=20) >= 9
    assert found(patience=1) < found(patience=20)


def test_one_point_space_and_exhausted_space_end():
    for sizes in ((1, 1), (2, 2)):
        space = space_of(*sizes)
        answer = evolve(
            lambda p: p.sum(axis=1), lambda p: p[:, 0] >= 0, space, SETTINGS, np.random.default_rng(0), none(space)
        )
        assert answer.evaluated == space.cardinality


def test_max_evaluated_is_kept():
    for limit in (1, 20, 77, 200):
        space, score, feasible, seeds = random_problem(5)
        settings = SETTINGS.model_copy(update={"max_evaluated": limit, "patience": 30})
        answer = evolve(score, feasible, space, settings, np.random.default_rng(0), seeds)
        assert answer.evaluated == limit


def test_infeasible_constraint_fails_at_once_and_says_so():
    space = space_of(*[4] * 12)
    begin = time.perf_counter()
    with pytest.raises(UserError, match=r"space planted: none of 100000 random points meets the constraint.*loosen"):
        evolve(
            trap, lambda p: np.zeros(len(p), bool), space, EvolutionSettings(), np.random.default_rng(0), none(space)
        )
    assert time.perf_counter() - begin < 5


def test_scores_that_are_not_finite_are_named():
    space = space_of(3, 3)
    with pytest.raises(UserError, match=r"the score of (\d+) of \1 points is not finite"):
        evolve(
            lambda p: np.full(len(p), np.nan),
            lambda p: np.ones(len(p), bool),
            space,
            SETTINGS,
            np.random.default_rng(0),
            none(space),
        )


def test_random_feasible_is_bounded_and_gives_what_it_found():
    space = space_of(*[10] * 5)

    def rare(points):
        return (points[:, :3] == 0).all(axis=1)

    points, tried = random_feasible(5, rare, space, np.random.default_rng(0), tries=200_000)
    assert len(points) == 5
    assert rare(points).all()
    assert tried <= 200_000
    points, tried = random_feasible(50, rare, space, np.random.default_rng(0), tries=3000)
    assert len(points) < 50
    assert tried == 3000


def test_adaptive_rates():
    population = np.array([0.0, 1.0, 2.0, 5.0])  # mean 2
    rates = adaptive_rates(np.array([5.0, 3.5, 2.0, 1.9, 0.0]), population, above=0.8, below=0.6)
    np.testing.assert_allclose(rates, [0, 0.4, 0.8, 0.6, 0.6])
    np.testing.assert_allclose(adaptive_rates(np.ones(3), np.ones(4), above=0.8, below=0.6), 0.8)


def test_crossover_goes_by_the_better_of_the_pair():
    """Three parents that differ in all of 40 dimensions, with scores 3, 2 and 0, and no mutation but the forced one.

    With the best there is no crossover: its rate is 0. The other two cross with the rate of the better, (3 - 2) /
    (3 - 5/3) = 0.75, and not with 0.2, that of the worse. A pair that crosses shares the dimensions evenly.
    """
    points = np.arange(3, dtype=np.int16)[:, None].repeat(40, axis=1)
    rates = {"crossover_above": 1.0, "crossover_below": 0.2, "mutations_above": 0.0, "mutations_below": 0.0}
    settings, rng = EvolutionSettings(**rates), np.random.default_rng(0)
    parents = np.repeat(np.arange(3), 4000)
    sizes = np.full(40, 3)
    children = _children(parents, points, np.array([3.0, 2.0, 0.0]), sizes, settings, rng)
    differs = (children != points[parents]).sum(axis=1).reshape(3, -1)
    assert (differs[0] == 1).all()
    for row in (1, 2):
        crossed = differs[row] > 1
        assert crossed.mean() == pytest.approx(0.75 / 2, abs=0.03)  # half of the mates are the best
        assert differs[row][crossed].mean() == pytest.approx(20, abs=0.5)
        assert not (children.reshape(3, -1, 40)[row][crossed] == 0).any()
        assert (differs[row][~crossed] == 1).all()


def test_mutation_never_keeps_a_choice():
    space = space_of(2, 1, 5, 42)
    points = space.sample(4000, 0)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(mutate(points, np.zeros(4000, int), space.sizes, rng), points)
    mutated = mutate(points, np.ones(4000, int), space.sizes, rng)
    assert ((mutated >= 0) & (mutated < space.sizes)).all()
    differs = mutated != points
    assert (differs.sum(axis=1) <= 1).all()
    np.testing.assert_allclose(differs.mean(axis=0), [0.25, 0, 0.25, 0.25], atol=0.03)
    assert set((mutated - points)[differs[:, 2], 2] % 5) == {1, 2, 3, 4}


def test_memory_takes_no_new_point_for_known_and_keeps_its_size():
    memory, rng, known = _Memory(6, slot_bits=8), np.random.default_rng(0), set()
    for _ in range(50):
        points = rng.integers(0, 5, size=(64, 6), dtype=np.int16)
        keys = memory.keys(points)
        first = memory.first(keys)
        fresh = [row for row, point in enumerate(map(bytes, points)) if point not in known]
        assert len({bytes(points[row]) for row in fresh}) <= np.count_nonzero(first)
        assert len(np.unique(points[first], axis=0)) == np.count_nonzero(first)
        memory.add(keys)
        assert not memory.first(keys[-1:]).any()
        known.update(map(bytes, points))


@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_of_equal_points_the_first_is_the_new_one(n):
    memory, seen = _Memory(6), set()
    points = np.random.default_rng(n).integers(0, 2, size=(n, 6), dtype=np.int16)
    expected = [not (bytes(point) in seen or seen.add(bytes(point))) for point in points]
    assert memory.first(memory.keys(points)).tolist() == expected


def test_feasible_points_stay_unknown_until_they_are_scored():
    space = space_of(3, 3, 3)
    memory, points = _Memory(3), every_point(space)
    twice = np.concatenate([points, points])
    new, kept = _new_and_feasible(twice, memory.keys(twice), lambda p: p[:, 0] > 0, memory)
    assert new.sum() == 27
    assert kept.sum() == 18
    np.testing.assert_array_equal(memory.first(memory.keys(points)), points[:, 0] > 0)


@pytest.mark.parametrize("seed", range(5))
def test_what_was_scored_is_kept_best_first(seed, monkeypatch):
    space, score, feasible, seeds = random_problem(seed)
    asked = []

    def counted(points):
        asked.append(points)
        return score(points)

    for kept in (4096, 30):
        monkeypatch.setattr("nars.search.evolution.KEPT", kept)
        asked.clear()
        found = evolve(counted, feasible, space, SETTINGS, np.random.default_rng(seed), seeds)
        everything = np.concatenate(asked)
        np.testing.assert_allclose(np.sort(score(everything))[::-1][:kept], score(found.scored), rtol=1e-12)
        assert len(np.unique(found.scored, axis=0)) == len(found.scored) == min(kept, len(everything))


def test_memory_use_is_flat_over_generations():
    space = space_of(*[30] * 30)
    weights = np.random.default_rng(0).random(30)

    def peak(generations):
        settings = EvolutionSettings(max_generations=generations, patience=1000)
        tracemalloc.start()
        evolve(lambda p: p @ weights, lambda p: p[:, 0] > 3, space, settings, np.random.default_rng(0), none(space))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(120) < 1.05 * peak(20)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"children": 0}, "evolution.children: .*greater than 0, given 0"),
        ({"survivors": 1}, "evolution.survivors: .*greater than or equal to 2, given 1"),
        ({"random": 0}, "evolution.random: "),
        ({"crossover_above": 1.5}, "evolution.crossover_above: .*less than or equal to 1, given 1.5"),
        ({"min_gain": -1.0}, "evolution.min_gain: "),
        ({"elite": 3}, "evolution.elite: unknown key; allowed: best, random, children"),
    ],
)
def test_settings_name_what_is_wrong(values, message):
    with pytest.raises(UserError, match=message):
        parse(EvolutionSettings, values, where="evolution")


def test_defaults_are_the_papers():
    settings = EvolutionSettings()
    assert (settings.best, settings.random, settings.children, settings.survivors) == (50, 50, 24, 40)
