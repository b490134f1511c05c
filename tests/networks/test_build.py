"""Built networks: timm's own where timm has them, and what timm offers works on them."""

import math

import numpy as np
import pytest
import timm
import torch
from timm.layers import DropPath
from timm.models._features import FeatureListNet
from torch import nn

from nars.costs.rounding import round_width
from nars.networks.build import build_network
from nars.networks.shuffled import ShuffledPointwise
from nars.networks.timm_models import TimmArchitecture, build_timm_network
from nars.settings import ConvHeadSettings, Recipe
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import Block, BlockStage

TIMM_PARAMS = {"fbnetv3_b": 8.60, "fbnetv3_d": 10.31, "fbnetv3_g": 16.62}  # millions: timm's results table


@pytest.fixture(scope="module")
def published(conf):
    """A function: architecture of a published name, optionally with timm's padding."""

    def architecture(name: str, *, padding_overrides: bool = True) -> Architecture:
        values = conf("candidates", name)["architecture"]
        if not padding_overrides:
            values["stages"] = [{k: v for k, v in s.items() if k != "first_padding"} for s in values["stages"]]
        return Architecture.from_dict(values)

    return architecture


def residual_branches(network: nn.Module) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    """(block, its last batch norm) of all inverted residuals, first to last."""
    pairs = []
    for stage in network.blocks:
        for block in stage:
            norms = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)]
            if hasattr(block, "conv_dw"):
                pairs.append((block, norms[-1]))
    return pairs


@pytest.mark.parametrize("name", TIMM_PARAMS)
def test_weights_interchange_with_timm_s(published, name):
    ours = build_network(published(name, padding_overrides=False), num_classes=1000).eval()
    theirs = timm.create_model(name).eval()
    assert round(sum(p.numel() for p in theirs.parameters()) / 1e6, 2) == TIMM_PARAMS[name]
    generator = torch.Generator().manual_seed(1)
    state = {
        key: torch.rand(value.shape, generator=generator).add(0.5) if "running_var" in key or "bn" in key else value
        for key, value in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(1, 3, 96, 96, generator=generator)
    with torch.no_grad():
        expected = theirs(images)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    theirs.load_state_dict(ours.state_dict(), strict=True)


def test_padding_overrides_change_maps_and_no_weights(published):
    """B overrides two paddings: its maps at 248 pixels are 15 and 7 wide, timm's 16 and 8."""
    networks = [build_network(published("fbnetv3_b", padding_overrides=o), num_classes=9).eval() for o in (True, False)]
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1]
    with torch.no_grad():
        maps = [network.forward_intermediates(torch.zeros(1, 3, 248, 248))[1][-2:] for network in networks]
    assert [[m.shape[-1] for m in last] for last in maps] == [[15, 7], [16, 8]]


def test_searched_widths_survive(fbnetv3):
    """20 and 28 are no multiples of 8, to which timm rounds unless told otherwise."""
    for width, choice in ((20, 0), (28, 2)):
        point = np.zeros(len(fbnetv3), dtype=np.int16)
        point[fbnetv3.position("stage2/width")] = choice
        with torch.device("meta"):
            network = build_network(fbnetv3.architecture(point), num_classes=5)
        assert [block.conv_pwl.out_channels for block in network.blocks[1]] == [width] * 4
        assert network.blocks[2][0].conv_pw.in_channels == width


@pytest.mark.parametrize("seed", range(25))
def test_networks_are_their_architectures(tiny, seed):
    architecture = tiny.architecture(tiny.sample(1, seed)[0])
    network = build_network(architecture, num_classes=7)
    assert network.conv_stem.out_channels == architecture.stem_width
    branches = iter(residual_branches(network))
    for stage in architecture.stages:
        for i in range(stage.depth):
            block, norm = next(branches)
            kernel, expansion = (
                (stage.kernel_first, stage.expansion_first) if i == 0 else (stage.kernel_rest, stage.expansion_rest)
            )
            assert norm.num_features == stage.width
            assert block.conv_dw.kernel_size == (kernel, kernel)
            assert block.conv_dw.stride == ((stage.stride,) * 2 if i == 0 else (1, 1))
            assert hasattr(block, "conv_pwl") == (expansion != 1)
            assert (not isinstance(block.se, nn.Identity)) == stage.se
    assert next(branches, None) is None
    images = torch.randn(2, 3, architecture.resolution, architecture.resolution)
    assert network.eval()(images).shape == (2, 7)


ACTIVATIONS = {"hswish": nn.Hardswish, "relu": nn.ReLU}


def check_residual(module: nn.Module, block: Block, c_in: int, stride: int) -> None:
    middle = module.conv_dw.in_channels
    assert middle == round_width(c_in * block.expansion, limit=0.95)
    assert (module.conv_dw.kernel_size, module.conv_dw.stride) == ((block.kernel,) * 2, (stride,) * 2)
    assert hasattr(module, "conv_pwl") == (middle != c_in)
    projection = module.conv_pwl if middle != c_in else module.conv_pw
    assert (projection.out_channels, projection.groups) == (block.width, block.groups)
    assert isinstance(projection, ShuffledPointwise) == (block.groups > 1)
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert [type(norm.act) for norm in norms[:-1]] == [ACTIVATIONS[block.activation]] * (len(norms) - 1)
    assert isinstance(norms[-1].act, nn.Identity)
    assert module.has_skip == (stride == 1 and c_in == block.width)
    if not block.se:
        assert isinstance(module.se, nn.Identity)
        return
    inside = middle / block.expansion if block.se == "input" else middle
    assert module.se.conv_reduce.out_channels == round_width(int(inside / 4 + 1e-9), limit=0.95)
    assert type(module.se.act1) is ACTIVATIONS[block.activation]


@pytest.mark.parametrize("seed", range(25))
def test_networks_are_their_blocks(random_block_space, seed):
    space = random_block_space(seed)
    architecture = space.architecture(space.sample(1, seed)[0])
    with torch.device("meta"):
        network = build_network(architecture, num_classes=7)
    assert type(network.bn1.act) is ACTIVATIONS[architecture.stem_activation]
    modules = iter([module for stack in network.blocks for module in stack])
    c_in = architecture.stem_width
    for stage in architecture.stages:
        for i, block in enumerate(stage.blocks):
            stride = 1 if i else stage.stride
            if block.skip and stride == 1 and c_in == block.width:
                continue
            module = next(modules)
            if block.skip:
                assert (module.conv.kernel_size, module.conv.stride) == ((1, 1), (stride, stride))
                assert module.conv.out_channels == block.width
                assert type(module.bn1.act) is ACTIVATIONS[block.activation]
            elif isinstance(stage, BlockStage):
                check_residual(module, block, c_in, stride)
            c_in = block.width
    head = architecture.head
    if isinstance(head, ConvHeadSettings):
        assert network.conv_head.weight.shape == (head.conv, c_in, 1, 1)
        assert type(network.bn2.act) is ACTIVATIONS[head.activation]
    else:
        last, wide = next(modules), c_in * head.expansion
        assert last.conv.weight.shape == (wide, c_in, 1, 1)
        assert type(last.bn1.act) is ACTIVATIONS[head.activation]
        assert network.conv_head.weight.shape == (head.width, wide, 1, 1)
        assert type(network.act2) is ACTIVATIONS[head.activation]
    assert next(modules, None) is None
    assert network.classifier.weight.shape == (7, network.conv_head.out_channels)


@pytest.mark.parametrize("seed", range(8))
def test_timm_s_features_come_from_networks_of_blocks(random_block_space, seed):
    space = random_block_space(seed)
    network = build_network(space.architecture(space.sample(1, seed)[0]), num_classes=3).eval()
    images = torch.randn(1, 3, 64, 64)
    final, intermediates = network.forward_intermediates(images)
    shapes = [(info["num_chs"], math.ceil(64 / info["reduction"])) for info in network.feature_info]
    assert [tuple(m.shape[1:3]) for m in intermediates] == shapes
    assert network.forward_features(images).shape == final.shape
    network.reset_classifier(4)
    assert network(images).shape == (1, 4)


@pytest.mark.parametrize("head", [{"conv": 24}, {"expansion": 2, "width": 24}])
def test_a_network_of_skips_alone_is_a_stem_and_a_head(head):
    stages = [{"stride": 1, "blocks": [{"skip": True, "width": 8}]}] * 2
    values = {"resolution": 32, "stem_width": 8, "stages": stages, "head": head}
    network = build_network(Architecture.from_dict(values), num_classes=4).eval()
    assert network(torch.randn(1, 3, 32, 32)).shape == (1, 4)
    assert [len(stack) for stack in network.blocks] == [1]


@pytest.mark.parametrize("seed", range(10))
def test_only_branches_with_a_skip_start_at_zero(tiny, seed):
    network = build_network(tiny.architecture(tiny.sample(1, seed)[0]), num_classes=7)
    ends = {id(norm): block.has_skip for block, norm in residual_branches(network)}
    assert len(ends) > 2
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            expected = 0.0 if ends.get(id(layer), False) else 1.0
            assert (layer.weight == expected).all()
            assert (layer.bias == 0).all()


def test_a_skip_needs_stride_1_and_equal_widths(fbnetv3):
    architecture = fbnetv3.architecture(fbnetv3.sample(1, 0)[0])
    with torch.device("meta"):
        network = build_network(architecture, num_classes=7)
    width, expected = architecture.stem_width, []
    for stage in architecture.stages:
        expected += [stage.stride == 1 and width == stage.width] + [True] * (stage.depth - 1)
        width = stage.width
    assert [block.has_skip for block, _ in residual_branches(network)] == expected


def drop_probabilities(network: nn.Module) -> list[float]:
    """What arrived in the modules that drop branches, first to last."""
    return [module.drop_prob for module in network.modules() if isinstance(module, DropPath)]


@pytest.mark.parametrize("largest", [0.1, 0.2, 0.31])
@pytest.mark.parametrize("seed", range(4))
def test_stochastic_depth_rises_linearly_to_the_recipe_s_at_the_last_residual_block(fbnetv3, largest, seed):
    """Huang et al. 2016: the l-th of L residual blocks is dropped with probability p * l / L; others never are."""
    architecture = fbnetv3.architecture(fbnetv3.sample(4, 1)[seed])
    with torch.device("meta"):
        recipe = Recipe(lr=0.1, optimizer="sgd", dropout=0.25, stochastic_depth=largest)
        network = build_network(architecture, num_classes=7, recipe=recipe)
    blocks = [block for stage in network.blocks for block in stage]
    residual = [block for block in blocks if block.has_skip]
    assert 0 < len(residual) < len(blocks) - 1
    assert [block.drop_path.drop_prob for block in residual] == pytest.approx(
        [largest * (i + 1) / len(residual) for i in range(len(residual))]
    )
    assert len(drop_probabilities(network)) == len(residual)
    assert drop_probabilities(network)[-1] == largest
    assert network.drop_rate == 0.25


@pytest.mark.parametrize("name", ["fbnetv3_a", "fbnetv3_e", "fbnetv3_g"])
def test_published_networks_reach_the_recipe_s_stochastic_depth(published, name):
    with torch.device("meta"):
        recipe = Recipe(lr=0.1, optimizer="sgd", stochastic_depth=0.2)
        network = build_network(published(name), num_classes=7, recipe=recipe)
        assert max(drop_probabilities(network)) == drop_probabilities(network)[-1] == 0.2
        assert drop_probabilities(build_network(published(name), num_classes=7)) == []


def test_timm_s_networks_keep_timm_s_rule():
    """Its EfficientNets count all blocks from 0, its ConvNeXts end at the full value."""
    with torch.device("meta"):
        for name, last in (("efficientnet_b0", 0.2 * 15 / 16), ("convnext_atto", 0.2)):
            recipe = Recipe(lr=0.1, optimizer="sgd", stochastic_depth=0.2)
            architecture = TimmArchitecture(timm=name, resolution=224)
            network = build_timm_network(architecture, num_classes=7, recipe=recipe)
            assert drop_probabilities(network)[-1] == pytest.approx(last)


def dropped_share(network: nn.Module, images: torch.Tensor) -> float:
    """Share of images for which the last residual block gave back its input."""
    block = [block for stage in network.blocks for block in stage if block.has_skip][-1]
    pairs = []
    handle = block.register_forward_hook(lambda _, inputs, output: pairs.append((inputs[0], output)))
    with torch.no_grad():
        network(images)
    handle.remove()
    ((given, returned),) = pairs
    return float((given == returned).flatten(1).all(dim=1).float().mean())


def test_branches_are_dropped_that_often(tiny):
    torch.manual_seed(0)
    *stages, last = tiny.decode(np.zeros(len(tiny), dtype=np.int16))["stages"]
    values = tiny.decode(np.zeros(len(tiny), dtype=np.int16)) | {"stages": [*stages, last | {"depth": 2}]}
    recipe = Recipe(lr=0.1, optimizer="sgd", stochastic_depth=0.3)
    network = build_network(Architecture.from_dict(values), num_classes=7, recipe=recipe)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    images = torch.randn(1000, 3, 32, 32)
    assert dropped_share(network.train(), images) == pytest.approx(0.3, abs=0.06)
    assert dropped_share(network.eval(), images) == 0.0


def test_drop_rates_of_zero_drop_nothing(tiny):
    torch.manual_seed(0)
    network = build_network(tiny.architecture(tiny.sample(1, 1)[0]), num_classes=7).train()
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(network(images), network(images), rtol=0, atol=0)
    recipe = Recipe(lr=0.1, optimizer="sgd", dropout=0.5)
    network = build_network(tiny.architecture(tiny.sample(1, 1)[0]), num_classes=7, recipe=recipe).train()
    assert not torch.equal(network(images), network(images))


def test_timm_s_features_come_from_the_networks(published):
    architecture = published("fbnetv3_d")
    network = build_network(architecture, num_classes=10).eval()
    maps = FeatureListNet(network, out_indices=(0, 1, 2, 3, 4), flatten_sequential=True)(torch.randn(1, 3, 64, 64))
    assert [m.shape[-1] for m in maps] == [32, 16, 8, 4, 2]
    assert [m.shape[1] for m in maps] == [16, 24, 40, 128, 240 * 6]
    assert [(info["num_chs"], info["reduction"]) for info in network.feature_info] == [
        (m.shape[1], 64 // m.shape[-1]) for m in maps
    ]


def test_timm_s_intermediates_and_classifier_reset(tiny):
    architecture = tiny.architecture(tiny.sample(1, 3)[0])
    network = build_network(architecture, num_classes=10).eval()
    images = torch.randn(2, 3, 48, 48)
    final, intermediates = network.forward_intermediates(images)
    assert [tuple(m.shape[1:]) for m in intermediates] == [
        (info["num_chs"], 48 // info["reduction"], 48 // info["reduction"]) for info in network.feature_info
    ]
    assert network.forward_features(images).shape == final.shape
    network.reset_classifier(3)
    assert network(images).shape == (2, 3)


def test_networks_are_decided_by_the_seed(tiny):
    architecture = tiny.architecture(tiny.sample(1, 0)[0])
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build_network(architecture, num_classes=10).state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(states[0].values(), states[2].values(), strict=True))


def test_single_stages_and_last_stages_of_stride_2_build(tiny):
    stage = {"width": 12, "depth": 2, "stride": 1, "kernel_first": 3, "kernel_rest": 5, "expansion_first": 3}
    stage |= {"expansion_rest": 1, "se": True}
    head = {"expansion": 2, "width": 32}
    for strides in ((1,), (2,), (1, 2), (2, 1), (1, 1, 1)):
        stages = [stage | {"stride": stride} for stride in strides]
        values = {"resolution": 32, "stem_width": 8, "stages": stages, "head": head}
        network = build_network(Architecture.from_dict(values), num_classes=4).eval()
        assert network(torch.randn(1, 3, 32, 32)).shape == (1, 4)
        assert sum(len(stack) for stack in network.blocks) == 2 * len(strides) + 1


@pytest.mark.parametrize("seed", range(12))
def test_the_smallest_image_is_the_smallest_that_goes_through(seed):
    """Overridden paddings, down to none, leave too little of small images for the kernels."""
    rng = np.random.default_rng(seed)
    stages = [
        {
            "width": width,  # another each time: no skip, whose shape would have to stay
            "depth": 1,
            "stride": int(rng.integers(1, 3)),
            "kernel_first": int(rng.choice([3, 5, 7])),
            "kernel_rest": 3,
            "expansion_first": 2,
            "expansion_rest": 2,
            "se": False,
            "first_padding": [None, 0, 1][rng.integers(3)],
        }
        for width in (12, 16, 20, 24)
    ]
    head = {"expansion": 2, "width": 16}
    architecture = Architecture.from_dict({"resolution": 64, "stem_width": 8, "stages": stages, "head": head})
    network, side = build_network(architecture, num_classes=2).eval(), architecture.smallest_image
    with torch.no_grad():
        assert network(torch.zeros(1, 3, side, side)).shape == (1, 2)
        if side > 1:
            with pytest.raises(RuntimeError, match=r"[Kk]ernel size can't be greater"):
                network(torch.zeros(1, 3, side - 1, side - 1))
