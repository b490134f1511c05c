"""FBNetV1 and V2 as released, in the language of blocks: weights and multiply-adds to the last published digit."""

import re

import pytest
import torch

from nars.costs.statistics import table_costs
from nars.networks.build import build_network
from nars.spaces.architecture import Architecture
from nars.spaces.table import ArchitectureTable

# FBNetV1: stem 16, then 22 blocks of these widths; the choices from the paper's figure and the released model files.
V1_STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))  # width, n, stride
V1 = {
    "fbnet_a": "skip k3e3 k3e1 skip skip k5e6 k3e3 k5e1 k3e3 k5e6 k5e3 k5e1g2 k5e6 k3e6 k5e1g2 k5e3 k3e1g2 k5e6 k5e6 "
    "k5e3 k5e6 k5e6",
    "fbnet_b": "k3e1 k3e6 k5e1 k3e1 k3e1 k5e6 k5e3 k3e6 k5e6 k5e6 k5e6 skip k5e3 k5e6 k3e1 k5e1 k5e3 k5e6 k5e1 k5e6 "
    "k5e6 k3e6",
    "fbnet_c": "k3e1 k3e6 skip k3e1 k3e1 k5e6 k5e3 k5e6 k3e6 k5e6 k5e3 k5e6 k5e6 k5e6 k5e6 k5e6 k5e3 k5e6 k5e6 k5e6 "
    "k5e6 k3e6",
}
V1_HEAD = {"fbnet_a": 1504, "fbnet_b": 1984, "fbnet_c": 1984}

# FBNetV2 from the released model files: one line a stage, blocks as `kernel[se][hs] width expansion`, relu without hs.
V2_SMALL = """
k5 8 1
k5 24 5.4566, k5 24 4.7912
k5se 32 5.3501, k5se 24 4.5379
k5hs 56 5.7133, k3hs 56 4.1212, k3sehs 56 5.1246, skip 80, k5sehs 80 4.5070, k5sehs 80 1.7712
k3sehs 144 4.5685, k5sehs 144 5.84, k5sehs 144 6.8754, skip 224
"""
V2_F4 = """
k3hs 16 1
k5hs 24 5.4566, k5hs 24 1.7912, k5hs 24 1.7912
k5se 32 5.3501, k5se 32 3.5379, k5se 32 4.5379, k5se 32 4.5379
k5hs 64 5.7133, k3hs 64 2.1212, skip 64, k3hs 104 5.0333, k5sehs 104 2.5070, k5sehs 104 1.7712, k5sehs 112 3.7712
k3sehs 184 5.5685, k5sehs 184 2.84, k5sehs 184 4.8754, skip 224
"""
V2_LARGE = """
k3hs 16 1
k5hs 24 5.4566, k5 24 1.7912, k3 24 1.7912, k5 24 1.7912
k5sehs 40 5.3501, k5sehs 32 3.5379, k5sehs 32 4.5379, k5sehs 32 4.5379
k5hs 64 5.7133, k3hs 64 2.1212, skip 64, k3hs 64 3.1246, k3hs 112 5.0333, k5sehs 112 2.507, k5sehs 112 1.7712,\
 k5sehs 112 2.7712, k5sehs 112 3.7712, k5sehs 112 3.7712
k3sehs 184 5.5685, k5sehs 184 2.84, k5sehs 184 2.84, k5sehs 184 4.8754, k5sehs 184 4.8754, skip 224
"""
V2 = {  # table, resolution, stem, width of the head
    "fbnetv2_f1": (V2_SMALL, 128, 8, 1600),
    "fbnetv2_f2": (V2_SMALL, 160, 8, 1600),
    "fbnetv2_f3": (V2_SMALL, 192, 8, 1984),
    "fbnetv2_f4": (V2_F4, 224, 16, 1984),
    "fbnetv2_l1": (V2_LARGE, 224, 16, 1984),
    "fbnetv2_l2": (V2_LARGE, 256, 16, 1984),
}

# Multiply-adds in the authors' count and weights; of FBNetV1 the digits that are printed.
PUBLISHED = {
    "fbnet_a": (244.5264e6, 4_270_288),
    "fbnet_b": (291.1016e6, 4_766_672),
    "fbnet_c": (378.2334e6, 5_525_424),
    "fbnetv2_f1": (56_410_560, 5_999_408),
    "fbnetv2_f2": (85_441_392, 5_999_408),
    "fbnetv2_f3": (121_824_000, 6_899_504),
    "fbnetv2_f4": (238_351_984, 6_994_824),
    "fbnetv2_l1": (326_023_008, 8_496_520),
    "fbnetv2_l2": (423_912_768, 8_496_520),
}


def fbnet_v1(name: str) -> Architecture:
    choices = iter(V1[name].split())
    stages = []
    for width, n, stride in V1_STAGES:
        blocks = [v1_block(next(choices)) | {"width": width, "activation": "relu"} for _ in range(n)]
        stages.append({"stride": stride, "blocks": blocks})
    head = {"conv": V1_HEAD[name], "activation": "relu"}
    values = {"resolution": 224, "stem_width": 16, "stem_activation": "relu", "stages": stages, "head": head}
    return Architecture.from_dict(values)


def v1_block(text: str) -> dict:
    if text == "skip":
        return {"skip": True}
    kernel, expansion, groups = re.fullmatch(r"k(\d)e(\d)(?:g(\d))?", text).groups(default="1")
    return {"kernel": int(kernel), "expansion": int(expansion), "groups": int(groups)}


def fbnet_v2(name: str) -> Architecture:
    table, resolution, stem, head = V2[name]
    strides = (1, 2, 2, 2, 2)
    stages = [
        {"stride": stride, "blocks": [v2_block(text) for text in line.split(",")]}
        for line, stride in zip(table.strip().splitlines(), strides, strict=True)
    ]
    values = {"resolution": resolution, "stem_width": stem, "stages": stages, "head": {"expansion": 6, "width": head}}
    values["stem_activation"] = "hswish" if table is V2_SMALL else "relu"
    return Architecture.from_dict(values)


def v2_block(text: str) -> dict:
    kind, width, *expansion = text.split()
    if kind == "skip":
        return {"skip": True, "width": int(width), "activation": "relu"}
    return {
        "kernel": int(kind[1]),
        "width": int(width),
        "expansion": float(*expansion),
        "se": "expanded" if "se" in kind else False,
        "activation": "hswish" if "hs" in kind else "relu",
    }


def architecture_of(name: str) -> Architecture:
    return fbnet_v1(name) if name in V1 else fbnet_v2(name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_cost_what_was_published(counted, name):
    """As priced and as built."""
    architecture = architecture_of(name)
    names = ("released_macs", "weights", "macs", "params", "activations")
    priced = dict(zip(names, table_costs(ArchitectureTable.of(architecture), names, num_classes=1000)[0], strict=True))
    macs = priced["released_macs"]
    assert (round(macs, -2) if name in V1 else macs, priced["weights"]) == PUBLISHED[name]
    with torch.device("meta"):
        network = build_network(architecture, num_classes=1000)
    assert counted(network, architecture.resolution) == priced


@pytest.mark.parametrize("name", ["fbnet_a", "fbnetv2_f1"])
def test_every_weight_of_a_network_of_blocks_learns(name):
    torch.manual_seed(0)
    network = build_network(architecture_of(name), num_classes=5).train()
    for norm in network.modules():  # those of residual branches start at zero, which stops the gradient
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(norm.weight)
    network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())
