"""What `train.py mode=evaluate` does: weights, or an exported file, measured on the validation images of any data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from torch import nn

from nars.candidates import load_architecture
from nars.costs.pricing import Pricing
from nars.costs.table import in_words
from nars.data import ImageData, open_data
from nars.data.folder import open_whole_folder
from nars.errors import UserError
from nars.exporting.opening import is_exported, open_exported
from nars.latency.opening import open_latency, shapes_of_architecture
from nars.machine import limited_threads
from nars.networks.architectures import architecture_of, costs_of, image_size, network_of
from nars.networks.timm_models import TimmArchitecture
from nars.reporting.screen.terminal import print_passed_over
from nars.settings import TrainerSettings, TrainSettings
from nars.shell import override, word
from nars.spaces.architecture import Architecture
from nars.study.answers import SPLIT
from nars.study.outcomes import Result
from nars.training.weights.accuracy import outputs_of_classes, validation_accuracy
from nars.training.weights.card import classifier_card
from nars.training.weights.files import load_weights


def evaluate_weights(settings: TrainSettings, console: Console) -> Result:
    """Measure `settings.weights` on the validation images of the data."""
    if not settings.weights:
        raise UserError("mode=evaluate: give the weights: weights=runs/.../weights.safetensors, or an exported file")
    path = Path(settings.weights)
    card = classifier_card(path) or {}
    data = _data_to_measure(settings, trained_on=card.get("training", {}).get("data"), shots=card.get("shots"))
    print_passed_over(console, data.passed_over)
    measured = _exported(path, data, settings) if is_exported(path) else _weights(path, card, data, settings)
    with limited_threads():
        accuracy = validation_accuracy(
            data,
            measured.network,
            image_size=measured.image_size,
            batch_size=settings.protocol.batch_size,
            outputs=outputs_of_classes(data.class_names, measured.classes, num_outputs=measured.num_classes),
            trainer=measured.trainer,
            normalise=measured.normalise,
        )
    architecture = architecture_of(measured.architecture)
    costs = costs_of(architecture, pricing_of(settings, architecture, measured.num_classes))
    console.print(accuracy_line(vars(accuracy)), soft_wrap=True)
    console.print(costs_line(costs, architecture.resolution, measured.num_classes), soft_wrap=True)
    return Result(
        accuracy=accuracy.top1,
        costs=costs,
        architecture=architecture.to_dict(),
        recipe=card.get("recipe", {}),
        folder=str(path.parent),
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A network and how it is measured; `classes` None: as the data's."""

    network: nn.Module
    architecture: Mapping
    num_classes: int
    classes: Sequence[str] | None
    image_size: int
    normalise: nn.Module
    trainer: TrainerSettings


def _weights(path: Path, card: Mapping, data: ImageData, settings: TrainSettings) -> _Measured:
    architecture = architecture_of(card.get("architecture") or load_architecture(settings.candidate))
    num_classes = card.get("num_classes", data.num_classes)
    outputs_of_classes(data.class_names, card.get("classes"), num_outputs=num_classes)  # before anything is built
    network = network_of(architecture, num_classes=num_classes)
    load_weights(network, path)
    return _Measured(
        network=network,
        architecture=architecture.to_dict(),
        num_classes=num_classes,
        classes=card.get("classes"),
        image_size=card.get("image_size") or image_size(architecture, settings.protocol),
        normalise=data.normalise({name: card[name] for name in data.statistics} if "mean" in card else None),
        trainer=settings.trainer,
    )


def _exported(path: Path, data: ImageData, settings: TrainSettings) -> _Measured:
    """An exported file says itself how it is measured; it runs on the processor."""
    network, description = open_exported(path)
    return _Measured(
        network=network,
        architecture=description.architecture,
        num_classes=description.num_classes,
        classes=description.classes,
        image_size=description.image_size,
        normalise=description.inputs_of(data),
        trainer=settings.trainer.model_copy(update={"accelerator": "cpu", "precision": "32-true"}),
    )


def _data_to_measure(settings: TrainSettings, *, trained_on: str | None, shots: int | None) -> ImageData:
    """The data; a folder without `val_root` whole, unless it is the one of which the weights were trained on `shots`
    images a class, None = all: then what was held out of it."""
    split_file = Path(settings.runs_dir) / settings.study / SPLIT
    if settings.data.name != "folder" or settings.data.val_root is not None:
        return open_data(settings.data, split_file=split_file)
    whole = open_whole_folder(settings.data)
    try:
        split = open_data(settings.data.model_copy(update={"shots": settings.data.shots or shots}))
    except UserError:  # too few images to hold some out
        return whole
    return split if split.fingerprint == trained_on else whole


def pricing_of(settings: TrainSettings, architecture: Architecture | TimmArchitecture, num_classes: int) -> Pricing:
    """How the network is priced; UserError if it is no sum of the blocks that latency tables hold."""
    if settings.latency.table is None:
        return Pricing(num_classes=num_classes)
    if isinstance(architecture, TimmArchitecture):
        raise UserError(
            f"latency.table={settings.latency.table}: candidate={settings.candidate} is a network of timm's, whose "
            "blocks no table holds; leave latency.table out"
        )
    of = (override("candidate", settings.candidate), word("num_classes", str(num_classes)))
    shapes = shapes_of_architecture(architecture, num_classes)
    return Pricing(num_classes=num_classes, latency=open_latency(settings.latency, shapes, of=of).table)


def costs_line(costs: Mapping[str, float], resolution: int, num_classes: int) -> str:
    """Costs by name, in words."""
    # A search prices with constraint.num_classes, so that its answers compare with published ones.
    return (
        f"{in_words(costs)}, counted at {resolution} px with a classifier of "
        f"{num_classes:,} classes (a search counts constraint.num_classes)"
    )


def accuracy_line(accuracy: Mapping) -> str:
    """`top1` and `top5` of how many `images`, in words."""
    top1, top5 = (f"{accuracy[name]:.4f}" for name in ("top1", "top5"))
    return f"top-1 accuracy {top1}, top-5 {top5} on {accuracy['images']:,} validation images"
