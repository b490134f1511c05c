"""What costs depend on beside the architecture."""

from dataclasses import dataclass

from nars.costs.latency import LatencyTable


@dataclass(frozen=True, kw_only=True)
class Pricing:
    """How architectures are priced: with a classifier of `num_classes` classes, and with the `latency` of a device,
    None where it is not asked for."""

    num_classes: int = 1000
    latency: LatencyTable | None = None


AS_PUBLISHED = Pricing()  # networks for ImageNet
