"""What a step of FBNetV1's supernet costs next to steps of the networks that it holds."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from experiments.tables import markdown_table
from nars.candidates import load_space
from nars.methods.supernet_plan import bytes_of_image
from nars.networks.build import build_network
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.mixed import MixedSupernet
from nars.supernet.sampling import sampled_mixtures

PLACES = {"fbnet_digits": (32, 32), "fbnet": (32, 8)}  # space -> side of the images, images in a batch
ROUNDS = 5


def report() -> str:
    """CPU seconds of a step with gradients, the least of some that take turns, and megabytes kept of an image."""
    rows = [_row(name, *place) for name, place in PLACES.items()]
    header = ["space, image, batch", "all networks of one block, together", "supernet", "of theta", "one path"]
    ratios = ["supernet / networks", "MB an image at full size"]
    return markdown_table([*header, *ratios], rows)


def _row(name: str, side: int, batch: int) -> list[str]:
    space = load_space(name).architecture
    torch.manual_seed(0)
    supernet = MixedSupernet(space, num_classes=10).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels, generator = torch.randint(10, (batch,)), torch.Generator().manual_seed(0)

    def of_supernet(*, paths: str, theta: bool) -> Callable[[], None]:
        def step() -> None:
            mixture = sampled_mixtures(supernet.theta, 5.0, generator, paths=paths)
            mixture = mixture if theta else {name: m.detach() for name, m in mixture.items()}
            _backward(supernet, supernet(images, mixture), labels)

        return step

    networks = _networks(space)
    steps = {
        "networks": lambda: [_backward(network, network(images), labels) for network in networks],
        "weights": of_supernet(paths="all", theta=False),
        "theta": of_supernet(paths="all", theta=True),
        "path": of_supernet(paths="sampled", theta=True),
    }
    seconds = _least(steps)
    size = space.architecture(space.sizes - 1).resolution
    cells = [f"{seconds[key]:.3f}" for key in ("networks", "weights", "theta", "path")]
    ratio = f"{seconds['weights'] / seconds['networks']:.2f}, of theta {seconds['theta'] / seconds['networks']:.2f}"
    megabytes = [f"{bytes_of_image(supernet, size, paths=paths) / 1e6:.1f}" for paths in ("all", "sampled")]
    return [f"{name}, {side} px, {batch}", *cells, ratio, f"{megabytes[0]} (one path {megabytes[1]})"]


def _networks(space: ArchitectureSpace) -> list[nn.Module]:
    """For each kind of block, the network all of whose layers are of it."""
    points = [np.full(len(space), choice, dtype=np.int16) for choice in range(int(space.sizes.max()))]
    networks = [build_network(space.architecture(point), num_classes=10) for point in points]
    return [network.to(memory_format=torch.channels_last) for network in networks]


def _backward(module: nn.Module, scores: torch.Tensor, labels: torch.Tensor) -> None:
    functional.cross_entropy(scores, labels).backward()
    module.zero_grad()


def _least(steps: dict[str, Callable]) -> dict[str, float]:
    times = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            started = time.thread_time()
            step()
            times[name].append(time.thread_time() - started)
    return {name: min(some) for name, some in times.items()}
