"""The networks: members are independent, scales invert, losses are those of their definition."""

import torch
from torch.nn.functional import huber_loss

from nars.predictor.network import (
    AccuracyHead,
    AccuracyNetwork,
    Encoder,
    MemberLinear,
    ProxyNetwork,
    accuracy_loss,
    proxy_loss,
    with_members,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def accuracy_network(seed=0):
    g = generator(seed)
    return AccuracyNetwork(Encoder(3, 5, 8, 4, generator=g), AccuracyHead(3, 6, 8, generator=g), inputs=5)


def test_each_member_is_a_linear_layer_of_its_own():
    layer, x = MemberLinear(3, 5, 2, generator=generator()), torch.randn(3, 7, 5, generator=generator(1))
    for i in range(3):
        torch.testing.assert_close(layer(x)[i], x[i] @ layer.weight[i] + layer.bias[i])


def test_scale_of_statistics_is_inverted_and_logarithms_only_taken_of_positive_ones():
    network = ProxyNetwork(1, 4, 8, 3, 3, generator=generator())
    values = torch.randn(100, 3, dtype=torch.float64, generator=generator(1))
    values[:, 0] = (10 * values[:, 0]).exp()
    values[:, 2] = 7e9
    network.set_scale(values)
    assert network.log.tolist() == [True, False, True]
    standardised = network.standardise(values)
    assert standardised.isfinite().all()
    torch.testing.assert_close(standardised[:, :2].std(dim=0, unbiased=False), torch.ones(2))
    torch.testing.assert_close(network.restore(standardised), values, rtol=1e-4, atol=1e-5)


def test_losses_are_huber_of_the_rows_taken_summed_over_members():
    x = torch.rand(9, 7, generator=generator(1))
    network, y = accuracy_network(), 3 * torch.randn(9, 3, generator=generator(2))
    taken = torch.ones(9, 3)
    taken[:4, 1] = taken[:, 2] = 0
    expected = huber_loss(network(x)[0], y[:, 0]) + huber_loss(network(x)[1, 4:], y[4:, 1])
    torch.testing.assert_close(accuracy_loss(network, x, y, taken), expected)
    proxy, y = ProxyNetwork(3, 7, 8, 4, 2, generator=generator()), 3 * torch.randn(9, 2, generator=generator(2))
    torch.testing.assert_close(proxy_loss(proxy, x, y), sum(huber_loss(proxy(x)[i], y) for i in range(3)))


def test_the_gradient_of_a_member_does_not_depend_on_the_others():
    x, y = torch.rand(9, 7, generator=generator(1)), torch.randn(9, 3, generator=generator(2))
    network = accuracy_network()
    accuracy_loss(network, x, y, torch.ones(9, 3)).backward()
    before = network.head.hidden.weight.grad[0].clone()
    with torch.no_grad():
        network.head.output.weight[1:] *= 10
    network.zero_grad()
    accuracy_loss(network, x, y, torch.ones(9, 3)).backward()
    torch.testing.assert_close(network.head.hidden.weight.grad[0], before)


def test_members_are_copied_in_the_order_asked_for_and_learn_on_their_own():
    x, network = torch.rand(9, 7, generator=generator(1)), accuracy_network()
    before = network(x)
    copied = with_members(network, [2, 0, 0, 1])
    torch.testing.assert_close(copied(x), before[[2, 0, 0, 1]])
    with torch.no_grad():
        copied.encoder.hidden.weight[1] *= 2
    assert torch.equal(network(x), before)
    torch.testing.assert_close(copied(x)[2], before[0])
    assert not torch.allclose(copied(x)[1], before[0])
