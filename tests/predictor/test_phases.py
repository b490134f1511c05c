"""The phases: what is frozen stays, what is trained learns, nothing is printed."""

import copy

import pytest
import torch

from nars.predictor import phases
from nars.predictor.network import AccuracyHead, AccuracyNetwork, Encoder, accuracy_loss


def setting(seed=0):
    g = torch.Generator().manual_seed(seed)
    network = AccuracyNetwork(Encoder(2, 5, 8, 4, generator=g), AccuracyHead(2, 5, 8, generator=g), inputs=5)
    x = torch.rand(40, 6, generator=g)
    y = 4 * x[:, 5] - 2  # the recipe's column, which the head sees without the encoder
    taken = torch.ones(40, 2)
    return network, (x, y, taken), phases.batches(x, y, taken, batch_size=16, generator=g)


def phase(network, parameters, decay=False):
    return phases.Phase(network, accuracy_loss, parameters=parameters, lr=1e-2, weight_decay=1e-2, decay=decay)


def test_the_frozen_phase_leaves_the_encoder_as_it_was_and_trains_the_head():
    network, rows, loader = setting()
    before, loss = copy.deepcopy(network.state_dict()), accuracy_loss(network, *rows).item()
    phases.run(phase(network, list(network.head.parameters())), loader, epochs=20)
    for name, tensor in network.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(tensor, before[name]), name
        elif name.startswith("head."):
            assert not torch.equal(tensor, before[name]), name
    assert accuracy_loss(network, *rows).item() < loss / 2
    assert all(p.requires_grad for p in network.parameters())


def test_the_whole_phase_trains_everything_and_its_lr_falls_to_zero():
    network, _, loader = setting()
    before = copy.deepcopy(network.state_dict())
    whole = phase(network, list(network.parameters()), decay=True)
    phases.run(whole, loader, epochs=3)
    assert all(not torch.equal(p, before[name]) for name, p in network.named_parameters())
    assert whole.lr_schedulers().get_last_lr()[0] == pytest.approx(0, abs=1e-8)


def test_batches_hold_every_row_once_in_an_order_of_the_generator_alone():
    def order(seed):
        loader = phases.batches(torch.arange(40), batch_size=16, generator=torch.Generator().manual_seed(seed))
        return [batch[0].tolist() for batch in loader]

    first = order(0)
    assert [len(batch) for batch in first] == [16, 16, 8]
    assert sorted(row for batch in first for row in batch) == list(range(40))
    torch.manual_seed(99)
    assert order(0) == first != order(1)


def test_training_prints_nothing_and_reports_progress(capfd, recwarn):
    network, _, loader = setting()
    fractions = []
    phases.run(phase(network, list(network.parameters())), loader, epochs=2, progress=fractions.append)
    assert fractions == [0.5, 1.0]
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not recwarn.list
