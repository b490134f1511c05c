"""Costs: equal to what is built, to what was published, and never falling where FBNetV3 has more of something."""

import logging
import warnings

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from nars.costs import statistics
from nars.costs.pricing import Pricing
from nars.costs.rounding import expanded_width, round_width, squeezed_width
from nars.costs.statistics import CHUNK, costs, table_costs
from nars.costs.table import COSTS, COUNTED
from nars.networks.build import build_network
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import Architecture, ArchitectureSpace

NAMES = ("macs", "params", "weights", "released_macs", "activations")
PAIR = ("macs", "params")

# multiply-adds in the authors' count and weights, in units, from the released model files.
PUBLISHED = {
    "fbnetv3_a": (356_598_280, 8_542_224),
    "fbnetv3_b": (461_550_136, 8_542_224),
    "fbnetv3_c": (556_969_904, 9_907_136),
    "fbnetv3_d": (644_420_352, 10_237_552),
    "fbnetv3_e": (762_046_336, 10_699_464),
    "fbnetv3_f": (1_181_644_520, 13_803_072),
    "fbnetv3_g": (2_129_656_384, 16_513_648),
}


def random_architecture_space(seed: int) -> ArchitectureSpace:
    """Any widths (odd ones too), expansions, kernels, strides and squeeze-and-excite in up to four stages."""
    rng = np.random.default_rng(seed)

    def some(low, high):
        return sorted(set(rng.integers(low, high, size=rng.integers(1, 5)).tolist()))

    stages = [
        {
            "width": some(3, 60),
            "depth": some(1, 4),
            "kernel_first": [3, 5],
            "kernel_rest": [3, 5, 7],
            "expansion_first": some(1, 8),
            "expansion_rest": some(1, 8),
            "stride": int(rng.integers(1, 3)),
            "se": bool(rng.integers(2)),
        }
        for _ in range(rng.integers(1, 5))
    ]
    values = {
        "name": "random",
        "resolution": some(17, 70),
        "stem_width": some(3, 30),
        "stages": stages,
        "head": {"expansion": int(rng.integers(1, 7)), "width": int(rng.integers(8, 100))},
    }
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values))


def fvcore_macs(network: nn.Module, side: int) -> int:
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = FlopCountAnalysis(network.eval(), torch.zeros(1, 3, side, side))
        by_operator = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return by_operator["conv"] + by_operator["linear"]


def check_against_built(counted, space: ArchitectureSpace, points: np.ndarray, num_classes: int) -> None:
    prices = costs(space, points, NAMES, Pricing(num_classes=num_classes))
    for point, price in zip(points, prices, strict=True):
        architecture = space.architecture(point)
        with torch.device("meta"):
            network = build_network(architecture, num_classes=num_classes)
        built = counted(network, architecture.resolution)
        assert dict(zip(NAMES, price.tolist(), strict=True)) == built, architecture
        table = architecture.table
        assert table_costs(table, NAMES, Pricing(num_classes=num_classes))[0].tolist() == price.tolist()


@pytest.mark.parametrize("seed", range(12))
def test_costs_of_tiny_equal_fvcore_s(tiny, seed):
    num_classes = [2, 10, 200][seed % 3]
    for point in tiny.sample(1, seed):
        architecture = tiny.architecture(point)
        network = build_network(architecture, num_classes=num_classes)
        macs, params = costs(tiny, point[None], PAIR, Pricing(num_classes=num_classes))[0]
        assert macs == fvcore_macs(network, architecture.resolution)
        assert params == sum(parameter.numel() for parameter in network.parameters())


def test_costs_of_fbnetv3_equal_fvcore_s(fbnetv3):
    point = fbnetv3.sample(1, 11)[0]
    architecture = fbnetv3.architecture(point)
    network = build_network(architecture, num_classes=1000)
    macs, params = costs(fbnetv3, point[None], PAIR)[0]
    assert macs == fvcore_macs(network, architecture.resolution)
    assert params == sum(parameter.numel() for parameter in network.parameters())


def test_costs_of_fbnetv3_equal_the_built_networks(counted, fbnetv3):
    check_against_built(counted, fbnetv3, fbnetv3.sample(2, 5), num_classes=1000)


@pytest.mark.parametrize("seed", range(20))
def test_costs_of_any_space_equal_the_built_networks(counted, seed):
    space = random_architecture_space(seed)
    check_against_built(counted, space, space.sample(1, seed), num_classes=7)


@pytest.mark.parametrize("seed", range(25))
def test_costs_of_any_blocks_equal_the_built_networks(counted, random_block_space, seed):
    space = random_block_space(seed)
    check_against_built(counted, space, space.sample(2, seed), num_classes=7)


@pytest.mark.parametrize(("stride", "width", "weights"), [(1, 8, 0), (1, 16, 8 * 16), (2, 8, 8 * 8), (2, 16, 8 * 16)])
def test_a_skip_costs_a_convolution_where_it_changes_the_shape(counted, stride, width, weights):
    """Of a network of stem (3x3), skip, head of 4 and two classes, on 32 pixels."""
    stages = [{"stride": stride, "blocks": [{"skip": True, "width": width}]}]
    values = {"resolution": 32, "stem_width": 8, "stages": stages, "head": {"conv": 4}}
    architecture = Architecture.from_dict(values)
    priced = table_costs(architecture.table, NAMES, Pricing(num_classes=2))[0]
    side = 16 // stride
    others = {"weights": 27 * 8 + width * 4 + 4 * 2, "macs": 27 * 8 * 16**2 + width * 4 * side**2 + 4 * 2}
    assert priced[NAMES.index("weights")] == others["weights"] + weights
    assert priced[NAMES.index("macs")] == others["macs"] + weights * side**2
    with torch.device("meta"):
        network = build_network(architecture, num_classes=2)
    assert dict(zip(NAMES, priced.tolist(), strict=True)) == counted(network, 32)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_cost_what_was_published(conf, name):
    architecture = Architecture.from_dict(conf("candidates", name)["architecture"])
    table = architecture.table
    assert tuple(table_costs(table, ("released_macs", "weights"), Pricing(num_classes=1000))[0]) == PUBLISHED[name]


def test_multiply_adds_of_b_without_pooling(conf):
    """design.md section 4."""
    table = Architecture.from_dict(conf("candidates", "fbnetv3_b")["architecture"]).table
    assert table_costs(table, ("macs",), Pricing(num_classes=1000))[0, 0] == 460_150_000


@pytest.mark.parametrize("name", ["fbnetv3_a"])
def test_published_networks_cost_what_is_built(counted, conf, name):
    """A overrides both kinds of paddings, which makes maps smaller."""
    architecture = Architecture.from_dict(conf("candidates", name)["architecture"])
    with torch.device("meta"):
        network = build_network(architecture, num_classes=1000)
    price = table_costs(architecture.table, NAMES, Pricing(num_classes=1000))[0]
    assert dict(zip(NAMES, price.tolist(), strict=True)) == counted(network, architecture.resolution)


def check_costs_never_fall(space: ArchitectureSpace, points: np.ndarray) -> None:
    prices = costs(space, points, PAIR)
    for column in range(len(space)):
        can_rise = points[:, column] < space.sizes[column] - 1
        raised = points[can_rise].copy()
        raised[:, column] += 1
        assert (costs(space, raised, PAIR) >= prices[can_rise]).all(), space.dimensions[column].name


def test_raising_a_choice_never_lowers_a_cost(architecture_space):
    check_costs_never_fall(architecture_space, architecture_space.sample(3000, 0))


@pytest.mark.parametrize("seed", range(40))
def test_raising_a_choice_of_any_space_never_lowers_a_cost(seed):
    space = random_architecture_space(seed)
    check_costs_never_fall(space, space.sample(300, seed))


def test_a_batch_costs_what_its_points_cost(architecture_space):
    points = architecture_space.sample(50, 2)
    together = costs(architecture_space, points, NAMES)
    assert together.shape == (50, len(NAMES))
    assert together.dtype == np.float64
    np.testing.assert_array_equal(together, np.concatenate([costs(architecture_space, p[None], NAMES) for p in points]))
    backwards = costs(architecture_space, points, NAMES[::-1])
    np.testing.assert_array_equal(together[:, ::-1], backwards)


def test_more_points_than_are_priced_at_once(tiny):
    points = tiny.sample(CHUNK + 5, 0)
    together = costs(tiny, points, PAIR)
    assert together.shape == (CHUNK + 5, 2)
    np.testing.assert_array_equal(together[-7:], costs(tiny, points[-7:], PAIR))
    np.testing.assert_array_equal(together[:7], costs(tiny, points[:7], PAIR))


def test_no_points_cost_nothing(tiny):
    assert costs(tiny, tiny.sample(4, 0)[:0], PAIR).shape == (0, 2)


def test_a_class_costs_a_row_of_the_classifier(fbnetv3):
    points = fbnetv3.sample(20, 0)
    more, fewer = (costs(fbnetv3, points, PAIR, Pricing(num_classes=n)) for n in (11, 10))
    assert (more - fewer == [1984, 1984 + 1]).all()


def test_a_space_of_one_architecture_has_a_cost():
    values = {
        "name": "single",
        "resolution": 32,
        "stem_width": 8,
        "stages": [{"width": 8, "depth": 1, "kernel": 3, "expansion": 1, "stride": 1, "se": False}],
        "head": {"expansion": 2, "width": 16},
    }
    space = ArchitectureSpace(parse(ArchitectureSpaceSettings, values))
    assert costs(space, np.empty((3, 0), dtype=np.int16), PAIR, Pricing(num_classes=10)).shape == (3, 2)


ROUNDED = {  # limit: {width: rounded width}
    0.9: {1: 8, 11: 16, 12: 16, 16: 16, 18: 24, 20: 24, 28: 32},
    0.95: {8.3: 8, 8.6: 16, 74: 72, 76: 80, 84: 88, 180: 184},
}


@pytest.mark.parametrize("limit", ROUNDED)
def test_widths_are_rounded_as_in_the_released_code(limit):
    """Nearest multiple of 8, half up, one step up if more than 1 - limit is lost."""
    for width, rounded in ROUNDED[limit].items():
        assert round_width(width, limit=limit) == rounded
    widths, rounded = ROUNDED[limit].keys(), ROUNDED[limit].values()
    assert round_width(np.array([*widths]), limit=limit).tolist() == [*rounded]


def test_rounding_is_timm_s():
    from timm.layers import make_divisible

    for limit in (0.9, 0.95):
        widths = np.arange(1, 2000) / 2
        expected = [make_divisible(width, 8, round_limit=limit) for width in widths]
        assert round_width(widths, limit=limit).tolist() == expected


@pytest.mark.parametrize("rounding", ["timm", "released"])
def test_squeezed_widths_are_a_quarter_of_the_input(rounding):
    """less_se_channels of the released code."""
    for width in range(8, 300, 4):
        for expansion in range(2, 8):
            expanded = expanded_width(width, expansion, rounding=rounding)
            assert expanded % 8 == 0
            assert abs(expanded - width * expansion) <= 0.5 * 8
            assert squeezed_width(expanded, expansion) == round_width(int(expanded * 0.25 / expansion), limit=0.95)


def test_expanded_widths_are_rounded_as_timm_or_as_the_released_code_does():
    assert (expanded_width(20, 1, rounding="timm"), expanded_width(20, 1, rounding="released")) == (20, 24)
    assert (expanded_width(11, 4, rounding="timm"), expanded_width(11, 4, rounding="released")) == (48, 48)
    # FBNetV2-F1: 40 is 0.93 of 24 x 1.7912
    assert (expanded_width(24, 1.7912, rounding="timm"), expanded_width(24, 1.7912, rounding="released")) == (40, 48)


@pytest.mark.parametrize("seed", range(3))
def test_looked_up_and_computed_costs_of_blocks_are_equal_to_the_last_digit(random_block_space, monkeypatch, seed):
    test_looked_up_and_computed_costs_are_equal_to_the_last_digit(random_block_space(seed), monkeypatch, seed)


@pytest.mark.parametrize("seed", range(3))
def test_looked_up_and_computed_costs_are_equal_to_the_last_digit(architecture_space, monkeypatch, seed):
    points, names = architecture_space.sample(3000, seed), tuple(statistics._NAMES)
    looked_up = costs(architecture_space, points, names, Pricing(num_classes=37))
    assert statistics._lookup(architecture_space, names, Pricing(num_classes=37)) is not None
    monkeypatch.setattr(statistics, "MAX_ENTRIES", 10)
    for cached in (statistics.part_tables, statistics._lookup):
        cached.cache_clear()
    assert statistics._lookup(architecture_space, names, Pricing(num_classes=37)) is None
    np.testing.assert_array_equal(costs(architecture_space, points, names, Pricing(num_classes=37)), looked_up)
    for cached in (statistics.part_tables, statistics._lookup):
        cached.cache_clear()


def test_every_cost_of_the_table_is_computed():
    assert set(COUNTED) <= set(statistics._NAMES) == set(NAMES)
    assert {name for name, cost in COSTS.items() if cost.measured} == {"latency_ms"}
