"""Networks whose every layer counts, and what describes them."""

import pytest
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn
from torch.nn import functional

from nars.exporting.description import Description
from nars.networks.architectures import architecture_of, network_of


def _pictures(n: int, side: int, *, seed: int) -> torch.Tensor:
    """Smooth images uint8 (n, 3, side, side) of different brightness."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(n, 3, 5, 5, generator=generator) + torch.randn(n, 3, 1, 1, generator=generator)
    return (50 * functional.interpolate(coarse, size=side, mode="bicubic") + 120).clamp(0, 255).to(torch.uint8)


def _lively(architecture: dict, *, num_classes: int, side: int, seed: int = 0) -> nn.Module:
    """A network in evaluation mode with random batch norms, none of which is zero as in an untrained one, and running
    statistics of images."""
    torch.manual_seed(seed)
    network = network_of(architecture_of(architecture), num_classes=num_classes)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = None  # the mean over all batches
        norm.reset_running_stats()
    with torch.no_grad():
        network.train()(_pictures(32, side, seed=seed) / 60 - 2)
    return network.eval()


@pytest.fixture
def pictures():
    """A function: smooth images uint8 (n, 3, side, side) of different brightness."""
    return _pictures


@pytest.fixture
def lively():
    """A function: an architecture's network in evaluation mode with random batch norms."""
    return _lively


@pytest.fixture
def described():
    """A function: the description of a network's file."""

    def described(architecture: dict, **given) -> Description:
        values = {
            "format": "onnx",
            "input": "bytes",
            "batch": None,
            "image_size": 40,
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "num_classes": 7,
            "classes": None,
            "architecture": architecture,
            "weights": "0",
        }
        return Description(**{**values, **given})

    return described
