"""The predictor's networks; an ensemble is one module, its members side by side in a leading dimension."""

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Copied = TypeVar("Copied", bound=nn.Module)


class MemberLinear(nn.Module):
    """One linear layer per member: (members, n, inputs) -> (members, n, outputs).

    Initialised as torch initialises `nn.Linear`, but from `generator`.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, generator: torch.Generator):
        super().__init__()
        bound = max(inputs, 1) ** -0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """(members, n, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


class Encoder(nn.Module):
    """Features (members, n, inputs) -> embedding (members, n, width): a hidden layer, then the embedding layer."""

    def __init__(self, members: int, inputs: int, hidden: int, width: int, *, generator: torch.Generator):
        super().__init__()
        self.hidden = MemberLinear(members, inputs, hidden, generator=generator)
        self.embedding = MemberLinear(members, hidden, width, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """(members, n, width)."""
        return _silu(self.embedding(_silu(self.hidden(x))))


class ProxyHead(nn.Module):
    """Embedding (members, n, width) -> standardised statistics (members, n, statistics)."""

    def __init__(self, members: int, width: int, statistics: int, *, generator: torch.Generator):
        super().__init__()
        self.output = MemberLinear(members, width, statistics, generator=generator)

    def forward(self, embedding: Tensor) -> Tensor:
        """(members, n, statistics)."""
        return self.output(embedding)


class AccuracyHead(nn.Module):
    """Embedding and recipe (members, n, width + recipe columns) -> target (members, n)."""

    def __init__(self, members: int, inputs: int, hidden: int, *, generator: torch.Generator):
        super().__init__()
        self.hidden = MemberLinear(members, inputs, hidden, generator=generator)
        self.output = MemberLinear(members, hidden, 1, generator=generator)

    def forward(self, features: Tensor) -> Tensor:
        """(members, n)."""
        return self.output(_silu(self.hidden(features))).squeeze(-1)


class ProxyNetwork(nn.Module):
    """Encoder and proxy head, with the scale of the statistics: what pretraining learns.

    `log` (statistics,) says which statistics are taken as logarithms; `mean` and `scale` standardise them then.
    """

    def __init__(
        self, members: int, inputs: int, hidden: int, width: int, statistics: int, *, generator: torch.Generator
    ):
        super().__init__()
        self.encoder = Encoder(members, inputs, hidden, width, generator=generator)
        self.head = ProxyHead(members, width, statistics, generator=generator)
        self.register_buffer("log", torch.zeros(statistics, dtype=torch.bool))
        self.register_buffer("mean", torch.zeros(statistics, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(statistics, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Standardised statistics (members, n, statistics) of architecture features (n, inputs)."""
        return self.head(self.encoder(_for_members(x, self.head.output)))

    def set_scale(self, statistics: Tensor) -> None:
        """Learn `log`, `mean` and `scale` from statistics float64 (n, s); the logarithm is taken of positive ones."""
        self.log = (statistics > 0).all(dim=0)
        taken = self._logarithms(statistics)
        self.mean = taken.mean(dim=0)
        self.scale = _positive_scale(taken)

    def standardise(self, statistics: Tensor) -> Tensor:
        """Targets float32 (n, s) of statistics float64 (n, s)."""
        return ((self._logarithms(statistics) - self.mean) / self.scale).float()

    def restore(self, standardised: Tensor) -> Tensor:
        """Statistics float64 (..., s) of standardised ones: inverse of `standardise`."""
        taken = standardised.double() * self.scale + self.mean
        return torch.where(self.log, taken.exp(), taken)

    def _logarithms(self, statistics: Tensor) -> Tensor:
        return torch.where(self.log, statistics.clamp_min(1e-300).log(), statistics)


class AccuracyNetwork(nn.Module):
    """Encoder and accuracy head; `encoder` is None where there is no architecture to encode."""

    def __init__(self, encoder: Encoder | None, head: AccuracyHead, *, inputs: int):
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.inputs = inputs

    def forward(self, x: Tensor) -> Tensor:
        """Targets (members, n) of features (n, architecture columns then recipe columns)."""
        x = _for_members(x, self.head.output)
        recipe = 2 * x[..., self.inputs :] - 1  # as wide and as central as the embedding
        if self.encoder is None:
            return self.head(recipe)
        return self.head(torch.cat([self.encoder(x[..., : self.inputs]), recipe], dim=-1))


def proxy_loss(network: ProxyNetwork, x: Tensor, targets: Tensor) -> Tensor:
    """Huber loss on standardised statistics, mean over rows and statistics, summed over members (scalar)."""
    predicted = network(x)
    return F.huber_loss(predicted, targets.expand_as(predicted), reduction="none").mean(dim=(1, 2)).sum()


def accuracy_loss(network: AccuracyNetwork, x: Tensor, targets: Tensor, taken: Tensor) -> Tensor:
    """Huber loss on targets (n, members), mean over the rows that a member takes (n, members), summed over members
    (scalar)."""
    losses = F.huber_loss(network(x).T, targets, reduction="none") * taken
    return (losses.sum(dim=0) / taken.sum(dim=0).clamp_min(1)).sum()


def with_members(module: Copied, members: Sequence[int]) -> Copied:
    """A copy of a module of member layers that has these of its members, in this order; one may come again."""
    copied = copy.deepcopy(module)
    for layer in copied.modules():
        if isinstance(layer, MemberLinear):
            layer.weight = nn.Parameter(layer.weight.detach()[list(members)])
            layer.bias = nn.Parameter(layer.bias.detach()[list(members)])
    return copied


def _silu(x: Tensor) -> Tensor:
    """SiLU, in the place of x where no gradient needs it."""
    return F.silu(x, inplace=not torch.is_grad_enabled())


def _for_members(x: Tensor, layer: MemberLinear) -> Tensor:
    return x.expand(len(layer.weight), *x.shape)


def _positive_scale(values: Tensor) -> Tensor:
    """Standard deviations (s,) of values (n, s); 1 for a column that is constant but for rounding."""
    scale = values.std(dim=0, unbiased=False)
    return torch.where(scale > 1e-9 * (1 + values.abs().amax(dim=0)), scale, torch.ones_like(scale))
