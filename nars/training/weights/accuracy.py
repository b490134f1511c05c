"""Accuracy of a trained network on validation images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from nars.data import ImageData
from nars.data.names import beside
from nars.errors import UserError
from nars.settings import TrainerSettings
from nars.training.devices import autocast, device_of


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Fractions of `images` images whose class is the first, or among the first five, of the network's guesses."""

    top1: float
    top5: float
    images: int


@torch.inference_mode()
def measure_accuracy(
    network: nn.Module,
    loader: DataLoader,
    *,
    normalise: nn.Module,
    outputs: Sequence[int],
    accelerator: str = "auto",
    precision: str = "32-true",
) -> Accuracy:
    """Accuracy of `network` on the images of `loader`, normalised, whose class i is the output `outputs[i]`.

    Computed in `precision`, as `trainer.precision` names it, on one device: files of weights are measured once, while
    what a training validates after every epoch is shared between its devices.
    """
    device = device_of(accelerator)
    network = network.eval().to(device, memory_format=torch.channels_last)
    normalise = normalise.to(device)
    output_of = torch.tensor(outputs, device=device)
    first = five = images = 0
    for batch, labels in loader:
        inputs = normalise(batch.to(device, non_blocking=True)).contiguous(memory_format=torch.channels_last)
        with autocast(precision, device):
            logits = network(inputs)
        ranked = logits.float().topk(min(5, logits.shape[1]), dim=1).indices
        right = ranked == output_of[labels.to(device)][:, None]
        first += int(right[:, 0].sum())
        five += int(right.sum())
        images += len(labels)
    return Accuracy(top1=first / images, top5=five / images, images=images)


def validation_accuracy(
    data: ImageData,
    network: nn.Module,
    *,
    image_size: int,
    batch_size: int,
    outputs: Sequence[int],
    trainer: TrainerSettings,
    normalise: nn.Module | None = None,
) -> Accuracy:
    """`measure_accuracy` on the validation images of `data`, by the means of `trainer`; `normalise` makes the network's
    inputs of them, None: as `data` does for training."""
    loader = data.val_loader(
        image_size=image_size,
        batch_size=batch_size,
        workers=trainer.loader_workers,
        pinned=device_of(trainer.accelerator).type == "cuda",
    )
    means = {"accelerator": trainer.accelerator, "precision": trainer.precision}
    return measure_accuracy(network, loader, normalise=normalise or data.normalise(), outputs=outputs, **means)


def outputs_of_classes(classes: Sequence[str], trained: Sequence[str] | None, *, num_outputs: int) -> list[int]:
    """For each of the data's `classes` the network's output: by name where the names it was trained on are known.

    UserError for a class that the network does not know.
    """
    if trained is None:
        if len(classes) != num_outputs:
            raise UserError(f"data has {len(classes)} classes, the weights {num_outputs}; they must be the same")
        return list(range(num_outputs))
    index = {name: i for i, name in enumerate(trained)}
    unknown = [name for name in classes if name not in index]
    if unknown:
        raise UserError(
            f"data: class {beside(unknown[0], trained)} ({len(unknown)} such) is none of the {len(trained)} that the "
            f"weights were trained on ({', '.join(trained[:3])}, ...)"
        )
    return [index[name] for name in classes]
