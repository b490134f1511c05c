"""The Gaussian process: textbook identities, and irrelevant columns that it learns to ignore."""

import math

import torch
from torch.distributions import MultivariateNormal, Normal

from nars.predictor.process import GaussianProcess, kernel, noise, tune


def data(rows=60, inputs=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, inputs, generator=g)
    y = torch.sin(6 * x[:, 0].double()) + x[:, 1] + 0.05 * torch.randn(rows, generator=g, dtype=torch.float64)
    return x, (y - y.mean()) / y.std()


def fitted(x, y):
    return GaussianProcess.fitted(x, y, steps=60, generator=torch.Generator().manual_seed(0))


def test_mean_and_variance_are_those_of_the_textbook():
    x, y = data()
    process, new = fitted(x[:40], y[:40]), (x[40:].double() - x[:40].double().mean(0))
    points, h = process.points, process.hyperparameters()
    new = new / x[:40].double().std(0, unbiased=False)
    covariance = kernel(points, points, h) + noise(h) * torch.eye(40, dtype=torch.float64)
    cross = kernel(new, points, h)
    solved = torch.linalg.solve(covariance, cross.T)
    torch.testing.assert_close(process(x[40:]), solved.T @ y[:40], rtol=1e-3, atol=1e-3)
    expected = kernel(new, new, h).diagonal() - (cross * solved.T).sum(dim=1) + noise(h)
    torch.testing.assert_close(process.variance(x[40:]), expected, rtol=1e-4, atol=1e-4)


def test_leave_one_out_is_what_leaving_a_record_out_gives():
    x, y = data(30)
    process = fitted(x, y)
    h, points = process.hyperparameters(), process.points
    mean, variance = process.leave_one_out()
    for i in (0, 13, 29):
        rest = torch.arange(30) != i
        covariance = kernel(points[rest], points[rest], h) + noise(h) * torch.eye(29, dtype=torch.float64)
        cross = kernel(points[i : i + 1], points[rest], h)
        solved = torch.linalg.solve(covariance, cross.T)
        torch.testing.assert_close(mean[i], (solved.T @ y[rest])[0])
        prior = kernel(points[i : i + 1], points[i : i + 1], h)
        torch.testing.assert_close(variance[i], (prior - cross @ solved + noise(h))[0, 0], rtol=1e-4, atol=1e-5)


def test_records_left_out_of_the_tuning_are_predicted_from_all_others():
    """Each as `leave_one_out` says with hyperparameters of one of three tunings, to which two thirds are given."""
    x, y = data(31)
    process = fitted(x, y)
    mean, variance = process.leave_out_and_tune(steps=20, generator=torch.Generator().manual_seed(1))
    order, tuned = torch.randperm(31, generator=torch.Generator().manual_seed(1)), []
    for fold in range(3):
        out = torch.arange(31) % 3 == fold
        h = tune(process.points[order[~out]], y[order[~out]], steps=20)
        for i in order[out].tolist():
            rest = torch.arange(31) != i
            covariance = kernel(process.points[rest], process.points[rest], h)
            covariance += noise(h) * torch.eye(30, dtype=torch.float64)
            cross = kernel(process.points[i : i + 1], process.points[rest], h)
            solved = torch.linalg.solve(covariance, cross.T)
            torch.testing.assert_close(mean[i], (solved.T @ y[rest])[0])
            prior = kernel(process.points[i : i + 1], process.points[i : i + 1], h)
            torch.testing.assert_close(variance[i], (prior - cross @ solved + noise(h))[0, 0], rtol=1e-4, atol=1e-5)
            tuned.append(i)
    assert sorted(tuned) == list(range(31))


def test_records_that_tuned_the_process_flatter_it_and_others_do_not():
    """Noise on a slope of one column of 25: what is left out of the tuning errs as what was never seen."""
    flattered, honest, unseen = [], [], []
    for seed in range(4):
        g = torch.Generator().manual_seed(seed)
        x, noise = torch.rand(440, 25, generator=g), torch.randn(440, generator=g, dtype=torch.float64)
        y = 2 * x[:, 0].double() - 1 + noise / 2
        process = fitted(x[:40], y[:40])
        unseen.append((y[40:] - process(x[40:])).square().mean())
        flattered.append((y[:40] - process.leave_one_out()[0]).square().mean())
        honest.append((y[:40] - process.leave_out_and_tune(steps=60, generator=g)[0]).square().mean())
    unseen, flattered, honest = (torch.stack(errors).mean() for errors in (unseen, flattered, honest))
    assert flattered < 0.9 * unseen
    assert 0.95 * unseen < honest < 1.4 * unseen


def test_a_smooth_function_is_learnt_and_idle_columns_get_long_lengths():
    x, y = data(300)
    process = fitted(x[:100], y[:100])
    assert (process(x[100:]) - y[100:]).square().mean().sqrt() < 0.2
    lengths = process.log_length.exp()
    assert lengths[2:].min() > 2 * lengths[0]


def test_more_records_than_are_tuned_on_still_count():
    x, y = data(600, inputs=3)
    process = fitted(x, y)
    assert process.points.shape == (600, 3)
    assert (process(x) - y).square().mean().sqrt() < 0.1


def test_draws_have_the_mean_and_covariance_of_the_posterior():
    x, y = data()
    process = fitted(x[:40], y[:40])
    draws = process.draws(x[35:45], 20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(draws.mean(dim=0), process(x[35:45]), rtol=0, atol=0.02)
    latent = process.variance(x[35:45]) - noise(process.hyperparameters())
    torch.testing.assert_close(draws.var(dim=0), latent, rtol=0.1, atol=1e-3)
    twins = process.draws(torch.cat([x[50:51], x[50:51]]), 100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(twins[:, 0], twins[:, 1], rtol=0, atol=0.1)
    assert twins[:, 0].std() > 0.05


def by_hand(a, b, h):
    """The covariance of two points, written out: linear plus Matern-5/2 over scaled distances."""
    linear = sum(math.exp(w) * p * q for w, p, q in zip(h["log_linear"].tolist(), a, b, strict=True))
    r = math.sqrt(sum(((p - q) / math.exp(s)) ** 2 for s, p, q in zip(h["log_length"].tolist(), a, b, strict=True)))
    matern = (1 + math.sqrt(5) * r + 5 * r**2 / 3) * math.exp(-math.sqrt(5) * r)
    return linear + math.exp(h["log_variance"]) * matern


def some_hyperparameters(inputs, seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = {"log_length": (inputs,), "log_linear": (inputs,), "log_variance": (), "log_noise": ()}
    return {name: torch.randn(shape, generator=g, dtype=torch.float64) for name, shape in shapes.items()}


def test_the_kernel_is_its_formula():
    x, h = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64), some_hyperparameters(3)
    expected = [[by_hand(a, b, h) for b in x[:2].tolist()] for a in x.tolist()]
    torch.testing.assert_close(kernel(x, x[:2], h), torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)
    assert float(noise(h)) == math.exp(h["log_noise"]) + 1e-4


def test_tuned_hyperparameters_are_the_most_probable():
    """At the end of a long tuning, the density of the records times that of the prior has no slope left."""
    x, y = data(40, inputs=3)
    points = (x - x.mean(dim=0)).double() / x.double().std(dim=0)
    d = 3
    prior = {
        "log_length": Normal(math.log(d) / 2, 1.0),  # Hvarfner et al. 2024: lengths grow with the root of the columns
        "log_linear": Normal(math.log(0.1 / d), 1.5),
        "log_variance": Normal(-0.5, 1.5),
        "log_noise": Normal(-3.0, 2.0),
    }

    def slopes(h):
        h = {name: value.clone().requires_grad_() for name, value in h.items()}
        covariance = kernel(points, points, h) + noise(h) * torch.eye(40, dtype=torch.float64)
        density = MultivariateNormal(torch.zeros(40, dtype=torch.float64), covariance).log_prob(y)
        (density + sum(prior[name].log_prob(value).sum() for name, value in h.items())).backward()
        return torch.cat([value.grad.ravel() for value in h.values()])

    start = {name: torch.full((d,) if name[4:] in ("length", "linear") else (), p.mean) for name, p in prior.items()}
    tuned = tune(points, y, steps=400)
    assert slopes(tuned).abs().max() < 0.05
    assert slopes({name: value.double() for name, value in start.items()}).abs().max() > 1
    torch.testing.assert_close(tune(points, y, steps=1)["log_noise"].item(), -3.0, rtol=0, atol=0.11)  # it starts there


def test_the_search_for_slopes_starts_where_they_are_expected():
    points = torch.randn(30, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slopes = torch.tensor([0.5, 0.01, 0.3], dtype=torch.float64)
    tuned = tune(points, points[:, 0], slopes=slopes, steps=1)
    torch.testing.assert_close(tuned["log_linear"], slopes.log(), rtol=0, atol=0.11)
    tuned = tune(points, points[:, 0], steps=1)
    torch.testing.assert_close(tuned["log_linear"], (slopes * 0 + 0.1 / 3).log(), rtol=0, atol=0.11)
