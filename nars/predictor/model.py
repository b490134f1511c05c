"""What a fit learns: a network, a Gaussian process, or a blend weighted by how each predicts records left out."""

import torch
from torch import Tensor, nn

from nars.predictor.network import AccuracyNetwork
from nars.predictor.process import GaussianProcess
from nars.predictor.targets import Targets

PRIOR_RECORDS = 10  # the equal blend and the process's own deviations count as much as so many records (ours)


class AccuracyModel(nn.Module):
    """Targets of encoded points, by `network`, by `process`, or both.

    `share` is the network's part of a blend. `residual` is the root mean square error of left-out records where there
    is no process (of the fitted records, and too small, where a single member leaves none out); `spread` is what the
    process's deviations are multiplied with to agree with those errors.
    """

    def __init__(self, targets: Targets, *, network: AccuracyNetwork | None, process: GaussianProcess | None):
        super().__init__()
        assert network is not None or process is not None
        self.targets = targets
        self.network = network
        self.process = process
        self.register_buffer("share", torch.tensor(0.0 if network is None else 1.0, dtype=torch.float64))
        self.register_buffer("residual", torch.zeros((), dtype=torch.float64))
        self.register_buffer("spread", torch.ones((), dtype=torch.float64))

    def mean(self, x: Tensor, wide: Tensor) -> Tensor:
        """Targets float64 (n,) of features x (n, f) and `wide`, which the process sees (n, f + statistics)."""
        if self.process is None:
            return self.network(x).mean(dim=0).double()
        if self.network is None:
            return self.process(wide)
        return self.share * self.network(x).mean(dim=0).double() + (1 - self.share) * self.process(wide)

    def deviation(self, x: Tensor, wide: Tensor) -> Tensor:
        """Standard deviations float64 (n,) of new measurements of those targets."""
        if self.process is None:
            return (self.network(x).double().var(dim=0, unbiased=False) + self.residual.square()).sqrt()
        return self.spread * self.process.variance(wide).sqrt()

    def draws(self, x: Tensor, wide: Tensor, n: int, *, generator: torch.Generator) -> Tensor:
        """n joint samples float64 (n, rows) of what new measurements would be, were there no noise.

        Of the process, moved to the blend's mean; without a process, of members drawn with replacement.
        """
        if self.process is None:
            members = self.network(x).double()
            return members[torch.randint(len(members), (n,), generator=generator)]
        samples = self.process.draws(wide, n, generator=generator)
        centre = self.process(wide)
        return self.mean(x, wide) + self.spread * (samples - centre)

    def calibrate(self, x: Tensor, y: Tensor, taken: Tensor | None) -> None:
        """Set `share`, `residual` and `spread` from the fitted records, features x (n, f) and targets y (n,); the
        network's members took `taken` (n, members) of them.

        Where none leaves a record out, the network's errors say nothing of new ones, and it gets half of a blend.
        """
        network = left_out(self.network(x), taken) if self.network is not None else None
        if self.process is None:
            self.residual = (y - network).square().mean().sqrt()
            return
        process, variance = self.process.leave_one_out()
        predicted = process
        if network is not None and taken.all():
            self.share = torch.full_like(self.share, 0.5)
        elif network is not None:
            self.share = blend_share(y, network, process)
            predicted = self.share * network + (1 - self.share) * process
        squares = ((y - predicted).square() / variance).sum()
        # Left-out errors flatter the process: its lengths, one per column, were tuned on the same records. Measured
        # in experiments/predictor_pretraining, one record less per column makes up for it (ours).
        tuned = 1 + self.process.points.shape[1] / len(y)
        self.spread = ((squares + PRIOR_RECORDS) / (len(y) + PRIOR_RECORDS) * tuned).sqrt()


def blend_share(y: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The share of `first` (n,) in [0, 1] (scalar) with which the blend of two predictions of y errs least.

    `PRIOR_RECORDS` records of average disagreement speak for one half.
    """
    difference = first - second
    scale = difference.square().mean()
    gain = (difference * (y - second)).sum() + PRIOR_RECORDS * scale / 2
    weight = (len(y) + PRIOR_RECORDS) * scale
    return (gain / weight).clamp(0, 1) if weight > 0 else torch.full_like(weight, 0.5)


def folds(rows: int, members: int, *, generator: torch.Generator) -> Tensor:
    """Whether a member takes a row, float32 (rows, members) of 0 and 1: each row is left out by one of several members.

    A single member, or the only row, leaves nothing out.
    """
    taken = torch.ones(rows, members)
    if members > 1 and rows > 1:
        taken[torch.arange(rows), torch.randperm(rows, generator=generator) % members] = 0
    return taken


def left_out(predicted: Tensor, taken: Tensor) -> Tensor:
    """Each row as predicted (members, n) by the members that left it out; float64 (n,). By all if none did."""
    weights = torch.where(taken.all(dim=1, keepdim=True), torch.ones_like(taken), 1 - taken).T.double()
    return (predicted * weights).sum(dim=0) / weights.sum(dim=0)
