"""Which rates, crossover and patience: made-up scores of three kinds on FBNetV3's joint space under two limits.

`smooth` is a random network of the encoded point, `separable` a sum over dimensions, `rugged` an NK landscape (each
dimension interacts with two others; arbitrary values). The optimum is unknown, so a gap is the distance to the best
point that any run of the study found, in percent of its distance to the mean of random feasible points.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from experiments.tables import markdown_table
from nars.costs.statistics import costs
from nars.search import evolution
from nars.settings import ArchitectureSpaceSettings, EvolutionSettings, RecipeSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space

LIMITS = (450e6, 600e6)
PATIENCES = (1, 2, 3, 5, 8)
LONGEST = EvolutionSettings(patience=PATIENCES[-1])


def fbnetv3_space() -> JointSpace:
    """The space of conf/search_space/fbnetv3.yaml and conf/recipe_space/fbnetv3.yaml."""
    conf = Path(__file__).parents[2] / "conf"
    values = {
        group: yaml.safe_load((conf / group / "fbnetv3.yaml").read_text()) for group in ("search_space", "recipe_space")
    }
    return JointSpace(
        ArchitectureSpace(parse(ArchitectureSpaceSettings, values["search_space"], where="search_space")),
        recipe_space(parse(RecipeSpaceSettings, values["recipe_space"], where="recipe_space")),
    )


SPACE = fbnetv3_space()


def keeps(limit: float) -> Callable[[np.ndarray], np.ndarray]:
    """Points -> whether they need at most `limit` MACs."""
    return lambda points: costs(SPACE.architecture, SPACE.split(points)[0], ("macs",))[:, 0] <= limit


def separable(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Architecture choices help the more the higher, recipe choices in any way."""
    rng = np.random.default_rng(seed)
    tables = [
        np.cumsum(rng.random(size)) * rng.random()
        if i < len(SPACE.architecture)
        else rng.normal(size=size).cumsum() / 5
        for i, size in enumerate(SPACE.sizes)
    ]
    return lambda points: sum(table[points[:, i]] for i, table in enumerate(tables))


def smooth(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A random network of two hidden layers plus a rising linear part."""
    rng = np.random.default_rng(seed)
    columns, centre = len(SPACE.columns), SPACE.encode(SPACE.sample(512, 0)).mean(axis=0)
    first = rng.normal(size=(columns, 64)) * 3 / columns**0.5
    second, last = rng.normal(size=(64, 32)) * 1.5 / 8, rng.normal(size=32) / 32**0.5
    bias, slope = rng.normal(size=64), rng.random(columns) * 0.15

    def score(points):
        x = SPACE.encode(points) - centre
        return np.tanh(np.tanh(x @ first + bias) @ second) @ last + x @ slope

    return score


def rugged(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Mean over dimensions of a random number that the choices of it and of two others decide."""
    rng = np.random.default_rng(seed)
    groups = np.stack([np.roll(rng.permutation(len(SPACE)), shift) for shift in range(3)], axis=1)
    factors = rng.integers(2**63, size=(len(SPACE), 4), dtype=np.uint64) | np.uint64(1)

    def score(points):
        keys = (points.astype(np.uint64)[:, groups] * factors[:, :3]).sum(axis=2) + factors[:, 3]
        mixed = (keys ^ (keys >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
        return ((mixed ^ (mixed >> np.uint64(29))) >> np.uint64(40)).mean(axis=1) / 2**24

    return score


def two_point(first, second, crossed, rng):
    """Crossover of a run of neighbouring dimensions, in place of uniform crossover."""
    cuts = np.sort(rng.integers(0, first.shape[1] + 1, size=(len(first), 2)), axis=1)
    column = np.arange(first.shape[1])
    return np.where((column >= cuts[:, :1]) & (column < cuts[:, 1:]) & crossed[:, None], second, first)


def to_neighbour(points, changed, sizes, rng):
    """Mutation of ordered dimensions to the next or previous choice, in place of any other choice."""
    anywhere = evolution_mutate(points, changed, sizes, rng)
    step = points + rng.choice(np.array([-1, 1], dtype=np.int16), size=points.shape)
    ordered = np.array([dimension.ordered for dimension in SPACE.dimensions])
    return np.where(changed & ordered & (step >= 0) & (step < sizes), step, anywhere)


evolution_mutate = evolution.mutate


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Changed settings, and operators to put in place of evolution's own."""

    name: str
    settings: dict = field(default_factory=dict)
    operators: dict = field(default_factory=dict)


def _mutations(rate: float) -> dict:
    return {"mutations_above": rate, "mutations_below": rate}


VARIANTS = (
    Variant(name="default"),
    Variant(name="0.5 mutations", settings=_mutations(0.5)),
    Variant(name="2 mutations", settings=_mutations(2.0)),
    Variant(name="5 mutations", settings=_mutations(5.0)),
    Variant(name="crossover 0.5", settings={"crossover_above": 0.5, "crossover_below": 0.5}),
    Variant(name="two-point crossover", operators={"_crossover": two_point}),
    Variant(name="mutation to a neighbour", operators={"mutate": to_neighbour}),
    Variant(name="1 attempt", settings={"attempts": 1}),
    Variant(name="10 attempts", settings={"attempts": 10}),
    Variant(
        name="rates not adaptive",
        operators={"adaptive_rates": lambda fitness, population, *, above, below: np.full(len(fitness), above)},
    ),
)


def best_by_patience(variant: Variant, score, feasible, seed: int) -> list[tuple[float, int]]:
    """(best score, points scored) after stopping at each of PATIENCES, from one run with the longest."""
    kept = {name: getattr(evolution, name) for name in variant.operators}
    for name, operator in variant.operators.items():
        setattr(evolution, name, operator)
    try:
        settings = LONGEST.model_copy(update=variant.settings)
        history = evolution.evolve(
            score, feasible, SPACE, settings, np.random.default_rng(seed), np.empty((0, len(SPACE)))
        ).history
    finally:
        for name, operator in kept.items():
            setattr(evolution, name, operator)
    best = np.array([generation.best for generation in history])
    scored = np.cumsum([generation.evaluated for generation in history])
    stops = [_stop(np.diff(best) <= settings.min_gain, patience) for patience in PATIENCES]
    return [(best[stop], scored[stop]) for stop in stops]


def _stop(stalled: np.ndarray, patience: int) -> int:
    """Generation after which `patience` generations in a row have stalled; the last if none."""
    run = 0
    for generation, stall in enumerate(stalled, start=1):
        run = run + 1 if stall else 0
        if run == patience:
            return generation
    return len(stalled)


def report(seeds: int) -> str:
    """The table: gap by kind of score and points scored, for each variant and patience."""
    kinds = {"smooth": smooth, "separable": separable, "rugged": rugged}
    gaps, scored = {}, {}
    for kind, make in kinds.items():
        problems = [(make(seed), limit) for seed in range(2) for limit in LIMITS]
        for number, (score, limit) in enumerate(problems):
            feasible = keeps(limit)
            runs = np.array(
                [[best_by_patience(variant, score, feasible, seed) for seed in range(seeds)] for variant in VARIANTS]
            )  # (variants, seeds, patiences, 2)
            points, _ = evolution.random_feasible(500, feasible, SPACE, np.random.default_rng(0), tries=10**6)
            best, mean = runs[..., 0].max(), score(points).mean()
            gaps[kind, number] = (100 * (best - runs[..., 0]) / (best - mean)).mean(axis=1)
            scored[kind, number] = runs[..., 1].mean(axis=1)
    rows = []
    for v, variant in enumerate(VARIANTS):
        cells = [
            " / ".join(f"{np.mean([gap[v, p] for (k, _), gap in gaps.items() if k == kind]):.1f}" for kind in kinds)
            + f" ({np.mean([n[v, p] for n in scored.values()]) / 1e3:.0f}k)"
            for p in range(len(PATIENCES))
        ]
        rows.append([variant.name, *cells])
    return markdown_table(["variant", *(f"patience {p}" for p in PATIENCES)], rows)
