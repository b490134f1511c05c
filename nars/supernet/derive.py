"""From a trained supernet to architectures: the most probable one and drawn ones, ranked inside the supernet."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import nn

from nars.costs.extremes import least
from nars.costs.pricing import Pricing
from nars.costs.statistics import part_tables
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.contract import Supernet, one_hot
from nars.supernet.loop import Work

TRIES = 100_000  # architectures that are drawn at most
STEPS = 40  # of the weight of costs, between 2^-20 and 2^20
CALIBRATION_IMAGES = 512


def derived_points(
    probabilities: Mapping[str, np.ndarray],
    space: ArchitectureSpace,
    feasible: Callable[[np.ndarray], np.ndarray],
    limits: Mapping[str, float],
    n: int,
    *,
    pricing: Pricing,
    seed: int,
) -> np.ndarray:
    """Distinct points int16 (k, d) that keep the limits, k <= n + 1, by falling probability but the first: the most
    probable architecture, or, where it does not keep them, one of the most probable that does, then `n` drawn ones.

    `limits` are the upper ones of costs, by name. None are returned if neither that nor `TRIES` draws keep them.
    """
    rows = [np.asarray(probabilities[d.name], dtype=np.float64) for d in space.dimensions]
    argmax = np.array([row.argmax() for row in rows], dtype=np.int16)[None]
    first = argmax if feasible(argmax)[0] else _most_probable(rows, space, feasible, limits, pricing)
    rng = np.random.default_rng(seed)
    drawn = np.stack([rng.choice(len(row), size=TRIES, p=row / row.sum()) for row in rows], axis=1).astype(np.int16)
    drawn = drawn[np.sort(np.unique(drawn, axis=0, return_index=True)[1])]
    drawn = drawn[feasible(drawn)]
    drawn = drawn[~(drawn[:, None] == first[None]).all(axis=2).any(axis=1)][:n]
    chance = sum(np.log(row)[drawn[:, i]] for i, row in enumerate(rows))
    return np.concatenate([first, drawn[np.argsort(-chance, kind="stable")]])


def _most_probable(
    rows: list[np.ndarray],
    space: ArchitectureSpace,
    feasible: Callable[[np.ndarray], np.ndarray],
    limits: Mapping[str, float],
    pricing: Pricing,
) -> np.ndarray:
    """A point (1, d) that keeps the limits and is the most probable of all that are as cheap, in sums of costs by their
    limits; (0, d) if none is found. Exact by variable elimination for each weight of the costs."""
    names = tuple(limits)
    tables = part_tables(space, names, pricing) if names else None
    shares = 1 / np.array([limits[name] for name in names])
    unlikely = [((i,), -np.log(np.maximum(row, 1e-30))) for i, row in enumerate(rows)]
    for weight in 2.0 ** np.linspace(-20, 20, STEPS) if tables else ():
        costs = [(t.dimensions, weight * np.tensordot(shares, t.values, axes=1)) for t in tables]
        point = least([*unlikely, *costs], len(space))
        if point is None:
            break
        if feasible(point[None])[0]:
            return point[None]
    return np.empty((0, len(space)), dtype=np.int16)


def accuracies_inside(supernet: Supernet, work: Work, points: Iterable[np.ndarray]) -> np.ndarray:
    """Accuracies float64 (n,) of the architectures of points (n, d) with the supernet's weights, on theta's images, not
    augmented; batch norm's statistics are taken anew for each, on images of the weights."""
    batch = min(max(work.settings.batch_size, 128), CALIBRATION_IMAGES)
    calibration, images = work.loaders(augmentation="none", batch_size=batch)
    normalise = work.data.normalise().to(work.device)
    found = []
    supernet.to(work.device)
    for point in points:
        mixture = {name: m.to(work.device) for name, m in one_hot(supernet.space, point).items()}
        with torch.no_grad(), work.autocast():
            _recalibrate(supernet, work, mixture, calibration, normalise)
            found.append(_accuracy(supernet, work, mixture, images, normalise))
    if work.device.type == "cuda":  # whose memory the networks found are trained in next
        supernet.to("cpu")
        torch.cuda.empty_cache()
    return np.array(found, dtype=np.float64)


def _recalibrate(supernet: Supernet, work: Work, mixture, loader, normalise: nn.Module) -> None:
    norms = [module for module in supernet.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
    supernet.train()
    seen = 0
    for part in loader:
        images, _ = work.on_device(part, normalise)
        supernet(images, mixture)
        seen += len(images)
        if seen >= CALIBRATION_IMAGES:
            break
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _accuracy(supernet: Supernet, work: Work, mixture, loader, normalise: nn.Module) -> float:
    supernet.eval()
    right = seen = 0
    for part in loader:
        images, labels = work.on_device(part, normalise)
        right += int((supernet(images, mixture).argmax(dim=1) == labels).sum())
        seen += len(labels)
    return right / seen
