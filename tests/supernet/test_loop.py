"""The search inside a supernet: it goes on after any stop to the same bits, learns, and ends at its limit."""

import dataclasses

import pytest
import torch

from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.errors import UserError
from nars.supernet.loop import load_course, steps_left, train_supernet
from nars.supernet.mixed import MixedSupernet
from nars.supernet.splits import split


def new(space) -> MixedSupernet:
    torch.manual_seed(0)
    return MixedSupernet(space, num_classes=4)


def middle(space) -> float:
    ends = [extreme(space, "macs", Pricing(num_classes=4), greatest=g).cost for g in (False, True)]
    return sum(ends) / 2


class StopError(Exception):
    """In place of a kill."""


def stop_at(moment: int):
    def on_step(done: int, total: int) -> None:
        if done == moment:
            raise StopError

    return on_step


def without_seconds(course):
    return [dataclasses.replace(epoch) for epoch in course.epochs]


@pytest.mark.parametrize("paths", ["all", "sampled"])
def test_a_search_that_was_stopped_anywhere_ends_as_if_it_had_not(small_space, work_on, tmp_path, paths):
    work = work_on(small_space, middle(small_space), paths=paths)
    whole = new(small_space)
    course = train_supernet(whole, work, tmp_path / "whole.pt", key="k")
    total = steps_left(work, 0)
    assert total == 3 * 4 + 2 * 4
    file = tmp_path / "stopped.pt"
    for moment in (2, 5, 11, 20):  # in the first, second, second and third epoch
        with pytest.raises(StopError):
            train_supernet(new(small_space), work, file, key="k", on_step=stop_at(moment))
    assert len(load_course(file, "k").epochs) == 2
    resumed = new(small_space)
    again = train_supernet(resumed, work, file, key="k")
    assert without_seconds(again) == without_seconds(course)
    state = whole.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in resumed.state_dict().items())
    assert any(logits.abs().sum() > 0 for logits in whole.theta.values())


def test_a_state_of_another_search_or_a_damaged_one_is_not_gone_on_from(small_space, work_on, tmp_path):
    work, file = work_on(small_space, middle(small_space), epochs=1), tmp_path / "state.pt"
    train_supernet(new(small_space), work, file, key="one")
    assert load_course(file, "other") is None
    file.write_bytes(file.read_bytes()[:5000])
    assert load_course(file, "one") is None
    assert load_course(tmp_path / "none.pt", "one") is None
    assert len(train_supernet(new(small_space), work, file, key="one").epochs) == 1


def test_theta_waits_and_each_part_trains_its_own(small_space, work_on, tmp_path):
    work = work_on(small_space, middle(small_space), epochs=2, theta={"after": 2, "lr": 0.5})
    supernet = new(small_space)
    before = [p.detach().clone() for p in supernet.weight_parameters()]
    course = train_supernet(supernet, work, tmp_path / "state.pt", key="k")
    assert all(epoch.accuracy is None and epoch.theta_loss is None for epoch in course.epochs)
    assert all(logits.abs().sum() == 0 for logits in supernet.theta.values())
    assert any(not torch.equal(a, b) for a, b in zip(before, supernet.weight_parameters(), strict=True))
    first, second = split(work.data, 0.75, seed=3)
    assert (len(first), len(second)) == (96, 32)
    assert sorted([*first, *second]) == list(range(128))


def test_a_loss_that_is_not_finite_ends_in_one_line(small_space, work_on, tmp_path):
    work = work_on(small_space, middle(small_space), weights={"lr": 1e30})
    with pytest.raises(UserError, match=r"its loss is not finite; lower method\.weights\.lr"):
        train_supernet(new(small_space), work, tmp_path / "state.pt", key="k")


def test_a_lower_limit_ends_in_lower_costs_and_the_images_are_learned(small_space, work_on, tmp_path):
    low, high = (extreme(small_space, "macs", Pricing(num_classes=4), greatest=g).cost for g in (False, True))
    changes = {"epochs": 6, "theta": {"after": 1, "lr": 0.3}, "loss": {"name": "target", "weight": 5.0}}
    ends = []
    for share in (0.1, 0.9):
        work = work_on(small_space, low + share * (high - low), **changes)
        course = train_supernet(new(small_space), work, tmp_path / f"{share}.pt", key="k")
        first, last = course.epochs[0], course.epochs[-1]
        assert (first.entropy, last.entropy < 0.8) == (pytest.approx(1), True)
        assert last.accuracy > 0.8
        assert last.argmax["macs"] == pytest.approx(last.expected["macs"], rel=0.3)
        ends.append(last.expected["macs"])
    assert ends[0] < low + 0.4 * (high - low) < low + 0.6 * (high - low) < ends[1]
