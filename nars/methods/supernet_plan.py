"""What the training of a supernet would take: steps, time and memory."""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.nn import functional

from nars.supernet.contract import Supernet
from nars.supernet.loop import Work
from nars.supernet.sampling import sampled_mixtures

MOST_IMAGES = 4  # of a batch that is timed on a CPU
COPIES = 3  # of every weight: itself, its gradient, its momentum


@dataclass(frozen=True, kw_only=True)
class SupernetPlan:
    """A supernet of `weights` numbers, to be trained for `epochs` epochs, of which `known` are done, in `steps` steps
    of `batch_size` images at `side` pixels; a step takes `seconds`, as measured just now on `device`. `image_bytes` is
    what the backward pass keeps of one image."""

    weights: int
    epochs: int
    known: int
    steps: int
    batch_size: int
    side: int
    seconds: float
    device: str
    image_bytes: float

    @property
    def memory(self) -> float:
        """Bytes for weights and activations at once; what libraries need comes on top."""
        return 4.0 * COPIES * self.weights + self.image_bytes * self.batch_size


def supernet_plan(supernet: Supernet, work: Work, *, known: int, steps: int) -> SupernetPlan:
    """The plan of a new supernet, of whose epochs `known` are done and which has `steps` steps left."""
    s = work.settings
    return SupernetPlan(
        weights=sum(parameter.numel() for parameter in supernet.weight_parameters()),
        epochs=s.epochs,
        known=known,
        steps=steps,
        batch_size=s.batch_size,
        side=work.side,
        image_bytes=bytes_of_image(supernet, work.side, paths=s.paths),
        seconds=_seconds(supernet, work),
        device=work.device.type,
    )


def bytes_of_image(supernet: Supernet, side: int, *, paths: str = "all") -> float:
    """Bytes that the backward pass of a supernet keeps of one image of `side` pixels, in float32: counted on the meta
    device, so without arithmetic, as what a batch of 3 keeps beyond one of 2."""
    mixture = sampled_mixtures(supernet.theta, 1.0, torch.Generator().manual_seed(0), paths=paths)
    empty = copy.deepcopy(supernet).to("meta").train()
    return _kept(empty, mixture, side, images=3) - _kept(empty, mixture, side, images=2)


def _kept(supernet: Supernet, mixture: Mapping[str, torch.Tensor], side: int, *, images: int) -> float:
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        alive.append(storage)
        return tensor

    alive: list = []  # else storages that are gone would lend their addresses to others
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        supernet(torch.zeros(images, 3, side, side, device="meta"), mixture)
    return float(sum(kept.values()))


def _seconds(supernet: Supernet, work: Work) -> float:
    """Of a step of the weights, from one with few images where they are computed on a CPU."""
    batch_size = work.settings.batch_size
    images = batch_size if work.device.type == "cuda" else min(MOST_IMAGES, batch_size)
    supernet.to(device=work.device, memory_format=torch.channels_last).train()
    inputs = torch.randn(images, 3, work.side, work.side, device=work.device)
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(images, dtype=torch.int64, device=work.device)
    generator, times = torch.Generator().manual_seed(0), []
    for _ in range(3):
        started = time.perf_counter()
        mixture = sampled_mixtures(supernet.theta, 1.0, generator, paths=work.settings.paths)
        with work.autocast():
            scores = supernet(inputs, mixture)
        functional.cross_entropy(scores.float(), labels).backward()
        float(scores[0, 0].detach())  # waits for a GPU
        times.append(time.perf_counter() - started)
    return min(times) * batch_size / images
