"""The average of weights: timm's, to the bit."""

import torch
from timm.utils import ModelEmaV3
from torch import nn

from nars.networks.build import build_network
from nars.spaces.architecture import Architecture
from nars.training.single.averaging import WeightAverage


class NoStates(nn.Sequential):
    """A network whose state dict is not asked for while `closed`."""

    closed = False

    def state_dict(self, *args, **kwargs):
        """See nn.Module."""
        assert not self.closed
        return super().state_dict(*args, **kwargs)


def test_the_average_is_timm_s_to_the_bit(smallest):
    torch.manual_seed(0)
    network = build_network(Architecture.from_dict(smallest), num_classes=3).train()
    settings = {"decay": 0.9, "use_warmup": True}
    ours, theirs = WeightAverage(network, **settings), ModelEmaV3(network, **settings)
    ours.follow(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(1, 9):
        network(torch.randn(4, 3, 32, 32)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        for average in (ours, theirs):
            average.update(network, step=step)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert {value.dtype for value in theirs.state_dict().values()} == {torch.float32, torch.int64}
    assert not torch.equal(ours.module.classifier.weight, network.classifier.weight)


def test_no_state_dicts_are_made_in_a_step_and_states_of_earlier_ones_are_followed():
    network = NoStates(nn.Linear(1, 1, bias=False))
    average = WeightAverage(network, decay=0.5)
    average.follow(network)
    average.load_state_dict({"module.0.weight": torch.tensor([[4.0]])})  # a checkpoint's
    network.load_state_dict({"0.weight": torch.tensor([[8.0]])})
    network.closed = average.module.closed = True
    average.update(network)
    assert average.module[0].weight.item() == 6.0
