"""A mixture of one architecture is its network, to the last digit; others are sums of blocks."""

import numpy as np
import pytest
import torch

from nars.errors import UserError
from nars.networks.build import build_network
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.contract import one_hot
from nars.supernet.mixed import MixedSupernet, check_space


@pytest.fixture(scope="module")
def fbnet_digits(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "fbnet_digits")))


def derived(supernet: MixedSupernet, point) -> torch.nn.Module:
    """The network of a point with the supernet's weights."""
    architecture = supernet.space.architecture(point)
    network = build_network(architecture, num_classes=4)
    frame = supernet.frame.network
    for name, module in network.named_children():
        if name != "blocks":
            module.load_state_dict(getattr(frame, name).state_dict())
    modules = [module for stack in network.blocks for module in stack]
    placed = [block for stage in architecture.placed_blocks for block in stage]
    names = supernet._deciding
    chosen = [0 if name is None else int(point[supernet.space.position(name)]) for name in names]
    blocks = [
        layer.blocks[i] for layer, i, block in zip(supernet.layers, chosen, placed, strict=True) if not block.is_nothing
    ]
    blocks += list(frame.blocks)
    for module, block in zip(modules, blocks, strict=True):
        module.load_state_dict(block.state_dict())
    return network


def wake(supernet: MixedSupernet) -> None:
    """Let every branch count: the last norm of a residual one begins as 0."""
    for norm in supernet.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["small_space", "fbnet_digits"])
def test_one_architecture_is_its_network(request, name, training):
    space = request.getfixturevalue(name)
    torch.manual_seed(0)
    supernet = MixedSupernet(space, num_classes=4).train(training)
    wake(supernet)
    images = torch.randn(4, 3, 32, 32)
    for point in space.sample(6, 1):
        network = derived(supernet, point).train(training)  # before the forward pass moves the statistics
        assert torch.equal(supernet(images, one_hot(space, point)), network(images))


def test_a_mixture_is_the_sum_of_its_blocks(small_space):
    torch.manual_seed(0)
    supernet = MixedSupernet(small_space, num_classes=4).eval()
    x = torch.randn(2, 8, 16, 16)
    weights = torch.tensor([0.1, 0.2, 0.0, 0.7])
    layer = supernet.layers[0]
    parts = sum(w * block(x) for w, block in zip(weights, layer.blocks, strict=True))
    torch.testing.assert_close(layer(x, weights, [0, 1, 3]), parts)


def test_layers_that_choose_together_have_one_theta_and_weights_of_their_own(small_space):
    supernet = MixedSupernet(small_space, num_classes=4)
    assert {name: len(logits) for name, logits in supernet.theta.items()} == {
        "stage1/block1/kind": 4,
        "stage2/block1/kind": 3,
    }
    assert [len(layer.blocks) for layer in supernet.layers] == [4, 1, 3, 3]
    weights = sum(parameter.numel() for parameter in supernet.weight_parameters())
    assert weights == sum(p.numel() for p in supernet.parameters()) - 7
    everywhere = {id(p) for p in supernet.layers[2].parameters()} & {id(p) for p in supernet.layers[3].parameters()}
    assert not everywhere


def test_gradients_reach_every_theta_and_what_has_no_weight_is_not_computed(small_space):
    torch.manual_seed(0)
    supernet = MixedSupernet(small_space, num_classes=4).train()
    wake(supernet)
    mixture = {name: logits.softmax(0) for name, logits in supernet.theta.items()}
    supernet(torch.randn(4, 3, 32, 32), mixture).square().sum().backward()
    assert all(float(logits.grad.abs().sum()) > 0 for logits in supernet.theta.values())
    ran = []
    for place, layer in enumerate(supernet.layers):
        for block in layer.blocks:
            block.register_forward_hook(lambda *_, place=place: ran.append(place))
    supernet(torch.randn(4, 3, 32, 32), one_hot(small_space, np.array([3, 0])))
    assert ran == [0, 1, 2, 3]


def test_spaces_that_choose_more_than_kinds_are_refused(tiny, fbnetv3, random_block_space):
    for space, why in ((tiny, "stage1 is in short form"), (random_block_space(0), " is in short form")):
        with pytest.raises(UserError) as error:
            check_space(space)
        assert f"search_space={space.name} is not such a space: " in str(error.value)
        assert why in str(error.value)
        assert len(str(error.value).splitlines()) == 1
