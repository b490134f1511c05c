"""Any architecture, searched or timm's, as a network with its costs."""

from collections.abc import Mapping

from torch import nn

from nars.costs.pricing import AS_PUBLISHED, Pricing
from nars.costs.statistics import table_costs
from nars.costs.table import COSTS, LIMITED, by_name
from nars.networks.build import build_network
from nars.networks.timm_models import TimmArchitecture, build_timm_network, measured_costs
from nars.settings import ProtocolSettings, Recipe
from nars.spaces.architecture import MIN_IMAGE_SIZE, Architecture


def architecture_of(values: Mapping, *, where: str = "architecture") -> Architecture | TimmArchitecture:
    """The architecture that plain containers describe; UserError names what is wrong."""
    return (TimmArchitecture if "timm" in values else Architecture).from_dict(values, where=where)


def network_of(
    architecture: Architecture | TimmArchitecture,
    *,
    num_classes: int,
    recipe: Recipe | None = None,
) -> nn.Module:
    """The untrained network, float32 (b, 3, r, r) -> (b, num_classes); None drops nothing while training."""
    build = build_timm_network if isinstance(architecture, TimmArchitecture) else build_network
    return build(architecture, num_classes=num_classes, recipe=recipe)


def costs_of(architecture: Architecture | TimmArchitecture, pricing: Pricing = AS_PUBLISHED) -> dict[str, float]:
    """Every cost that a search may limit, by name, at the architecture's own resolution; latency only if `pricing` has
    it, and not of timm's networks, whose blocks are others."""
    if isinstance(architecture, TimmArchitecture):
        network = build_timm_network(architecture, num_classes=pricing.num_classes)
        measured = measured_costs(network, architecture.resolution)
        return {name: measured[name] for name in LIMITED if name in measured}
    names = tuple(name for name in LIMITED if pricing.latency is not None or not COSTS[name].measured)
    return by_name(names, table_costs(architecture.table, names, pricing)[0])


def check_image_size(architecture: Architecture | TimmArchitecture, side: int) -> None:
    """UserError if the network takes no images of `side` pixels; those of the FBNet family take any."""
    if isinstance(architecture, TimmArchitecture) and side != architecture.resolution:
        measured_costs(build_timm_network(architecture, num_classes=2), side)


def check_trainable(
    architecture: Architecture | TimmArchitecture, recipe: Recipe, protocol: ProtocolSettings, *, num_classes: int
) -> None:
    """UserError if the network cannot be built or cannot be trained so: nothing has to be trained to know."""
    check_image_size(architecture, image_size(architecture, protocol))
    network_of(architecture, num_classes=num_classes, recipe=recipe)


def image_size(architecture: Architecture | TimmArchitecture, protocol: ProtocolSettings) -> int:
    """Side in pixels of the images of a training: resolution times the protocol's scale, at least `MIN_IMAGE_SIZE` and
    what the architecture takes."""
    if isinstance(architecture, TimmArchitecture):
        return max(MIN_IMAGE_SIZE, round(architecture.resolution * protocol.image_scale))
    return architecture.image_side(protocol.image_scale)
