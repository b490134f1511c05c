"""Costs that are measured on a network are those that are counted without it."""

import pytest

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.costs.table import COUNTED, by_name
from nars.networks.architectures import costs_of
from nars.networks.build import build_network
from nars.networks.timm_models import TimmArchitecture, build_timm_network, measured_costs


@pytest.mark.parametrize("seed", range(4))
def test_measured_and_counted_costs_are_the_same(tiny, seed):
    point = tiny.sample(1, seed)
    architecture = tiny.architecture(point[0])
    network = build_network(architecture, num_classes=10).train()
    counted = by_name(COUNTED, costs(tiny, point, COUNTED, Pricing(num_classes=10))[0])
    for _ in range(2):  # measuring leaves nothing behind in the network
        assert measured_costs(network, architecture.resolution) == counted
    assert network.training
    assert costs_of(architecture, Pricing(num_classes=10)) == {name: counted[name] for name in COUNTED}


def test_costs_of_resnet_18_are_those_that_papers_state():
    """11.69 M parameters, 1.8 G MACs; 2.48 M activations in timm's own tables (recalled)."""
    architecture = TimmArchitecture(timm="resnet18", resolution=224)
    measured = measured_costs(build_timm_network(architecture, num_classes=1000), 224)
    assert (measured["params"], round(measured["macs"], -8)) == (11_689_512, 1.8e9)
    assert round(measured["activations"] / 1e6, 2) == 2.48
    assert costs_of(architecture, Pricing(num_classes=1000)) == {name: measured[name] for name in COUNTED}
