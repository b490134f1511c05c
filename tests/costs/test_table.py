"""Costs by name, beside other keys in files of all versions, and in words."""

import pytest

from nars.costs.table import by_name, cell, flattened, gathered, in_words, known

FLAT = {"recipe": {"lr": 0.1}, "macs": 1.5e6, "params": 2e3, "rounds": [{"candidates": [{"key": "a", "macs": 7.0}]}]}
GATHERED = {
    "recipe": {"lr": 0.1},
    "rounds": [{"candidates": [{"key": "a", "costs": {"macs": 7.0}}]}],
    "costs": {"macs": 1.5e6, "params": 2e3},
}


def test_costs_beside_other_keys_are_gathered_at_any_depth():
    assert gathered(FLAT) == GATHERED
    assert gathered(GATHERED) == GATHERED
    assert gathered([FLAT, 3, "macs", None]) == [GATHERED, 3, "macs", None]
    assert gathered({"a": 1}) == {"a": 1}
    assert gathered({"costs": {"macs": 1.0}, "macs": 2.0}) == {"costs": {"macs": 1.0}, "macs": 2.0}


def test_costs_are_laid_beside_other_keys():
    assert flattened({"key": "a", "costs": {"macs": 7.0, "params": 8.0}}) == {"key": "a", "macs": 7.0, "params": 8.0}
    assert gathered(flattened(GATHERED)) == GATHERED


def test_costs_come_in_the_order_of_the_table():
    costs = by_name(("params", "macs"), (10_690_000, 598.7e6))
    assert costs == {"params": 10_690_000.0, "macs": 598.7e6}
    assert all(type(value) is float for value in costs.values())
    assert known({"params": 1.0}, {"unheard of": 2.0, "macs": 3.0}) == ["macs", "params"]
    assert in_words(costs) == "598.7M MACs, 10.69M params"
    assert (cell(costs, "macs"), cell(costs, "activations")) == ("598.7M", "-")
    with pytest.raises(ValueError, match="shorter"):
        by_name(("macs", "params"), (1.0,))
