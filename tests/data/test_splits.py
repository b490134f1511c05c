"""Laws of the split: exact in total, fair between classes, a matter of names and seed alone."""

import numpy as np
import pytest

from nars.data.splits import hold_out, shuffled, val_counts, val_total


@pytest.mark.parametrize("seed", range(30))
def test_val_counts_give_the_total_and_at_least_one_and_never_all_of_each_class(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 2 + 10 ** rng.integers(1, 4), size=rng.integers(1, 40))
    total = int(rng.integers(len(sizes), sizes.sum() - len(sizes) + 1))
    counts = val_counts(sizes, total)
    assert counts.sum() == total
    assert (counts >= 1).all()
    assert (counts <= sizes - 1).all()
    assert np.abs(counts - total * sizes / sizes.sum()).max() <= 2, "far from the share of a class"


def test_val_counts_of_equal_classes_differ_by_one_at_most():
    counts = val_counts([60] * 200, 1010)
    assert set(counts) == {5, 6}


def test_val_total_rounds_up_but_not_for_float_noise():
    assert val_total(1797, 10, 0.2) == 360
    assert val_total(100, 3, 0.07) == 7
    assert val_total(30, 3, 0.001) == 3
    assert val_total(30, 3, 0.999) == 27


def test_hold_out_does_not_see_the_order_of_names():
    names = [f"image_{i}" for i in range(100)]
    assert hold_out([names], 20, seed=3) == hold_out([names[::-1]], 20, seed=3)


def test_another_seed_holds_others_out():
    names = [f"image_{i}" for i in range(100)]
    chosen = {tuple(hold_out([names], 20, seed=seed)[0]) for seed in range(20)}
    assert len(chosen) == 20


def test_every_name_has_the_same_chance():
    names = [f"{i}.JPEG" for i in range(20)]
    hits = sum(np.isin(names, hold_out([names], 5, seed=seed)[0]) for seed in range(400))
    assert np.abs(hits - 100).max() < 40  # 4.6 standard deviations of a binomial of 400 draws at 1/4


def test_removing_a_name_moves_one_other_at_most():
    names = [f"{i}.JPEG" for i in range(50)]
    before = set(shuffled(names, seed=0)[:10])
    for gone in names:
        after = set(shuffled([name for name in names if name != gone], seed=0)[:10])
        assert len(before - {gone} - after) == 0
        assert len(after - before) <= 1
