"""The search inside a supernet: weights and theta take turns, each on its own part of the training images.

All that is random in an epoch follows from (seed, epoch), and the whole state is written after every epoch, so a search
that was killed goes on to the same result, to the bit on a CPU.
"""

import io
import math
import pickle
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.data import ImageData
from nars.errors import UserError
from nars.files import write_whole
from nars.settings import DifferentiableSettings
from nars.supernet.contract import MixtureCosts, Supernet
from nars.supernet.losses import Objective
from nars.supernet.sampling import entropy_of, probabilities_of, sampled_mixtures, temperature_at
from nars.supernet.splits import part_loader, split

SCHEMA = 1  # of the state: a change of what it holds makes older files unusable
UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """An epoch of the search: `temperature` of its mixtures, mean `loss` of the weights and cross-entropy `theta_loss`
    of theta's images, with their `accuracy` (both None while theta waits); after it the `expected` costs of the
    architectures that theta draws and those of the most probable one (`argmax`), by name, the `entropy` and the mean
    probability `decided` of the most probable choices, and the `probabilities` of all, by dimension."""

    temperature: float
    loss: float
    theta_loss: float | None
    accuracy: float | None
    expected: Mapping[str, float]
    argmax: Mapping[str, float]
    entropy: float
    decided: float
    probabilities: Mapping[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Course:
    """The `epochs` so far and the `seconds` that they took."""

    epochs: tuple[Epoch, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a supernet is trained on and how: images at `side` pixels, costs (`expected`, `pricing`), the `objective`
    of theta, `seed`, `device`, `precision`, and how images are loaded."""

    data: ImageData
    settings: DifferentiableSettings
    side: int
    augmentation: str
    expected: MixtureCosts
    pricing: Pricing
    objective: Objective
    seed: int
    device: torch.device
    precision: str
    loader_workers: int

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the training images of the weights and of theta."""
        return split(self.data, self.settings.weights_share, seed=self.seed)

    def loaders(self, *, augmentation: str, batch_size: int):
        """Batches of both parts, shuffled by seed and epoch."""
        dataset = self.data.train_set(image_size=self.side, augmentation=augmentation)
        shared = {"batch_size": batch_size, "workers": self.loader_workers, "pinned": self.device.type == "cuda"}
        return tuple(part_loader(dataset, part, seed=self.seed + i, **shared) for i, part in enumerate(self.parts()))

    def on_device(self, batch, normalise: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        """A loader's batch as the network's inputs and labels."""
        images, labels = (part.to(self.device, non_blocking=True) for part in batch)
        return normalise(images).contiguous(memory_format=torch.channels_last), labels

    def autocast(self):
        """A context in which the supernet computes in `precision`."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.precision == "bf16-mixed" else nullcontext()


def train_supernet(
    supernet: Supernet,
    work: Work,
    file: Path,
    *,
    key: str,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    on_epoch: Callable[[Course], None] = lambda course: None,
) -> Course:
    """Train weights and theta of `supernet`, in place, for all epochs of the settings; returns how it went.

    The state is written to `file` after every epoch, and a state of the same `key` that lies there is gone on from.
    `on_step` is told how many steps are done and how many there are, `on_epoch` the course so far. UserError if a loss
    is not finite.
    """
    supernet.to(device=work.device, memory_format=torch.channels_last)
    steps = _Steps(supernet, work)
    course = _restored(file, key, supernet, steps) or Course(epochs=(), seconds=0.0)
    started = time.monotonic() - course.seconds
    for number in range(len(course.epochs), work.settings.epochs):
        epoch = _epoch(supernet, work, steps, number, on_step)
        course = Course(epochs=(*course.epochs, epoch), seconds=time.monotonic() - started)
        _write(file, key, supernet, steps, course)
        on_epoch(course)
    return course


def load_course(file: Path, key: str) -> Course | None:
    """How far the search of `key` came whose state lies in `file`; None if there is none that can be used."""
    state = _read(file, key)
    return None if state is None else _course(state)


def steps_left(work: Work, known: int) -> int:
    """How many steps the search takes after its first `known` epochs."""
    turns = [len(loader) for loader in work.loaders(augmentation="none", batch_size=work.settings.batch_size)]
    return _steps_before(work.settings.epochs, turns, work.settings) - _steps_before(known, turns, work.settings)


class _Steps:
    """Both optimizers, and the loaders of both parts."""

    def __init__(self, supernet: Supernet, work: Work):
        s = work.settings
        weights = {"lr": s.weights.lr, "momentum": s.weights.momentum, "weight_decay": s.weights.weight_decay}
        self.weights = torch.optim.SGD(supernet.weight_parameters(), **weights)
        self.theta = torch.optim.Adam(supernet.theta.parameters(), lr=s.theta.lr, weight_decay=s.theta.weight_decay)
        self.loaders = work.loaders(augmentation=work.augmentation, batch_size=s.batch_size)
        self.normalise = work.data.normalise().to(work.device)

    @property
    def optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        return self.weights, self.theta


def _epoch(supernet: Supernet, work: Work, steps: _Steps, number: int, on_step: Callable[[int, int], None]) -> Epoch:
    s = work.settings
    generator = torch.Generator().manual_seed(work.seed * 100_003 + number)
    temperature = temperature_at(number, s.temperature)
    most = [len(loader) for loader in steps.loaders]
    turns = [most[0], most[1] if number >= s.theta.after else 0]
    before, total = (_steps_before(n, most, s) for n in (number, s.epochs))
    sums = torch.zeros(4, dtype=torch.float64)  # loss of weights; cross-entropy, right and seen of theta
    supernet.train()
    for done, (of_theta, batch) in enumerate(_turns(steps.loaders, turns, number), start=1):
        images, labels = work.on_device(batch, steps.normalise)
        mixture = sampled_mixtures(supernet.theta, temperature, generator, paths=s.paths)
        if of_theta:
            sums[1:] += _theta_step(supernet, work, steps, mixture, images, labels)
        else:
            _set_lr(steps.weights, s.weights.lr, number, done / sum(turns), s.epochs)
            sums[0] += _weight_step(supernet, work, steps, mixture, images, labels)
        on_step(before + done, total)
    if not torch.isfinite(sums).all():
        raise UserError(
            f"epoch {number + 1} of the supernet: its loss is not finite; lower method.weights.lr, or try another seed"
        )
    return _measured(supernet, work, sums.tolist(), turns, temperature)


def _steps_before(number: int, turns: list[int], s: DifferentiableSettings) -> int:
    """How many steps the epochs before `number` take, of `turns` of the weights and of theta in each."""
    return number * turns[0] + max(0, number - s.theta.after) * turns[1]


def _turns(loaders, turns: list[int], epoch: int) -> Iterator[tuple[bool, tuple]]:
    """Batches of an epoch: those of theta spread evenly between those of the weights. Whether it is theta's, batch."""
    for loader in loaders:
        loader.sampler.set_epoch(epoch)
    batches = [iter(loader) if n else iter(()) for loader, n in zip(loaders, turns, strict=True)]
    given = 0
    for i in range(1, turns[0] + 1):
        yield False, next(batches[0])
        while given < i * turns[1] // turns[0]:
            yield True, next(batches[1])
            given += 1


def _set_lr(optimizer: torch.optim.Optimizer, lr: float, epoch: int, share: float, epochs: int) -> None:
    """The cosine from `lr` to 0 over all epochs."""
    for group in optimizer.param_groups:
        group["lr"] = lr * 0.5 * (1 + math.cos(math.pi * (epoch + share) / epochs))


def _weight_step(supernet, work: Work, steps: _Steps, mixture, images, labels) -> float:
    with work.autocast():
        scores = supernet(images, {name: m.detach() for name, m in mixture.items()})
    loss = functional.cross_entropy(scores.float(), labels)
    steps.weights.zero_grad()
    loss.backward()
    steps.weights.step()
    return float(loss.detach())


def _theta_step(supernet, work: Work, steps: _Steps, mixture, images, labels) -> torch.Tensor:
    """Cross-entropy, images right, images seen. The cost is that of the mixture (paper): with that of the architectures
    which theta draws, exact and without noise, theta stays undecided between choices that are as good and costs that
    are right on average, and its most probable architecture is far from the limit."""
    for parameter in supernet.weight_parameters():
        parameter.requires_grad_(False)  # their gradients are a third of the work
    try:
        with work.autocast():
            scores = supernet(images, mixture)
        cross_entropy = functional.cross_entropy(scores.float(), labels)
        loss = work.objective(cross_entropy, work.expected(mixture))
        steps.theta.zero_grad()
        loss.backward()
        steps.theta.step()
    finally:
        for parameter in supernet.weight_parameters():
            parameter.requires_grad_(True)
    right = (scores.argmax(dim=1) == labels).sum()
    return torch.tensor([float(cross_entropy.detach()), float(right), len(labels)], dtype=torch.float64)


def _measured(supernet: Supernet, work: Work, sums: list[float], turns: list[int], temperature: float) -> Epoch:
    names = work.expected.names
    with torch.no_grad():
        probabilities = {name: p.cpu() for name, p in probabilities_of(supernet.theta).items()}
        expected = work.expected(probabilities).tolist()
    best = argmax_point(supernet)
    argmax = costs(supernet.space, best[None], names, work.pricing)[0].tolist()
    return Epoch(
        temperature=temperature,
        loss=sums[0] / turns[0],
        theta_loss=sums[1] / turns[1] if turns[1] else None,
        accuracy=sums[2] / sums[3] if turns[1] else None,
        expected=dict(zip(names, expected, strict=True)),
        argmax=dict(zip(names, argmax, strict=True)),
        entropy=entropy_of(probabilities),
        decided=float(np.mean([float(p.max()) for p in probabilities.values()])),
        probabilities={name: [round(value, 5) for value in p.tolist()] for name, p in probabilities.items()},
    )


def argmax_point(supernet: Supernet) -> np.ndarray:
    """The point int16 (d,) of the most probable choice in every dimension."""
    theta = supernet.theta
    return np.array([int(theta[d.name].argmax()) for d in supernet.space.dimensions], dtype=np.int16)


def _write(file: Path, key: str, supernet: Supernet, steps: _Steps, course: Course) -> None:
    state = {
        "schema": SCHEMA,
        "key": key,
        "seconds": course.seconds,
        "epochs": [vars(epoch) for epoch in course.epochs],
        "supernet": supernet.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in steps.optimizers],
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(file, buffer.getvalue())


def _restored(file: Path, key: str, supernet: Supernet, steps: _Steps) -> Course | None:
    state = _read(file, key)
    if state is None:
        return None
    supernet.load_state_dict(state["supernet"])
    for optimizer, values in zip(steps.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    return _course(state)


def _course(state: Mapping) -> Course:
    return Course(epochs=tuple(Epoch(**values) for values in state["epochs"]), seconds=state["seconds"])


def _read(file: Path, key: str) -> dict | None:
    """The state of `key`; None, so that the search begins anew, if there is none, or a damaged or other one."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        return state if (state["schema"], state["key"]) == (SCHEMA, key) else None
    except UNREADABLE:
        return None
