"""Convolutions on small maps: nn.Conv2d's values and gradients, and nothing changed elsewhere."""

import copy
import itertools

import pytest
import torch
from torch import nn

from nars.networks.build import build_network
from nars.networks.small_maps import PooledPointwise, SmallMapDepthwise, speed_up_small_maps


def twins(kind: type[nn.Conv2d], *arguments, **keys) -> tuple[nn.Conv2d, nn.Conv2d]:
    """The convolution and a plain nn.Conv2d with the same weights, in double precision."""
    ours, plain = kind(*arguments, **keys).double(), nn.Conv2d(*arguments, **keys).double()
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def check_same(ours: nn.Conv2d, plain: nn.Conv2d, x: torch.Tensor) -> None:
    results = []
    for conv in (ours, plain):
        given = x.clone().requires_grad_()
        y = conv(given)
        weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
        results.append((y.detach(), *torch.autograd.grad((y * weights).sum(), [given, *conv.parameters()])))
    for mine, expected in zip(*results, strict=True):
        assert mine.shape == expected.shape
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kernel", "side"), itertools.product((1, 3, 5, 7), range(1, 9)))
def test_depthwise_values_and_gradients(kernel, side):
    torch.manual_seed(kernel * 10 + side)
    ours, plain = twins(SmallMapDepthwise, 6, 6, kernel, padding=kernel // 2, groups=6, bias=False)
    for training in (True, False):
        ours.train(training)
        check_same(ours, plain, torch.randn(3, 6, side, side, dtype=torch.float64))


@pytest.mark.parametrize(("height", "width"), [(1, 4), (4, 1), (2, 3), (3, 9)])
def test_depthwise_on_oblong_maps(height, width):
    ours, plain = twins(SmallMapDepthwise, 4, 4, 5, padding=2, groups=4, bias=False)
    check_same(ours, plain, torch.randn(2, 4, height, width, dtype=torch.float64))


@pytest.mark.parametrize(("stride", "padding"), [(2, 1), (2, 2), (1, 1), (1, 0), (2, 0)])
def test_depthwise_with_strides_and_other_padding(stride, padding):
    ours, plain = twins(SmallMapDepthwise, 4, 4, 5, stride=stride, padding=padding, groups=4, bias=False)
    for side in range(5, 8):
        check_same(ours, plain, torch.randn(2, 4, side, side, dtype=torch.float64))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("side", [1, 2, 5])
def test_pointwise_values_and_gradients(side, bias):
    ours, plain = twins(PooledPointwise, 12, 5, 1, bias=bias)
    for training in (True, False):
        ours.train(training)
        check_same(ours, plain, torch.randn(3, 12, side, side, dtype=torch.float64))


def test_the_other_ways_are_taken(monkeypatch):
    """Without this the tests above would pass on two plain convolutions."""
    called = []
    original = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: called.append(x.shape[-1]) or original(self, x))
    depthwise = SmallMapDepthwise(4, 4, 5, padding=2, groups=4, bias=False)
    for side in range(1, 8):
        depthwise(torch.randn(1, 4, side, side))
    assert called == [6, 7]
    called.clear()
    pointwise = PooledPointwise(4, 4, 1)
    pointwise(torch.randn(1, 4, 1, 1))
    assert called == []
    pointwise.eval()(torch.randn(1, 4, 1, 1))
    assert called == [1]


@pytest.mark.parametrize("seed", range(4))
def test_whole_networks_train_to_the_same_gradients(tiny, seed):
    """A built network against itself with plain convolutions, on maps of 1 to 16 pixels."""
    torch.manual_seed(seed)
    ours = build_network(tiny.architecture(tiny.sample(1, seed)[0]), num_classes=5).double().train()
    plain = copy.deepcopy(ours)
    for module in plain.modules():
        if isinstance(module, SmallMapDepthwise | PooledPointwise):
            module.__class__ = nn.Conv2d
    kinds = [type(module) for module in ours.modules()]
    assert SmallMapDepthwise in kinds
    assert PooledPointwise in kinds
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    for network in (ours, plain):
        network(images).square().sum().backward()
    for (name, mine), (_, expected) in zip(ours.named_parameters(), plain.named_parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad, rtol=1e-8, atol=1e-8, msg=name)


def test_parameters_stay_the_same_objects():
    network = nn.ModuleDict(
        {
            "conv_dw": nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False),
            "even": nn.Conv2d(8, 8, 4, groups=8, bias=False),
            "grouped": nn.Conv2d(8, 8, 3, groups=4, bias=False),
            "dilated": nn.Conv2d(8, 8, 3, groups=8, dilation=2, bias=False),
            "conv_reduce": nn.Conv2d(8, 4, 1),
            "other": nn.Conv2d(8, 4, 1),
        }
    )
    before = dict(network.named_parameters())
    speed_up_small_maps(network)
    after = dict(network.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)
    changed = {name: type(module) for name, module in network.items() if type(module) is not nn.Conv2d}
    assert changed == {"conv_dw": SmallMapDepthwise, "conv_reduce": PooledPointwise}
