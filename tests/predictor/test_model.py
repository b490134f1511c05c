"""Blending: the share follows the better prediction, and folds leave every record out once."""

import math
from functools import partial

import pytest
import torch

from nars.predictor.model import (
    AccuracyModel,
    BothKinds,
    blend_share,
    folds,
    grown,
    growth_of,
    left_out,
    settled,
    spread_of,
    with_later_parts,
)
from nars.predictor.network import AccuracyHead, AccuracyNetwork, Encoder
from nars.predictor.process import GaussianProcess
from nars.predictor.targets import Targets


def test_the_share_goes_to_whichever_predicts_left_out_records_better():
    share, g = partial(blend_share, prior=10), torch.Generator().manual_seed(0)
    y, noise = torch.randn(500, generator=g).double(), torch.randn(2, 500, generator=g).double()
    assert share(y, y + 0.1 * noise[0], y + noise[1]) > 0.9
    assert share(y, y + noise[0], y + 0.1 * noise[1]) < 0.1
    assert share(y, y + noise[0], y + noise[1]) == pytest.approx(0.5, abs=0.1)
    assert share(y, y, y) == 0.5
    assert share(y, y + noise[0], y + 2 * noise[0]) == 1  # to go beyond the first would be better still
    assert share(y, y + 2 * noise[0], y + noise[0]) == 0
    few = share(y[:2], y[:2], y[:2] + 1)
    assert 0.5 < few < 0.7


def test_a_part_of_little_weight_is_left_out():
    shares = torch.tensor([0.0, 0.19, 0.21, 0.5, 0.79, 0.81, 1.0], dtype=torch.float64)
    assert settled(shares).tolist() == [0.0, 0.0, 0.21, 0.5, 0.79, 1.0, 1.0]


@pytest.mark.parametrize("rows", [2, 3, 5, 48])
def test_every_record_is_left_out_by_one_member(rows):
    taken = folds(rows, 4, generator=torch.Generator().manual_seed(0))
    assert (taken.sum(dim=1) == 3).all()
    assert (taken.sum(dim=0) >= rows - -(-rows // 4)).all()
    predicted = torch.randn(4, rows)
    expected = [predicted[int(taken[i].argmin()), i] for i in range(rows)]
    torch.testing.assert_close(left_out(predicted, taken).float(), torch.stack(expected))


@pytest.mark.parametrize(("rows", "members"), [(1, 4), (9, 1)])
def test_nothing_is_left_out_where_nothing_would_be_left(rows, members):
    taken = folds(rows, members, generator=torch.Generator().manual_seed(0))
    assert (taken == 1).all()
    predicted = torch.randn(members, rows)
    torch.testing.assert_close(left_out(predicted, taken).float(), predicted.mean(dim=0))


@pytest.fixture(scope="module")
def parts():
    """Forty records of five columns, which a network of four members and a process predict."""
    g = torch.Generator().manual_seed(0)
    x, y = torch.rand(40, 5, generator=g), torch.randn(40, generator=g, dtype=torch.float64)
    network = AccuracyNetwork(Encoder(4, 3, 8, 4, generator=g), AccuracyHead(4, 6, 8, generator=g), inputs=3)
    process = GaussianProcess.fitted(x, y, steps=5, generator=g)
    return x, y, network, process


def model(network, process):
    return AccuracyModel(Targets(2), network=network, process=process)


@torch.no_grad()
def test_a_network_s_deviation_is_that_of_its_members_and_of_errors_on_records_left_out(parts):
    x, y, network, _ = parts
    alone, taken = model(network, None), folds(40, 4, generator=torch.Generator().manual_seed(1))
    said = alone.calibrate(y, left_out(network(x), taken))
    members = network(x).double()
    errors = [y[i] - members[int(taken[i].argmin()), i] for i in range(40)]
    residual = torch.stack(errors).square().mean().sqrt()
    torch.testing.assert_close(alone.residual, residual)
    torch.testing.assert_close(y - said, torch.stack(errors))
    torch.testing.assert_close(alone.mean(x, x), members.mean(dim=0))
    variance = (members - members.mean(dim=0)).square().mean(dim=0) + residual**2
    torch.testing.assert_close(alone.deviation(said, x, x), variance.sqrt())
    draws = alone.draws(x, x, 200, generator=torch.Generator().manual_seed(2))
    assert {tuple(row) for row in draws.tolist()} == {tuple(row) for row in members.tolist()}


@torch.no_grad()
def test_a_process_s_deviations_agree_with_errors_on_records_left_out(parts):
    x, y, _, process = parts
    alone = model(None, process)
    said = alone.calibrate(y, None)
    assert alone.share == 0
    mean, variance = process.leave_one_out()
    torch.testing.assert_close(said, mean)
    alone.scale(y, None, mean - 1, 4 * variance)  # what it would have said, had it not been tuned on them
    errors = (y - mean + 1) / variance.sqrt() / 2
    torch.testing.assert_close(alone.growth, growth_of(errors, mean - 1))
    assert alone.growth > 0.01
    torch.testing.assert_close(alone.spread, spread_of(errors / grown(alone.growth, mean - 1)))
    torch.testing.assert_close(alone.mean(x, x), process(x))
    expected = alone.spread * grown(alone.growth, y) * process.variance(x).sqrt()
    torch.testing.assert_close(alone.deviation(y, x, x), expected)


@torch.no_grad()
def test_a_blend_is_shared_by_errors_on_records_left_out(parts):
    x, y, network, process = parts
    blend = model(network, process)
    by_network = left_out(network(x), folds(40, 4, generator=torch.Generator().manual_seed(1)))
    said = blend.calibrate(y, by_network)
    alone, variance = process.leave_one_out()
    share = settled(blend_share(y, by_network, alone, prior=40, flattery=5 / 40 / 2))  # five columns, forty records
    assert 0 < share < 1
    predicted = share * by_network + (1 - share) * alone
    torch.testing.assert_close(said, predicted)
    torch.testing.assert_close(blend.share, share)
    blend.scale(y, by_network, alone + 1, variance)
    errors, without = (y - predicted - (1 - share)) / variance.sqrt(), predicted + (1 - share)
    growth = growth_of(errors, without)
    assert growth > 0.01
    spread = spread_of(errors / grown(growth, without))
    torch.testing.assert_close((blend.growth, blend.spread), (growth, spread))
    squares = float(((y - predicted).square() / variance).sum())
    assert blend.reach == pytest.approx(((squares + 10) / (40 + 10) * (1 + 5 / 40)) ** 0.5, rel=1e-9)
    mean = share * network(x).double().mean(dim=0) + (1 - share) * process(x)
    torch.testing.assert_close(blend.mean(x, x), mean)
    draws = blend.draws(x, x, 3, generator=torch.Generator().manual_seed(2))
    of_process = process.draws(x, 3, generator=torch.Generator().manual_seed(2))
    deviation = process.variance(x).sqrt()
    torch.testing.assert_close(blend.deviation(mean, x, x), spread * grown(growth, mean) * deviation)
    torch.testing.assert_close(blend.deviation(mean, x, x, exploring=True), blend.reach * deviation)
    torch.testing.assert_close(draws, mean + blend.reach * (of_process - process(x)))


def test_files_of_before_deviations_had_a_growth_are_read(parts):
    blend = model(*parts[2:])
    blend.reach.fill_(2)
    again = model(*parts[2:])
    again.growth.fill_(3)
    again.load_state_dict(with_later_parts({n: t for n, t in blend.state_dict().items() if n != "growth"}))
    assert (again.reach, again.growth) == (2, 0)


def test_files_of_before_draws_had_a_reach_and_deviations_a_growth_are_read(parts):
    *_, network, process = parts
    blend = model(network, process)
    blend.spread.fill_(1.25)
    old = {name: tensor for name, tensor in blend.state_dict().items() if name not in ("reach", "growth")}
    again = model(network, process)
    again.growth.fill_(3)
    again.load_state_dict(with_later_parts(old))
    assert again.reach == again.spread == 1.25
    assert again.growth == 0
    both = BothKinds(model(None, process), blend)
    whole = {name: t for name, t in both.state_dict().items() if not name.endswith(("reach", "growth"))}
    both.load_state_dict(with_later_parts(whole))
    assert (both.standardised.reach, both.normal_scores.reach) == (1, 1.25)
    blend.reach.fill_(2)
    blend.growth.fill_(0.5)
    kept = with_later_parts(blend.state_dict())  # a file that has them keeps them
    assert (kept["reach"], kept["growth"]) == (2, 0.5)


def test_deviations_are_scaled_to_hold_three_quarters_of_the_errors():
    g = torch.Generator().manual_seed(0)
    normal = torch.randn(4000, generator=g).double()
    assert float(spread_of(normal)) == pytest.approx(1, abs=0.05)
    assert float(spread_of(3 * normal)) == pytest.approx(3, abs=0.15)
    far = normal.clone()
    far[::20] *= 100  # of which deviations need to know nothing
    assert float(spread_of(far)) == pytest.approx(1, abs=0.1)
    by_hand = torch.tensor([0.1, -5.0, 5.0, 6.0, -7.0, 8.0, 9.0, 9.0, 9.0, 9.0]).double()
    # With the ten expected ones, of which the greatest is 1.96, 20: a quarter of the way from the 15th to the 16th.
    assert float(spread_of(by_hand)) == pytest.approx((7 + 0.25 * (8 - 7)) / 1.150349, rel=1e-5)


def test_deviations_grow_with_squared_targets_as_errors_do():
    g = torch.Generator().manual_seed(0)
    predicted = torch.randn(4000, generator=g).double()
    size = torch.rand(4000, generator=g).double() + 0.5
    assert float(growth_of(size, predicted)) == pytest.approx(0, abs=0.02)
    signs = torch.where(torch.arange(4000) % 2 == 0, 1.0, -1.0).double()
    growing = signs * size * torch.exp(0.3 * predicted.square())
    assert float(growth_of(growing, predicted)) == pytest.approx(0.3, abs=0.02)
    assert float(growth_of(size * torch.exp(-0.2 * predicted.square()), predicted)) == 0  # never narrower
    # by hand: squares 4, 0, 2 are 2, -2, 0 from their mean; the least error counts as 0.05
    errors, three = torch.tensor([-1.0, 0.0, 7.0]).double(), torch.tensor([-2.0, 0.0, 2**0.5]).double()
    assert float(growth_of(errors, three)) == pytest.approx(-2 * math.log(0.05) / (8 + 10))
    factors = grown(torch.tensor(0.3).double(), torch.tensor([0.0, 1.0, -1.0, 2.0, -9.0]).double())
    assert factors.tolist() == pytest.approx([1, math.exp(0.3), math.exp(0.3), math.e, math.e])


@pytest.mark.parametrize("count", [1, 3])
def test_few_errors_hardly_move_deviations(count):
    assert 0.7 < float(spread_of(torch.zeros(count).double())) < 1.02
    assert 0.98 < float(spread_of(torch.full((count,), 50.0).double())) < 3


def test_the_share_is_the_least_squares_weight_with_some_records_for_the_half():
    """By hand: the difference is 2, 0 and 1, the second errs by 1, 3 and -1; average disagreement 5/3."""
    y = torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64)
    first, second = torch.tensor([2.0, 0.0, 2.0]).double(), torch.tensor([0.0, 0.0, 1.0]).double()
    gain, scale = 2 * 1 + 0 * 3 + 1 * -1, 5 / 3
    least = (gain + 10 * scale / 2) / (3 * scale + 10 * scale)
    assert float(blend_share(y, first, second, prior=10)) == pytest.approx(least)
    hidden = 0.5 * (1 + 9 + 1)  # squared errors that the second does not show
    least = (gain + hidden + 10 * scale / 2) / (3 * scale + 10 * scale + hidden)
    assert float(blend_share(y, first, second, prior=10, flattery=0.5)) == pytest.approx(least)


@torch.no_grad()
def test_both_kinds_are_blended_as_normal_scores_by_errors_on_records_left_out(parts):
    x, y, network, process = parts
    accuracies = torch.exp(y).numpy()  # trail off: normal scores suit them
    maps = [Targets.of(accuracies, kind) for kind in ("standardised", "normal_scores")]
    first = AccuracyModel(maps[0], network=network, process=None)
    both = BothKinds(first, AccuracyModel(maps[1], network=None, process=process))
    by_network = left_out(network(x), folds(40, 4, generator=torch.Generator().manual_seed(1)))
    both.calibrate(accuracies, by_network, None)
    assert both.targets is maps[1]

    def as_scores(standardised):
        return torch.as_tensor(maps[1].of_accuracies(maps[0].to_accuracies(standardised.numpy())))

    scores = torch.as_tensor(maps[1].of_accuracies(accuracies))
    share = settled(blend_share(scores, as_scores(by_network), process.leave_one_out()[0], prior=10))
    assert 0 < share < 1
    torch.testing.assert_close(both.share, share)
    mean = share * as_scores(network(x).mean(dim=0).double()) + (1 - share) * process(x)
    torch.testing.assert_close(both.mean(x, x), mean)
    both.normal_scores.growth.fill_(0.2)
    torch.testing.assert_close(both.deviation(mean, x, x), both.normal_scores.deviation(mean, x, x))
    draws = both.draws(x, x, 3, generator=torch.Generator().manual_seed(2))
    of_scores = both.normal_scores.draws(x, x, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(draws - mean, of_scores - process(x))
