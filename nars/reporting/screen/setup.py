"""What a script was told, in a few lines before it begins."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console

from nars.costs.constraint import Constraint
from nars.reporting.facts.describe import counted
from nars.search.strategies import random_start
from nars.settings import (
    ConfirmSettings,
    DataSettings,
    DetectionDataSettings,
    DetectSettings,
    DifferentiableSettings,
    ExecutorSettings,
    FixedSpaceSettings,
    ScheduleSettings,
    SearchSettings,
    StartSettings,
    StrategySettings,
    TrainerSettings,
    TrainSettings,
)


class Counted(Protocol):
    """Images, as `nars.data.ImageData` counts them."""

    train_size: int
    val_size: int
    num_classes: int


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which images, and how many."""

    name: str
    train: int
    val: int
    classes: int

    @classmethod
    def of(cls, data: Counted, settings: DataSettings | DetectionDataSettings) -> "Images":
        """The images that settings name."""
        where = getattr(settings, "root", None)
        name = settings.name if where is None else f"{settings.name} {where}"
        return cls(name=name, train=data.train_size, val=data.val_size, classes=data.num_classes)


def print_search_setup(
    console: Console,
    settings: SearchSettings,
    images: Images,
    *,
    sides: Collection[int],
    num_classes: int,
    latency: str,
) -> None:
    """What `search.py` will do; `sides` are those of its images in pixels, `num_classes` are counted in costs; whose
    `latency` is one, if any."""
    in_supernet = isinstance(settings.method, DifferentiableSettings)
    way = {"method": _supernet(settings.method)} if in_supernet else {"strategy": _strategy(settings.strategy)}
    _print(
        console,
        {
            "data": _data(images),
            "space": f"{_architectures(settings)}, {'one recipe' if in_supernet else _candidates(settings)}",
            "costs": _classes(num_classes, images) + (f"; latency of {latency}" if latency else ""),
            "protocol": _protocol(settings.protocol, images, sides),
            **_start(settings.start),
            **way,
            "confirm": _confirm(settings.confirm, settings.reference, rounds=not in_supernet),
            "devices": f"{_executor(settings.executor)}, {_trainer(settings.trainer)}",
            "study": f"{settings.runs_dir}/{settings.study}",
        },
    )


def _architectures(settings: SearchSettings) -> str:
    space = settings.search_space
    return f"{space.candidate} alone" if isinstance(space, FixedSpaceSettings) else space.name


def _candidates(settings: SearchSettings) -> str:
    """Which recipes there are, and which pairs are trained."""
    window = Constraint.of(settings.strategy.window)
    trained = f"candidates with {window.label} are trained" if settings.strategy.window.limited else "all of it"
    return f"recipes of {settings.recipe_space.name}; {trained}"


def print_training_setup(console: Console, settings: TrainSettings, images: Images, *, side: int) -> None:
    """What `train.py` will do; `side` is that of its images in pixels."""
    devices = f"{settings.trainer.devices} devices, " if settings.trainer.devices > 1 else ""
    _print(
        console,
        {
            "data": _data(images),
            "protocol": _protocol(settings.protocol, images, {side}),
            **_start(settings.start),
            "devices": f"{devices}{_trainer(settings.trainer)}",
            "study": f"{settings.runs_dir}/{settings.study}",
        },
    )


def print_detection_setup(console: Console, settings: DetectSettings, images: Images, *, costs: str) -> None:
    """What `detect.py` will do; `costs` are those of the whole detector, in words."""
    protocol, devices = settings.detection_protocol, settings.trainer.devices
    _print(
        console,
        {
            "data": _data(images),
            "detector": f"{settings.detector.name} on {settings.candidate}: {costs}",
            "protocol": _protocol(protocol, images, {protocol.image_size}),
            "devices": f"{f'{devices} devices, ' if devices > 1 else ''}{_trainer(settings.trainer)}",
            "study": f"{settings.runs_dir}/{settings.study}",
        },
    )


def _print(console: Console, lines: Mapping[str, str]) -> None:
    width = max(map(len, lines))
    for name, words in lines.items():
        console.print(f"{name:<{width}}  {words}", soft_wrap=True, highlight=False)


def _data(images: Images) -> str:
    return f"{images.name}: {images.train:,} images to train on, {images.val:,} to validate, {images.classes} classes"


def _classes(num_classes: int, images: Images) -> str:
    if num_classes == images.classes:
        return f"a classifier of {num_classes:,} classes is counted, as the data has"
    return (
        f"a classifier of {num_classes:,} classes is counted, to compare with published networks; the data has "
        f"{images.classes:,} (constraint.num_classes)"
    )


def _protocol(protocol: ScheduleSettings, images: Images, sides: Collection[int]) -> str:
    steps = protocol.steps_per_epoch
    used = min(images.train, protocol.batch_size * steps) if steps else images.train
    pixels = f"{min(sides)} px" if len(sides) == 1 else f"{min(sides)} to {max(sides)} px"
    return f"{protocol.epochs} epochs of {used:,} images at {pixels}, batches of {protocol.batch_size}"


def _start(start: StartSettings) -> dict[str, str]:
    """What is begun with; nothing of trainings that begin with nothing."""
    if start.weights is None:
        return {}
    taken = {"exact": "of the same network", "matching": "as far as they fit", "sliced": "as slices"}[start.inherit]
    words = [f"{start.weights}, {taken}"]
    if start.freeze != "none":
        what = "the trunk" if start.freeze == "trunk" else f"the stem and {start.freeze} stages"
        words.append(f"{what} frozen" + (f" for {start.freeze_epochs} epochs" if start.freeze_epochs else ""))
    words += ["batch norms frozen"] * (start.norm == "frozen")
    words += [f"learning rate times {start.layer_decay} a layer"] * (start.layer_decay < 1)
    words += [f"of the classifier times {start.head_lr_multiplier:g}"] * (start.head_lr_multiplier != 1)
    return {"start": ", ".join(words)}


def _supernet(method: DifferentiableSettings) -> str:
    parts = [
        f"{method.name}, {method.epochs} epochs of a supernet",
        f"theta from epoch {method.theta.after + 1} on, on {1 - method.weights_share:.0%} of the images",
        f"loss {method.loss.name}",
    ]
    return ", ".join(parts + ["one path a step"] * (method.paths == "sampled"))


def _strategy(strategy: StrategySettings) -> str:
    asked, first = strategy.candidates, strategy.size(1)
    words = f"{strategy.name}, {strategy.rounds} rounds of {counted(strategy.batch, 'candidate')}"
    if first != strategy.batch:
        words += f", the first of {first}"
    start = random_start(strategy)
    if strategy.name == "random" or not start:
        return words
    key = {"evolution": " (strategy.population)", "reinforce": " (strategy.update_every)"}.get(strategy.name, "")
    if start >= asked:
        return f"{words}; its first {start}{key} are random, so this is the same as strategy=random"
    return f"{words}; the first {start}{key} of these {asked} are random"


def _confirm(confirm: ConfirmSettings, reference: str | None, *, rounds: bool) -> str:
    if not confirm.pairs:
        return "nothing: the answer is as predicted (confirm.pairs)"
    several = f" with {confirm.seeds} seeds" if confirm.seeds > 1 else ""
    beside = "" if reference is None else f", {reference} beside them"
    trained = " and as many trained ones" if rounds else ""
    return f"the best {confirm.pairs} pairs found{trained} are trained{several} at the end{beside}"


def _executor(executor: ExecutorSettings) -> str:
    if executor.name == "ray":
        return f"Ray at {executor.address or 'this machine'}"
    if executor.workers is None:
        return "one worker per GPU or core"
    return f"{executor.workers} workers" if executor.workers > 1 else "one worker"


def _trainer(trainer: TrainerSettings) -> str:
    return f"{'GPU or CPU' if trainer.accelerator == 'auto' else trainer.accelerator.upper()}, {trainer.precision}"
