"""FBNetV1's and V2's networks in conf/candidates: what they cost, to the last published digit, and what timm has of
them."""

import pytest
import timm
import torch
from torch import nn

from nars.costs.pricing import Pricing
from nars.costs.statistics import table_costs
from nars.networks.build import build_network
from nars.spaces.architecture import Architecture

# Multiply-adds in the authors' count and weights, in units: the released numbers, of FBNetV1 the digits that are
# printed; of S8 and iPhoneX the weights that their layers have, which round to the paper's 4.43 M and 4.47 M.
PUBLISHED = {
    "fbnet_a": (244_526_400, 4_270_288),
    "fbnet_b": (291_101_600, 4_766_672),
    "fbnet_c": (378_233_400, 5_525_424),
    "fbnet_s8": (None, 4_430_208),
    "fbnet_iphonex": (None, 4_469_648),
    "fbnetv2_f1": (56_410_560, 5_999_408),
    "fbnetv2_f2": (85_441_392, 5_999_408),
    "fbnetv2_f3": (121_824_000, 6_899_504),
    "fbnetv2_f4": (238_351_984, 6_994_824),
    "fbnetv2_l1": (326_023_008, 8_496_520),
    "fbnetv2_l2": (423_912_768, 8_496_520),
    "fbnetv2_l3": (750_681_952, 9_402_096),
}
PAPER = {"fbnet_s8": 293e6, "fbnet_iphonex": 322e6}  # FLOPs of the paper, recalled
# Blocks of FBNet-C whose expansion is 1: timm's fbnetc_100 has a pointwise expansion in them.
OTHER_IN_TIMM = ("blocks.0.0.", "blocks.1.1.", "blocks.1.2.")


@pytest.fixture(scope="module")
def architecture_of(conf):
    """A function: the architecture of a published name."""
    return lambda name: Architecture.from_dict(conf("candidates", name)["architecture"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_cost_what_was_published(architecture_of, counted, name):
    """As priced and as built."""
    architecture = architecture_of(name)
    names = ("released_macs", "weights", "macs", "params", "activations")
    priced = dict(zip(names, table_costs(architecture.table, names, Pricing(num_classes=1000))[0], strict=True))
    macs, weights = PUBLISHED[name]
    assert priced["weights"] == weights
    if macs is None:
        assert priced["released_macs"] * 1.0175 == pytest.approx(PAPER[name], rel=1e-4)
    else:
        assert round(priced["released_macs"], 0 if name.startswith("fbnetv2") else -2) == macs
    with torch.device("meta"):
        network = build_network(architecture, num_classes=1000)
    assert counted(network, architecture.resolution) == priced


@pytest.mark.parametrize("name", ["fbnet_a", "fbnetv2_f1"])
def test_every_weight_of_a_network_of_blocks_learns(architecture_of, name):
    torch.manual_seed(0)
    network = build_network(architecture_of(name), num_classes=5).train()
    for norm in network.modules():  # those of residual branches start at zero, which stops the gradient
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.ones_(norm.weight)
    network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_weights_of_fbnet_c_are_timm_s_but_for_three_blocks(architecture_of):
    """By name and shape; with these blocks put into timm's network it is ours."""
    torch.manual_seed(0)
    ours = build_network(architecture_of("fbnet_c"), num_classes=1000).eval()
    theirs = timm.create_model("fbnetc_100").eval()
    shapes = [
        {name: value.shape for name, value in network.state_dict().items() if not name.startswith(OTHER_IN_TIMM)}
        for network in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]
    weights = [sum(p.numel() for p in network.parameters() if p.dim() > 1) for network in (ours, theirs)]
    assert weights == [5_525_424, 5_525_424 + 16 * 16 + 2 * 24 * 24]
    for prefix in OTHER_IN_TIMM:
        stage, block = (int(part) for part in prefix.split(".")[1:3])
        mine, other = ours.blocks[stage][block], theirs.blocks[stage][block]
        assert (type(mine).__name__, type(other).__name__) == ("DepthwiseSeparableConv", "InvertedResidual")
        theirs.blocks[stage][block] = mine
    for norm in ours.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        expected = theirs(images)
        torch.testing.assert_close(ours(images), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())
