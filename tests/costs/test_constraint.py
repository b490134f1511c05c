"""Constraints: what keeps them, how they read, and what cannot be kept."""

import numpy as np
import pytest

from nars.costs import statistics
from nars.costs.constraint import Constraint, check_reachable, extremes, priced
from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.costs.table import COUNTED, LIMITED, by_name, short_number
from nars.errors import UserError
from nars.settings import ConstraintSettings, CostLimits, WindowSettings


def limits(**given: float) -> Constraint:
    return Constraint.of(ConstraintSettings(**given))


def extremes_of(space, name: str, num_classes: int = 1000) -> np.ndarray:
    """The least and the greatest cost, where it rises with every choice."""
    ends = np.stack([np.zeros(len(space), dtype=np.int16), space.sizes - 1])
    return costs(space, ends, (name,), Pricing(num_classes=num_classes))[:, 0]


@pytest.mark.parametrize("seed", range(20))
def test_feasible_is_every_limit_at_once(seed):
    rng = np.random.default_rng(seed)
    prices = rng.integers(1, 20, size=(200, len(LIMITED))).astype(float)
    given = {}
    for name in LIMITED:
        low, high = sorted(rng.integers(1, 20, size=2).tolist())
        given |= {f"min_{name}": float(low)} if rng.integers(2) else {}
        given |= {f"max_{name}": float(high)} if rng.integers(2) else {}
    expected = [
        all(
            given.get(f"min_{name}", 0) <= cost <= given.get(f"max_{name}", 99)
            for name, cost in zip(LIMITED, price, strict=True)
        )
        for price in prices
    ]
    feasible = limits(**given).feasible(prices)
    assert feasible.dtype == bool
    assert feasible.tolist() == expected
    assert [limits(**given).kept_by(by_name(LIMITED, price)) for price in prices] == expected


def test_limits_themselves_are_kept():
    settings = ConstraintSettings(min_macs=4.0, max_macs=6.0, min_params=1.0, max_params=2.0)
    constraint = Constraint.of(settings, ("macs", "params"))
    just_outside = [(np.nextafter(4, 0), 1), (np.nextafter(6, 9), 1), (4, np.nextafter(1, 0)), (4, np.nextafter(2, 9))]
    prices = np.array([(4, 1), (6, 2), (4, 2), (6, 1), *just_outside], dtype=float)
    assert constraint.feasible(prices).tolist() == [True] * 4 + [False] * 4


def test_no_constraint_keeps_all():
    for price in (1e-9, 1e30):
        assert limits().feasible(np.full((1, len(LIMITED)), price)).all()
    assert limits().feasible(np.empty((0, len(LIMITED)))).shape == (0,)


def test_a_cost_that_is_not_known_breaks_no_limit():
    """Answers of older versions know fewer costs."""
    constraint = limits(max_macs=5.0, max_params=1.0)
    assert constraint.kept_by({"macs": 5.0})
    assert not constraint.kept_by({"macs": 5.1})


@pytest.mark.parametrize("axis", LIMITED)
@pytest.mark.parametrize("limited", LIMITED)
def test_a_search_prices_what_papers_state_what_it_limits_and_its_axis(axis, limited):
    """In the order of the table, whatever asks for it."""
    needed = {"macs", "params", axis, limited}
    free, limits = CostLimits(), CostLimits(**{f"min_{limited}": 1.0})
    for given in ((limits,), (free, limits), (limits, free)):
        assert priced(axis, *given) == tuple(name for name in LIMITED if name in needed)
    assert set(priced(axis, free, free)) == {"macs", "params", axis}


@pytest.mark.parametrize("seed", range(5))
def test_ends_are_those_of_what_is_limited(tiny, seed):
    given = {key: 1.0 for key in ("max_macs", "min_macs", "max_params", "min_params")}
    chosen = np.random.default_rng(seed).permutation(list(given))[:2].tolist()
    ends = extremes(limits(**{key: 1.0 for key in chosen}), tiny, Pricing(num_classes=10))
    reached = {key: costs(tiny, ends, (key[4:],), Pricing(num_classes=10))[:, 0] for key in chosen}
    for key, values in reached.items():
        least, greatest = extremes_of(tiny, key[4:], 10)
        assert (least if key.startswith("max") else greatest) in values
    assert len(extremes(limits(), tiny, Pricing(num_classes=10))) == 0


def test_windows_are_constraints():
    window = Constraint.of(WindowSettings(min_macs=4e8, max_macs=8e8))
    assert window == limits(min_macs=4e8, max_macs=8e8)
    assert window.label == "macs >= 400M, macs <= 800M"


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({}, "none"),
        ({"max_macs": 600e6}, "macs <= 600M"),
        ({"max_params": 8.5e6, "max_macs": 1e9}, "macs <= 1G, params <= 8.5M"),
        ({"min_macs": 4e8, "max_macs": 8e8, "min_params": 1e3}, "macs >= 400M, macs <= 800M, params >= 1k"),
        ({"max_macs": 461_550_136.0}, "macs <= 461.6M"),
    ],
)
def test_labels(given, label):
    assert limits(**given).label == label


@pytest.mark.parametrize(
    ("value", "text"), [(1.2e9, "1.2G"), (600e6, "600M"), (500, "500"), (1000, "1k"), (999, "999"), (0.5, "0.5")]
)
def test_short_numbers(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize("cost", COUNTED)
@pytest.mark.parametrize("seed", range(3))
def test_what_can_be_met_is_exactly_what_is_let_through(architecture_space, cost, seed):
    """Limits at the smallest and the largest cost pass, those a little beyond do not, and no sample lies outside."""

    def check(**given):
        check_reachable(limits(**given), architecture_space, Pricing(num_classes=1000), what="constraint")

    smallest, largest = extremes_of(architecture_space, cost)
    sampled = costs(architecture_space, architecture_space.sample(2000, seed), (cost,), Pricing(num_classes=1000))
    assert smallest <= sampled.min() <= sampled.max() <= largest
    check(**{f"max_{cost}": smallest})
    check(**{f"min_{cost}": largest})
    with pytest.raises(UserError, match=f"constraint {cost} <= .* cannot be met: the smallest architecture"):
        check(**{f"max_{cost}": smallest - 1})
    with pytest.raises(UserError, match=f"constraint {cost} >= .* cannot be met: the largest architecture"):
        check(**{f"min_{cost}": largest + 1})


def test_where_the_extremes_are_not_exact_nothing_is_refused(tiny, monkeypatch):
    """Then the search tries as many random architectures as it is told."""
    monkeypatch.setattr(statistics, "MAX_ENTRIES", 1)
    for cached in (extreme, statistics.part_tables, statistics._lookup):
        cached.cache_clear()
    check_reachable(limits(max_macs=1.0, min_params=9e9), tiny, Pricing(num_classes=10), what="constraint")
    for cached in (extreme, statistics.part_tables, statistics._lookup):
        cached.cache_clear()
    monkeypatch.undo()
    with pytest.raises(UserError, match="cannot be met"):
        check_reachable(limits(max_macs=1.0), tiny, Pricing(num_classes=10), what="constraint")


def test_the_message_names_the_smallest_within_reach(fbnetv3):
    with pytest.raises(UserError) as error:
        check_reachable(limits(max_macs=100e6), fbnetv3, Pricing(num_classes=1000), what="constraint")
    needed = short_number(extremes_of(fbnetv3, "macs")[0])
    assert str(error.value) == (
        "constraint macs <= 100M cannot be met: the smallest architecture of search_space=fbnetv3 needs "
        f"{needed}; raise max_macs"
    )


def test_each_of_several_limits_is_checked(fbnetv3):
    params = extremes_of(fbnetv3, "params")[0]
    check_reachable(limits(max_macs=600e6, max_params=params), fbnetv3, Pricing(num_classes=1000), what="constraint")
    with pytest.raises(UserError, match=r"strategy.window params <= 2M cannot be met: .* raise max_params"):
        check_reachable(
            limits(max_macs=600e6, max_params=2e6), fbnetv3, Pricing(num_classes=1000), what="strategy.window"
        )
    with pytest.raises(UserError, match=r"constraint macs >= 90G cannot be met: the largest .* has .*; lower min_macs"):
        check_reachable(limits(min_macs=90e9, max_params=9e6), fbnetv3, Pricing(num_classes=1000), what="constraint")


def test_classes_count(tiny):
    smallest = extremes_of(tiny, "params", 10)[0]
    check_reachable(limits(max_params=smallest), tiny, Pricing(num_classes=10), what="constraint")
    with pytest.raises(UserError, match="cannot be met"):
        check_reachable(limits(max_params=smallest), tiny, Pricing(num_classes=1000), what="constraint")
