"""Gaussian process regression: a linear part plus a Matern-5/2 part with a length scale per column."""

import math

import torch
from torch import Tensor, nn

from nars.predictor.phases import one_thread

CHUNK = 1024  # rows at once: their kernel with a few hundred records fits the cache
TUNED_ROWS = 400  # hyperparameters are tuned on at most so many records; the cost grows with the cube
FOLDS = 3  # what says how far predictions err is tuned so often, each time without a fold
NOISE_FLOOR = 1e-4  # variance; keeps the kernel matrix well conditioned, also in single precision
HYPERPARAMETERS = ("log_length", "log_linear", "log_variance", "log_noise")


class GaussianProcess(nn.Module):
    """Posterior given `rows` records of `inputs` columns; targets are expected to have mean 0 and variance 1.

    Hyperparameters are those of greatest marginal likelihood times prior. The prior's length scale grows with the
    root of the number of columns (Hvarfner et al. 2024), which keeps many columns from being many chances to overfit.
    `slopes` is how much variance the linear part of each column is expected to explain (ours).
    """

    def __init__(self, rows: int, inputs: int):
        super().__init__()
        shapes = {
            "centre": (inputs,),
            "spread": (inputs,),
            "points": (rows, inputs),
            "targets": (rows,),
            "coefficients": (rows,),
            "inverse": (rows, rows),
            "log_length": (inputs,),
            "log_linear": (inputs,),
            "log_variance": (),
            "log_noise": (),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    @classmethod
    def fitted(
        cls, x: Tensor, y: Tensor, *, slopes: Tensor | None = None, steps: int, generator: torch.Generator
    ) -> "GaussianProcess":
        """The process tuned to and conditioned on x float (n, f) and targets y float (n,), n >= 1; `slopes` float64
        (f,), None: a tenth shared by all columns."""
        this = cls(*x.shape)
        x, this.targets = x.double(), y.double()
        this.centre = x.mean(dim=0)
        spread = x.std(dim=0, unbiased=False)
        this.spread = torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        this.points = (x - this.centre) / this.spread
        some = torch.randperm(len(x), generator=generator)[:TUNED_ROWS]
        with one_thread():
            tuned = tune(this.points[some], this.targets[some], slopes=slopes, steps=steps)
        for name, value in tuned.items():
            setattr(this, name, value)
        # Row by row, as a file holds it: a sum in another order would differ in its last digits after loading.
        this.inverse = _inverse(this.points, tuned).contiguous()
        this.coefficients = this.inverse @ this.targets
        return this

    def forward(self, x: Tensor) -> Tensor:
        """Posterior mean float64 (n,) of x float32 (n, f), computed in single precision."""
        h = self.hyperparameters()
        # All that does not depend on x comes first: the linear part of the kernel, summed over all records, is one
        # vector, and standardising and dividing by lengths is one step. What is n x records happens in place.
        scale = (-h["log_length"]).exp() * math.sqrt(5)
        slopes = (h["log_linear"].exp() * (self.points.T @ self.coefficients) / scale).float()
        coefficients = (h["log_variance"].exp() * self.coefficients).float()
        points, factor = (self.points * scale).float(), (scale / self.spread).float()
        shift = (-self.centre * scale / self.spread).float()
        parts = []
        for chunk in x.split(CHUNK):
            scaled = torch.addcmul(shift, chunk, factor)
            parts.append(_matern(_squares(scaled, points)) @ coefficients + scaled @ slopes)
        return torch.cat(parts).double()

    def variance(self, x: Tensor) -> Tensor:
        """Variance float64 (n,) of a new measurement at each of x (n, f), its noise included."""
        hyperparameters = self.hyperparameters()
        x = (x.double() - self.centre) / self.spread
        parts = []
        for chunk in x.split(CHUNK):
            prior = hyperparameters["log_variance"].exp() + chunk.square() @ hyperparameters["log_linear"].exp()
            cross = kernel(chunk, self.points, hyperparameters)
            parts.append(prior - ((cross @ self.inverse) * cross).sum(dim=1))
        return torch.cat(parts).clamp_min(0) + noise(hyperparameters)

    def draws(self, x: Tensor, n: int, *, generator: torch.Generator) -> Tensor:
        """n joint samples float64 (n, rows) of the function itself, without noise, at x (rows, f)."""
        hyperparameters = self.hyperparameters()
        x = (x.double() - self.centre) / self.spread
        cross = kernel(x, self.points, hyperparameters)
        covariance = kernel(x, x, hyperparameters) - (cross @ self.inverse) @ cross.T
        covariance.diagonal().add_(NOISE_FLOOR)
        factor = torch.linalg.cholesky(covariance)
        normal = torch.randn(len(x), n, dtype=torch.float64, generator=generator)
        return (cross @ self.coefficients)[None] + (factor @ normal).T

    def leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Means and variances (n,) of each record predicted from all others (Rasmussen and Williams, eq. 5.12)."""
        variance = 1 / self.inverse.diagonal()
        return self.targets - self.coefficients * variance, variance

    def leave_out_and_tune(
        self, *, slopes: Tensor | None = None, steps: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The same (n,), each record with hyperparameters that were tuned without it, and without the rest of its fold.

        What all records have tuned flatters itself: with a length for each column it may know 48 of them by heart
        (ours).
        """
        means, variances = torch.empty_like(self.targets), torch.empty_like(self.targets)
        order = torch.randperm(len(self.points), generator=generator)
        for fold in range(min(FOLDS, len(order))):
            out = torch.arange(len(order)) % FOLDS == fold
            some, held = order[~out][:TUNED_ROWS], order[out]
            with one_thread():
                tuned = tune(self.points[some], self.targets[some], slopes=slopes, steps=steps)
            inverse = _inverse(self.points, tuned)
            variance = 1 / inverse.diagonal()
            means[held] = (self.targets - (inverse @ self.targets) * variance)[held]
            variances[held] = variance[held]
        return means, variances

    def hyperparameters(self) -> dict[str, Tensor]:
        """The logarithms that `kernel` takes."""
        return {name: getattr(self, name) for name in HYPERPARAMETERS}


def kernel(a: Tensor, b: Tensor, hyperparameters: dict[str, Tensor]) -> Tensor:
    """Covariance (n, m) of points a (n, f) and b (m, f): linear plus Matern-5/2."""
    scale = (-hyperparameters["log_length"]).exp()
    root5 = (5 * _squares(a * scale, b * scale)).clamp_min(1e-12).sqrt()
    matern = (1 + root5 + root5.square() / 3) * torch.exp(-root5)
    return torch.addmm(matern * hyperparameters["log_variance"].exp(), a * hyperparameters["log_linear"].exp(), b.T)


def _inverse(points: Tensor, hyperparameters: dict[str, Tensor]) -> Tensor:
    """The inverse (n, n) of the covariance of measurements at points (n, f)."""
    covariance = kernel(points, points, hyperparameters)
    covariance.diagonal().add_(noise(hyperparameters))
    return torch.cholesky_inverse(torch.linalg.cholesky(covariance))


def _squares(p: Tensor, q: Tensor) -> Tensor:
    """Squared distances (n, m) of p (n, f) and q (m, f); rounding may leave some below 0."""
    return torch.addmm(q.square().sum(dim=1), p, q.T, alpha=-2).add_(p.square().sum(dim=1, keepdim=True))


def _matern(squares: Tensor) -> Tensor:
    """Matern-5/2 of five times the squared distances, in their place."""
    root5 = squares.clamp_min_(1e-12).sqrt()
    return squares.div_(3).add_(root5).add_(1).mul_(root5.neg_().exp_())


def noise(hyperparameters: dict[str, Tensor]) -> Tensor:
    """Variance of the noise (scalar)."""
    return hyperparameters["log_noise"].exp() + NOISE_FLOOR


def tune(points: Tensor, targets: Tensor, *, slopes: Tensor | None = None, steps: int) -> dict[str, Tensor]:
    """Hyperparameters of greatest posterior density for standardised points (n, f) and targets (n,), by Adam."""
    prior = _prior(points.shape[1], slopes)
    hyperparameters = {name: centre.clone().requires_grad_() for name, (centre, _) in prior.items()}
    optimizer = torch.optim.Adam(hyperparameters.values(), lr=0.1, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=5e-3)
    for _ in range(steps):
        covariance = kernel(points, points, hyperparameters)
        covariance = covariance + noise(hyperparameters) * torch.eye(len(points), dtype=points.dtype)
        penalty = sum((((hyperparameters[n] - c) / s) ** 2).sum() / 2 for n, (c, s) in prior.items())
        # The gradient of -log p(targets) is tr(G dK) (Rasmussen and Williams, eq. 5.9): no backward pass through
        # the factorisation, which would double the cost.
        with torch.no_grad():
            inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
            coefficients = inverse @ targets
            gradient = (inverse - torch.outer(coefficients, coefficients)) / 2
        optimizer.zero_grad()
        ((gradient * covariance).sum() + penalty).backward()
        optimizer.step()
        schedule.step()
    return {name: value.detach() for name, value in hyperparameters.items()}


def _prior(inputs: int, slopes: Tensor | None) -> dict[str, tuple[Tensor, float]]:
    """Centre and standard deviation of the normal prior of each hyperparameter (a logarithm); ours."""
    inputs = max(inputs, 1)
    columns = torch.ones(inputs, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    return {
        "log_length": (columns * math.log(inputs) / 2, 1.0),
        "log_linear": (columns * math.log(0.1 / inputs) if slopes is None else slopes.log(), 1.5),
        "log_variance": (one * -0.5, 1.5),
        "log_noise": (one * -3.0, 2.0),
    }
