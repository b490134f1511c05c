"""Latency as a cost: the sum over a network's blocks of what a table says, exact, and its extremes too."""

from collections import Counter

import numpy as np
import pytest

from nars.costs import statistics
from nars.costs.constraint import Constraint, check_reachable
from nars.costs.extremes import extreme
from nars.costs.latency import STEP, LatencyTable
from nars.costs.pricing import Pricing
from nars.costs.shapes import Shape, distinct_rows, shapes_of
from nars.costs.statistics import costs, part_tables, rows_of_space, table_costs
from nars.errors import UserError
from nars.settings import ArchitectureSpaceSettings, ConstraintSettings, parse
from nars.spaces.architecture import ArchitectureSpace

NAMES = ("macs", "latency_ms")


def planted(space, seed: int, *, num_classes: int = 10, **given) -> tuple[dict[Shape, float], Pricing]:
    """Random milliseconds for every shape of a space."""
    rng = np.random.default_rng(seed)
    entries = {Shape.of_row(row): float(rng.uniform(0.01, 3)) for row in rows_of_space(space, num_classes)}
    return entries, Pricing(num_classes=num_classes, latency=LatencyTable(entries, **given))


def forget_tables() -> None:
    for cached in (extreme, statistics.part_tables, statistics._lookup):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("space", "resolution", "expected"),
    [("fbnetv3", None, 16_933), ("fbnetv3", 224, 3_595), ("fbnetv3", 272, 3_595), ("fbnet", None, 102 + 2)],
)
def test_so_many_shapes_are_to_be_measured(conf, space, resolution, expected):
    """Counted independently; the classifier was a part of the head there and is a block of its own here."""
    values = conf("search_space", space) | ({"resolution": resolution} if resolution else {})
    rows = rows_of_space(ArchitectureSpace(parse(ArchitectureSpaceSettings, values)), 1000)
    kinds = Counter(Shape.of_row(row).kind for row in rows)
    assert (len(rows) - kinds["classifier"], kinds["classifier"]) == (expected, 1)


@pytest.mark.parametrize("seed", range(6))
def test_a_network_takes_the_sum_over_its_blocks(random_block_space, seed):
    space = random_block_space(seed)
    entries, pricing = planted(space, seed, base=0.5, scale=1.25)
    points = space.sample(40, seed)
    found = costs(space, points, NAMES, pricing)[:, 1]
    for point, ms in zip(points, found, strict=True):
        architecture = space.architecture(point)
        rows = [some.rows() for some in shapes_of(architecture.table, 10)]
        shapes = [Shape.of_row(row[0]) for row, count in rows if count[0]]
        layers = sum(not block.is_nothing for stage in architecture.placed_blocks for block in stage)
        assert len(shapes) == layers + 3
        assert ms == pytest.approx(0.5 + 1.25 * sum(entries[shape] for shape in shapes), abs=len(shapes) * STEP)
        assert table_costs(architecture.table, NAMES, pricing)[0, 1] == ms


@pytest.mark.parametrize("seed", range(2))
def test_looked_up_and_computed_latencies_are_equal_to_the_last_digit(architecture_space, monkeypatch, seed):
    _, pricing = planted(architecture_space, seed)
    points = architecture_space.sample(500, seed)
    looked_up = costs(architecture_space, points, NAMES, pricing)
    monkeypatch.setattr(statistics, "MAX_ENTRIES", 10)
    forget_tables()
    np.testing.assert_array_equal(costs(architecture_space, points, NAMES, pricing), looked_up)
    forget_tables()


@pytest.mark.parametrize("seed", range(4))
def test_every_shape_that_samples_have_is_one_of_the_space(random_block_space, seed):
    space = random_block_space(seed)
    every = {tuple(row) for row in rows_of_space(space, 7).tolist()}
    sampled = distinct_rows(shapes_of(space.table(space.sample(500, seed)), 7))
    assert {tuple(row) for row in sampled.tolist()} <= every
    assert all(Shape.of_row(row).row == row for row in every)


@pytest.mark.parametrize("greatest", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_extremes_are_those_of_all_architectures(tiny, greatest, seed):
    """Latency rises and falls with every choice."""
    _, pricing = planted(tiny, seed)
    every = np.indices(tiny.sizes).reshape(len(tiny), -1).T.astype(np.int16)
    ms = costs(tiny, every, ("latency_ms",), pricing)[:, 0]
    found = extreme(tiny, "latency_ms", pricing, greatest=greatest)
    assert found.exact
    assert found.cost == (ms.max() if greatest else ms.min())
    limits = Constraint.of(ConstraintSettings(max_latency_ms=float(ms.min()), min_macs=1.0))
    check_reachable(limits, tiny, pricing, what="constraint")
    limits = Constraint.of(ConstraintSettings(max_latency_ms=float(ms.min()) - 0.01))
    with pytest.raises(UserError, match=r"constraint latency_ms <= .* cannot be met: .* raise max_latency_ms"):
        check_reachable(limits, tiny, pricing, what="constraint")


@pytest.mark.parametrize("seed", range(3))
def test_tables_contracted_with_probabilities_are_the_expected_latency(tiny, seed):
    """Of independent choices: what a differentiable search follows."""
    _, pricing = planted(tiny, seed)
    rng = np.random.default_rng(seed)
    chances = [rng.dirichlet(np.ones(size)) for size in tiny.sizes]
    every = np.indices(tiny.sizes).reshape(len(tiny), -1).T.astype(np.int16)
    weights = np.prod([chance[every[:, d]] for d, chance in enumerate(chances)], axis=0)
    expected = 0.0
    for table in part_tables(tiny, ("latency_ms",), pricing):
        values = table.values[0]
        for dimension in reversed(table.dimensions):
            values = values @ chances[dimension]
        expected += float(values)
    assert expected == pytest.approx(weights @ costs(tiny, every, ("latency_ms",), pricing)[:, 0], rel=1e-9)


def test_missing_shapes_are_named(tiny):
    entries, _ = planted(tiny, 0)
    left_out = [shape for shape in entries if shape.kind == "head"]
    table = LatencyTable({shape: ms for shape, ms in entries.items() if shape not in left_out})
    sampled = list(shapes_of(tiny.table(tiny.sample(2000, 0)), 10))
    assert set(table.missing(sampled)) <= set(left_out)
    assert table.missing(sampled)
    assert LatencyTable(entries).missing(sampled) == []
    assert LatencyTable({}).missing(sampled)


def test_tables_with_the_same_entries_are_equal(tiny):
    entries, pricing = planted(tiny, 0)
    again = LatencyTable(dict(reversed(entries.items())))
    assert again == pricing.latency
    assert hash(again) == hash(pricing.latency)
    shape = next(iter(entries))
    assert LatencyTable(entries | {shape: entries[shape] + 0.001}) != again
    assert LatencyTable(entries, scale=1.01) != again
