"""The blocks that are measured are those that networks are made of."""

import numpy as np
import pytest
import torch
from torch import nn

from nars.costs.shapes import KINDS, Shape, shapes_of
from nars.costs.statistics import rows_of_space
from nars.latency.parts import input_of, module_of
from nars.networks.build import build_network
from nars.networks.timm_models import measured_costs


def parts_of(architecture, num_classes: int) -> list[nn.Module]:
    found = [some.rows() for some in shapes_of(architecture.table, num_classes)]
    return [module_of(Shape.of_row(rows[0])) for rows, count in found for _ in range(int(count[0]))]


@pytest.mark.parametrize("seed", range(6))
def test_blocks_after_one_another_are_the_network(random_block_space, seed):
    space = random_block_space(seed)
    architecture = space.architecture(space.sample(1, seed)[0])
    torch.manual_seed(seed)
    network = build_network(architecture, num_classes=7).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)  # those of residual branches begin at zero
            nn.init.normal_(module.running_mean)
    parts = nn.Sequential(*parts_of(architecture, 7)).eval()
    assert sum(p.numel() for p in parts.parameters()) == sum(p.numel() for p in network.parameters())
    values = zip(parts.state_dict().items(), network.state_dict().values(), strict=True)
    parts.load_state_dict({name: value for (name, _), value in values})
    x = torch.randn(2, 3, architecture.resolution, architecture.resolution)
    with torch.no_grad():
        torch.testing.assert_close(parts(x), network(x))


@pytest.mark.parametrize("seed", range(2))
def test_every_shape_is_a_block_that_takes_its_input(random_block_space, seed):
    space = random_block_space(seed)
    rows = rows_of_space(space, 7)
    rng = np.random.default_rng(seed)
    for kind in range(len(KINDS)):
        of_kind = rows[rows[:, 0] == kind]
        for row in rng.permutation(of_kind)[:3]:
            shape = Shape.of_row(row)
            with torch.no_grad():
                out = module_of(shape)(input_of(shape, 2))
            assert out.shape[:2] == (2, shape.c_out)


def test_padding_that_is_overridden_is_measured(conf):
    """Three released networks have it."""
    from nars.spaces.architecture import Architecture

    values = conf("candidates", "fbnetv3_b")["architecture"]
    architecture = Architecture.from_dict(values)
    found = [Shape.of_row(rows[0]) for rows, _ in (some.rows() for some in shapes_of(architecture.table, 10))]
    [overridden] = [s for s in found if s.kind == "block" and s.padding != s.kernel // 2 and s.kernel == 5]
    assert module_of(overridden).conv_dw.padding == (1, 1)
    whole = measured_costs(build_network(architecture, num_classes=10), 64)["params"]
    assert sum(p.numel() for part in parts_of(architecture, 10) for p in part.parameters()) == whole
