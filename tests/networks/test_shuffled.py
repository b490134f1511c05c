"""Projections in groups with a channel shuffle."""

import pytest
import torch

from nars.networks.build import build_network
from nars.networks.shuffled import ShuffledPointwise
from nars.spaces.architecture import Architecture


@pytest.mark.parametrize("groups", [2, 4])
def test_a_shuffled_projection_sees_one_group_and_shows_all(groups):
    """Output channel i of group j is channel i * groups + j, and depends on the inputs of group j alone."""
    torch.manual_seed(0)
    layer = ShuffledPointwise(8, 16, 1, groups=groups, bias=False)
    images = torch.randn(2, 8, 3, 3)
    inputs, weights = images.chunk(groups, dim=1), layer.weight.flatten(1).chunk(groups, dim=0)
    for j in range(groups):
        expected = torch.einsum("oc,bchw->bohw", weights[j], inputs[j])
        torch.testing.assert_close(layer(images)[:, j::groups], expected)


def test_projections_in_groups_start_as_timm_s_do():
    """Normal, of variance 2 / (output channels / groups)."""
    block = {"kernel": 3, "expansion": 1, "groups": 4, "width": 512}
    stages = [{"stride": 1, "blocks": [block]}]
    values = {"resolution": 32, "stem_width": 512, "stages": stages, "head": {"conv": 8}}
    torch.manual_seed(0)
    projection = build_network(Architecture.from_dict(values), num_classes=2).blocks[0][0].conv_pw
    assert projection.weight.std().item() == pytest.approx((2 / (512 / 4)) ** 0.5, rel=0.02)
