"""What an exported file is worth: measured on the file itself, beside PyTorch."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nars.data import ImageData
from nars.exporting.description import Description
from nars.exporting.opening import open_exported
from nars.training.weights.accuracy import measure_accuracy

WARM_UP = 5  # calls that are not timed
COMPARED = 32  # images whose logits are compared


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`mb` megabytes (1e6 bytes), `max_difference` the largest of the logits' absolute differences from PyTorch's,
    `top1` the accuracy on `images` validation images, `latency_ms` and `latency_p90_ms` the median and the 90th
    percentile of the calls, each with one batch of `batch` images on one thread of the processor."""

    mb: float
    max_difference: float
    top1: float
    images: int
    batch: int
    latency_ms: float
    latency_p90_ms: float


def measure(
    reference: nn.Module,
    weights: Path,
    files: Sequence[Path],
    data: ImageData,
    description: Description,
    *,
    outputs: Sequence[int],
    batch_size: int,
    runs: int,
) -> list[Measured]:
    """`Measured` of the network in PyTorch, `reference`, whose file is `weights`, and then of each file.

    `description` is that of the reference: what it takes, and at which size. A latency is the time that the calling
    thread had a core (its CPU clock), so that what else the machine does hardly counts; the networks take turns.
    """
    opened = [(reference, description), *(open_exported(file) for file in files)]
    batches = [d.batch or 1 for _, d in opened]
    images = _first_images(data, description.image_size)
    logits = [_logits(network, d.inputs_of(data)(images)) for network, d in opened]
    calls = [_call(network, d.inputs_of(data)(images), n) for (network, d), n in zip(opened, batches, strict=True)]
    times = times_of(calls, runs)
    measured = []
    for i, (file, (network, d)) in enumerate(zip([weights, *files], opened, strict=True)):
        accuracy = measure_accuracy(
            network,
            data.val_loader(image_size=d.image_size, batch_size=batch_size),
            normalise=d.inputs_of(data),
            outputs=outputs,
            accelerator="cpu",
        )
        measured.append(
            Measured(
                mb=size_of(file) / 1e6,
                max_difference=float((logits[i] - logits[0]).abs().max()),
                top1=accuracy.top1,
                images=accuracy.images,
                batch=batches[i],
                latency_ms=float(np.median(times[i])),
                latency_p90_ms=float(np.quantile(times[i], 0.9)),
            )
        )
    return measured


def _first_images(data: ImageData, side: int) -> torch.Tensor:
    return next(iter(data.val_loader(image_size=side, batch_size=COMPARED)))[0]


@torch.inference_mode()
def _logits(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return network(images)


def _call(network: nn.Module, images: torch.Tensor, batch: int) -> Callable[[], None]:
    """One call of the network, with `batch` images."""
    images = images.repeat(-(-batch // len(images)), 1, 1, 1)[:batch].contiguous()
    return lambda: network(images)


@torch.inference_mode()
def times_of(calls: Sequence[Callable], runs: int) -> np.ndarray:
    """Milliseconds (calls, runs) of the thread's CPU clock, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for call in calls:
            for _ in range(WARM_UP):
                call()
        times = np.empty((len(calls), runs))
        for run in range(runs):
            for i, call in enumerate(calls):
                began = time.thread_time()
                call()
                times[i, run] = 1e3 * (time.thread_time() - began)
    finally:
        torch.set_num_threads(threads)
    return times


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def rows(measured: Mapping[str, Measured]) -> list[tuple[str, ...]]:
    """The head of a table, and a row for each name."""
    batch = next(iter(measured.values())).batch
    of = "" if batch == 1 else f", batch of {batch}"
    head = ("", "MB", "largest difference", "top-1", f"ms{of}", "90 %")
    return [head] + [
        (
            name,
            f"{m.mb:.2f}",
            "" if name == next(iter(measured)) else f"{m.max_difference:.1e}",
            f"{m.top1:.4f}",
            f"{m.latency_ms:.2f}",
            f"{m.latency_p90_ms:.2f}",
        )
        for name, m in measured.items()
    ]
