"""Accuracy of a trained network on validation images."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from nars.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Fractions of `images` images whose class is the first, or among the first five, of the network's guesses."""

    top1: float
    top5: float
    images: int


@torch.inference_mode()
def measure_accuracy(
    network: nn.Module, loader: DataLoader, *, normalise: nn.Module, outputs: Sequence[int], accelerator: str = "auto"
) -> Accuracy:
    """Accuracy of `network` on the images of `loader`, normalised, whose class i is the output `outputs[i]`."""
    device = torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    network = network.eval().to(device, memory_format=torch.channels_last)
    normalise = normalise.to(device)
    output_of = torch.tensor(outputs, device=device)
    first = five = images = 0
    for batch, labels in loader:
        logits = network(normalise(batch.to(device)).contiguous(memory_format=torch.channels_last))
        ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
        right = ranked == output_of[labels.to(device)][:, None]
        first += int(right[:, 0].sum())
        five += int(right.sum())
        images += len(labels)
    return Accuracy(top1=first / images, top5=five / images, images=images)


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
            f"data: class {unknown[0]} ({len(unknown)} such) is none of the {len(trained)} that the weights were "
            f"trained on ({', '.join(trained[:3])}, ...)"
        )
    return [index[name] for name in classes]
