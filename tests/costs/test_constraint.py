"""Constraints: what keeps them, how they read, and what cannot be kept."""

import numpy as np
import pytest

from nars.costs.constraint import Constraint, check_reachable, short_number
from nars.costs.statistics import costs
from nars.errors import UserError
from nars.settings import ConstraintSettings, WindowSettings


def limits(**given: float) -> Constraint:
    return Constraint.of(ConstraintSettings(**given))


def extremes(space) -> np.ndarray:
    return costs(space, np.stack([np.zeros(len(space), dtype=np.int16), space.sizes - 1]))


@pytest.mark.parametrize("seed", range(20))
def test_feasible_is_every_limit_at_once(seed):
    rng = np.random.default_rng(seed)
    prices = rng.integers(1, 20, size=(200, 2)).astype(float)
    given = {}
    for name in ("macs", "params"):
        low, high = sorted(rng.integers(1, 20, size=2).tolist())
        given |= {f"min_{name}": float(low)} if rng.integers(2) else {}
        given |= {f"max_{name}": float(high)} if rng.integers(2) else {}
    expected = [
        given.get("min_macs", 0) <= macs <= given.get("max_macs", 99)
        and given.get("min_params", 0) <= params <= given.get("max_params", 99)
        for macs, params in prices
    ]
    feasible = limits(**given).feasible(prices)
    assert feasible.dtype == bool
    assert feasible.tolist() == expected


def test_limits_themselves_are_kept():
    constraint = limits(min_macs=4.0, max_macs=6.0, min_params=1.0, max_params=2.0)
    just_outside = [(np.nextafter(4, 0), 1), (np.nextafter(6, 9), 1), (4, np.nextafter(1, 0)), (4, np.nextafter(2, 9))]
    prices = np.array([(4, 1), (6, 2), (4, 2), (6, 1), *just_outside], dtype=float)
    assert constraint.feasible(prices).tolist() == [True] * 4 + [False] * 4


def test_no_constraint_keeps_all():
    assert limits().feasible(np.array([[1e-9, 1e30]])).all()
    assert limits().feasible(np.empty((0, 2))).shape == (0,)


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


@pytest.mark.parametrize("cost", ["macs", "params"])
@pytest.mark.parametrize("seed", range(3))
def test_what_can_be_met_is_exactly_what_is_let_through(architecture_space, cost, seed):
    """Limits at the smallest and the largest cost pass, those a little beyond do not, and no sample lies outside."""
    column = ("macs", "params").index(cost)
    smallest, largest = extremes(architecture_space)[:, column]
    sampled = costs(architecture_space, architecture_space.sample(2000, seed))[:, column]
    assert smallest <= sampled.min() <= sampled.max() <= largest
    check_reachable(limits(**{f"max_{cost}": smallest}), architecture_space, num_classes=1000, what="constraint")
    check_reachable(limits(**{f"min_{cost}": largest}), architecture_space, num_classes=1000, what="constraint")
    with pytest.raises(UserError, match=f"constraint {cost} <= .* cannot be met: the smallest architecture"):
        check_reachable(
            limits(**{f"max_{cost}": smallest - 1}), architecture_space, num_classes=1000, what="constraint"
        )
    with pytest.raises(UserError, match=f"constraint {cost} >= .* cannot be met: the largest architecture"):
        check_reachable(limits(**{f"min_{cost}": largest + 1}), architecture_space, num_classes=1000, what="constraint")


def test_the_message_names_the_smallest_within_reach(fbnetv3):
    with pytest.raises(UserError) as error:
        check_reachable(limits(max_macs=100e6), fbnetv3, num_classes=1000, what="constraint")
    needed = short_number(extremes(fbnetv3)[0, 0])
    assert str(error.value) == (
        "constraint macs <= 100M cannot be met: the smallest architecture of search_space=fbnetv3 needs "
        f"{needed}; raise max_macs"
    )


def test_each_of_several_limits_is_checked(fbnetv3):
    params = extremes(fbnetv3)[0, 1]
    check_reachable(limits(max_macs=600e6, max_params=params), fbnetv3, num_classes=1000, what="constraint")
    with pytest.raises(UserError, match=r"strategy.window params <= 2M cannot be met: .* raise max_params"):
        check_reachable(limits(max_macs=600e6, max_params=2e6), fbnetv3, num_classes=1000, what="strategy.window")
    with pytest.raises(UserError, match=r"constraint macs >= 90G cannot be met: the largest .* has .*; lower min_macs"):
        check_reachable(limits(min_macs=90e9, max_params=9e6), fbnetv3, num_classes=1000, what="constraint")


def test_classes_count(tiny):
    smallest = costs(tiny, np.zeros((1, len(tiny)), dtype=np.int16), num_classes=10)[0, 1]
    check_reachable(limits(max_params=smallest), tiny, num_classes=10, what="constraint")
    with pytest.raises(UserError, match="cannot be met"):
        check_reachable(limits(max_params=smallest), tiny, num_classes=1000, what="constraint")
