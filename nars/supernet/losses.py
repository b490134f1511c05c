"""What theta is trained to make small: errors, and what the network costs."""

from dataclasses import dataclass

import torch

from nars.settings import LossSettings

MICROSECONDS = 1000.0  # in a millisecond


def paper_loss(cross_entropy: torch.Tensor, cost: torch.Tensor, *, alpha: float, beta: float) -> torch.Tensor:
    """cross_entropy * alpha * log(cost)^beta (paper), a number; `cost` above 1, latency in microseconds.

    Its gradient by the cost is proportional to the cross-entropy: on images that are learned easily it hardly steers.
    """
    return cross_entropy * alpha * torch.log(cost) ** beta


def target_loss(
    cross_entropy: torch.Tensor, costs: torch.Tensor, low: torch.Tensor, high: torch.Tensor, *, weight: float
) -> torch.Tensor:
    """cross_entropy + weight * |largest cost / its upper limit - 1| (ours), a number; limits (k,) are those of costs
    (k,), infinite where there is none. A cost below its lower limit adds weight * (limit / cost - 1)."""
    too_small = torch.relu(low.clamp_min(0) / costs - 1)
    return cross_entropy + weight * ((costs / high).max() - 1).abs() + weight * too_small.sum()


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss of theta: `settings`, the limits float64 (k,) of the costs `names`, and which cost loss=paper counts."""

    settings: LossSettings
    names: tuple[str, ...]
    low: torch.Tensor
    high: torch.Tensor
    steered: str

    def __call__(self, cross_entropy: torch.Tensor, costs: torch.Tensor) -> torch.Tensor:
        """The loss, a float64 number on the CPU, of a cross-entropy and expected costs (k,)."""
        cross_entropy = cross_entropy.to("cpu", torch.float64)
        if self.settings.name == "target":
            return target_loss(cross_entropy, costs, self.low, self.high, weight=self.settings.weight)
        cost = costs[self.names.index(self.steered)] * unit_of(self.steered)
        return paper_loss(cross_entropy, cost, alpha=self.settings.alpha, beta=self.settings.beta)


def unit_of(name: str) -> float:
    """What a cost is multiplied by before its logarithm is taken: latency is kept in milliseconds and counts in
    microseconds (paper)."""
    return MICROSECONDS if name == "latency_ms" else 1.0
