"""What a fit learns: a network, a Gaussian process, or a blend weighted by how each predicts records left out; of one
kind of targets, or of both."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from nars.predictor.network import AccuracyNetwork
from nars.predictor.process import GaussianProcess
from nars.predictor.targets import Targets

PRIOR_RECORDS = 40  # the equal blend of network and process counts as much as so many records (ours)
PRIOR_OF_KINDS = 10  # and so do that of both kinds of targets and deviations as the process gives them
HELD = 0.75  # of the errors on records left out are what deviations are made to hold (ours)
LEAST_ERROR = 0.05  # deviations; of smaller errors no logarithm says anything (ours)
WIDEST = math.e  # times as wide as in the middle deviations may be at the ends (ours)
LEAST_SHARE = 0.2  # what would have less is left out: half of the parts, for 0.001 of Kendall tau (ours)


class AccuracyModel(nn.Module):
    """Targets of encoded points, by `network`, by `process`, or both.

    `share` is the network's part of a blend. `residual` is the root mean square error of left-out records where there
    is no process (of the fitted records, and too small, where none is left out); `spread` is what the process's
    deviations are multiplied with to agree with its errors on records left out, and `growth` how they grow towards the
    ends of the targets, where normal scores stretch what lies close together: see `growth_of`. `reach` is what `spread`
    is, for searches: one number, and mostly wider; with `spread` in its place they found no better answers, and mostly
    worse (ours, `experiments/default_answers`).
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
        self.register_buffer("growth", torch.zeros((), dtype=torch.float64))
        self.register_buffer("reach", torch.ones((), dtype=torch.float64))

    @property
    def has_process(self) -> bool:
        """Whether predictions need what the process sees."""
        return self.process is not None

    def mean(self, x: Tensor, wide: Tensor) -> Tensor:
        """Targets float64 (n,) of features x (n, f) and `wide`, which the process sees (n, f + statistics)."""
        if self.share == 1:
            return self.network(x).mean(dim=0).double()
        if self.share == 0:
            return self.process(wide)
        return self.share * self.network(x).mean(dim=0).double() + (1 - self.share) * self.process(wide)

    def deviation(self, mean: Tensor, x: Tensor, wide: Tensor, *, exploring: bool = False) -> Tensor:
        """Standard deviations float64 (n,) of new measurements at x and `wide`, as `mean` takes them, where targets
        `mean` float64 (n,) are expected, which a network alone does not look at; `exploring`: as wide as draws are."""
        if self.process is None:
            return (self.network(x).double().var(dim=0, unbiased=False) + self.residual.square()).sqrt()
        factor = self.reach if exploring else self.spread * grown(self.growth, mean)
        return factor * self.process.variance(wide).sqrt()

    def draws(self, x: Tensor, wide: Tensor, n: int, *, generator: torch.Generator) -> Tensor:
        """n joint samples float64 (n, rows) of what new measurements would be, were there no noise.

        Of the process, moved to the blend's mean; without a process, of members drawn with replacement.
        """
        if self.process is None:
            members = self.network(x).double()
            return members[torch.randint(len(members), (n,), generator=generator)]
        samples = self.process.draws(wide, n, generator=generator)
        centre = self.process(wide)
        return self.mean(x, wide) + self.reach * (samples - centre)

    def calibrate(self, y: Tensor, network: Tensor | None) -> Tensor:
        """Set `share`, `residual` and `reach` from the fitted targets y (n,) and what the network's members said of
        records that they had left out (n,); what the model would have said of each (n,).
        """
        if self.process is None:
            self.residual = (y - network).square().mean().sqrt()
            return network
        process, variance = self.process.leave_one_out()
        # Left-out errors flatter the process: its lengths, one per column, were tuned on the same records. One record
        # less per column, down to half of them, makes up for it in its reach, half of that in its share (ours).
        tuned = min(1.0, self.process.points.shape[1] / len(y))
        predicted = process
        if network is not None:
            self.share = settled(blend_share(y, network, process, prior=PRIOR_RECORDS, flattery=tuned / 2))
            predicted = self.share * network + (1 - self.share) * process
        squares = ((y - predicted).square() / variance).sum()
        self.reach = ((squares + PRIOR_OF_KINDS) / (len(y) + PRIOR_OF_KINDS) * (1 + tuned)).sqrt()
        return predicted

    def scale(self, y: Tensor, network: Tensor | None, process: Tensor, variance: Tensor) -> None:
        """Set `growth` and `spread` from the fitted targets y (n,) and what was said of records left out: by the
        network's members (n,), and by the process, tuned without them, means and variances (n,):
        `GaussianProcess.leave_out_and_tune`.
        """
        predicted = process if network is None else self.share * network + (1 - self.share) * process
        errors = (y - predicted) / variance.sqrt()
        self.growth = growth_of(errors, predicted)
        self.spread = spread_of(errors / grown(self.growth, predicted))


class BothKinds(nn.Module):
    """Models of `standardised` targets and of `normal_scores`, blended as normal scores: which suits depends on how far
    accuracies trail off (ours). Deviations and draws are those of the normal scores, about the blend's mean.
    """

    def __init__(self, standardised: AccuracyModel, normal_scores: AccuracyModel):
        super().__init__()
        self.standardised = standardised
        self.normal_scores = normal_scores
        self.register_buffer("share", torch.tensor(0.5, dtype=torch.float64))

    @property
    def targets(self) -> Targets:
        """What `mean`, `deviation` and `draws` are given in."""
        return self.normal_scores.targets

    @property
    def has_process(self) -> bool:
        """See `AccuracyModel`."""
        return self.normal_scores.has_process

    def mean(self, x: Tensor, wide: Tensor) -> Tensor:
        """See `AccuracyModel.mean`."""
        if self.share == 0:
            return self.normal_scores.mean(x, wide)
        standardised = self._as_normal_scores(self.standardised.mean(x, wide))
        if self.share == 1:
            return standardised
        return self.share * standardised + (1 - self.share) * self.normal_scores.mean(x, wide)

    def deviation(self, mean: Tensor, x: Tensor, wide: Tensor, *, exploring: bool = False) -> Tensor:
        """See `AccuracyModel.deviation`."""
        return self.normal_scores.deviation(mean, x, wide, exploring=exploring)

    def draws(self, x: Tensor, wide: Tensor, n: int, *, generator: torch.Generator) -> Tensor:
        """See `AccuracyModel.draws`."""
        moved = self.mean(x, wide) - self.normal_scores.mean(x, wide)
        return self.normal_scores.draws(x, wide, n, generator=generator) + moved

    def calibrate(self, accuracies: np.ndarray, standardised: Tensor | None, normal_scores: Tensor | None) -> None:
        """Calibrate both models (see `AccuracyModel.calibrate`) and set `share`, the standardised one's part."""
        y = [torch.as_tensor(model.targets.of_accuracies(accuracies)) for model in self.children()]
        first = self.standardised.calibrate(y[0], standardised)
        second = self.normal_scores.calibrate(y[1], normal_scores)
        self.share = settled(blend_share(y[1], self._as_normal_scores(first), second, prior=PRIOR_OF_KINDS))

    def _as_normal_scores(self, standardised: Tensor) -> Tensor:
        accuracies = self.standardised.targets.to_accuracies(standardised.numpy())
        return torch.as_tensor(self.normal_scores.targets.of_accuracies(accuracies))


def with_later_parts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a model; in files of before draws had a `reach` of their own it is their `spread`, and in those of
    before deviations had a `growth` that is 0."""
    own = [name for name in state if name.endswith("spread") and not name.endswith("process.spread")]
    reach = {name.removesuffix("spread") + "reach": state[name] for name in own}
    growth = {name.removesuffix("spread") + "growth": torch.zeros_like(state[name]) for name in own}
    return reach | growth | state


def blend_share(y: Tensor, first: Tensor, second: Tensor, *, prior: float, flattery: float = 0.0) -> Tensor:
    """The share of `first` (n,) in [0, 1] (scalar) with which the blend of two predictions of y errs least.

    `prior` records of average disagreement speak for one half. `flattery` is the part of its squared errors by which
    those of `second` are too small.
    """
    difference = first - second
    scale = difference.square().mean()
    hidden = flattery * (y - second).square().sum()
    gain = (difference * (y - second)).sum() + hidden + prior * scale / 2
    weight = (len(y) + prior) * scale + hidden
    return (gain / weight).clamp(0, 1) if weight > 0 else torch.full_like(weight, 0.5)


def spread_of(errors: Tensor) -> Tensor:
    """What deviations are multiplied with (scalar) to hold `HELD` of errors (n,), given in deviations, as they would
    hold normal ones.

    A mean of squares would be that of the few errors that are far off, and too wide for all others (ours). Beside
    them `PRIOR_OF_KINDS` errors count that are as expected.
    """
    middles = (torch.arange(PRIOR_OF_KINDS, dtype=torch.float64) + 0.5) / PRIOR_OF_KINDS
    *expected, held = torch.special.ndtri((1 + torch.cat([middles, torch.tensor([HELD]).double()])) / 2)
    return torch.cat([errors.abs(), torch.stack(expected)]).quantile(HELD) / held


def growth_of(errors: Tensor, predicted: Tensor) -> Tensor:
    """How the logarithm of the size of errors (n,), given in deviations, grows with the square of the predicted target
    (n,) (scalar): the slope of ridge regression, as if `PRIOR_OF_KINDS` more records, of squares one from the mean, had
    errors that do not grow.

    Never less than 0, so a little too great where errors do not grow: a search shows the best predicted of thousands
    of candidates, of which some are there by error, so their deviations must not be narrower (ours).
    """
    sizes, squares = errors.abs().clamp_min(LEAST_ERROR).log(), predicted.square()
    squares = squares - squares.mean()
    return ((squares * sizes).sum() / (squares.square().sum() + PRIOR_OF_KINDS)).clamp_min(0)


def grown(growth: Tensor, predicted: Tensor) -> Tensor:
    """How much wider deviations are at predicted targets (n,) than in the middle, where targets are 0."""
    return (growth * predicted.square()).exp().clamp_max(WIDEST)


def settled(share: Tensor) -> Tensor:
    """A share in [0, 1] (scalar), or the nearest end where one of two parts would have less than `LEAST_SHARE`."""
    return torch.where((share - 0.5).abs() > 0.5 - LEAST_SHARE, share.round(), share)


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
