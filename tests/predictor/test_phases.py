"""The phases: what is frozen stays, what is trained learns, nothing is printed."""

import copy
import itertools

import torch

from nars.predictor.network import AccuracyHead, AccuracyNetwork, Encoder, accuracy_loss
from nars.predictor.phases import Batches, minimise


def setting(seed=0):
    g = torch.Generator().manual_seed(seed)
    network = AccuracyNetwork(Encoder(2, 5, 8, 4, generator=g), AccuracyHead(2, 5, 8, generator=g), inputs=5)
    x = torch.rand(40, 6, generator=g)
    y = (4 * x[:, 5:] - 2).expand(-1, 2)  # the recipe's column, which the head sees without the encoder
    return network, Batches(tensors=(x, y, torch.ones(40, 2)), batch_size=16, generator=g)


def train(network, parameters, batches, *, epochs, decay=False, progress=None):
    minimise(
        accuracy_loss,
        network,
        list(parameters),
        batches,
        epochs=epochs,
        lr=1e-2,
        weight_decay=1e-2,
        decay=decay,
        progress=progress,
    )


def test_the_frozen_phase_leaves_the_encoder_as_it_was_and_trains_the_head():
    network, batches = setting()
    before, loss = copy.deepcopy(network.state_dict()), accuracy_loss(network, *batches.tensors).item()
    train(network, network.head.parameters(), batches, epochs=20)
    for name, tensor in network.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(tensor, before[name]), name
        elif name.startswith("head."):
            assert not torch.equal(tensor, before[name]), name
    assert accuracy_loss(network, *batches.tensors).item() < loss / 2
    assert all(p.requires_grad for p in network.parameters())


def test_the_whole_phase_trains_everything_and_its_steps_shrink_to_nothing():
    network, batches = setting()
    states = []
    train(
        network,
        network.parameters(),
        batches,
        epochs=50,
        decay=True,
        progress=lambda _: states.append(torch.cat([p.detach().ravel() for p in network.parameters()])),
    )
    assert (states[0] != states[-1]).all()
    steps = [(b - a).abs().max() for a, b in itertools.pairwise(states)]
    assert steps[-1] < steps[0] / 50


def test_batches_hold_every_row_once_in_an_order_of_the_generator_alone():
    def order(seed):
        batches = Batches(
            tensors=(torch.arange(40), torch.arange(40) * 2),
            batch_size=16,
            generator=torch.Generator().manual_seed(seed),
        )
        assert len(batches) == 3
        return [(rows.tolist(), doubled.tolist()) for rows, doubled in batches]

    first = order(0)
    assert [len(rows) for rows, _ in first] == [16, 16, 8]
    assert sorted(row for rows, _ in first for row in rows) == list(range(40))
    assert all(doubled == [2 * row for row in rows] for rows, doubled in first)
    torch.manual_seed(99)
    assert order(0) == first != order(1)


def test_training_reports_progress():
    network, batches = setting()
    fractions = []
    train(network, network.parameters(), batches, epochs=2, progress=fractions.append)
    assert fractions == [0.5, 1.0]
