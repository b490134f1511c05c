"""What an exported file says of itself, and the network that goes into it."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import nn

from nars.data import ImageData
from nars.data.loaders import Normalise
from nars.settings import ExportFormat, ExportInput, Settings

PROPERTY = "nars"  # under which the description lies in a file

Channels = tuple[float, float, float]


class Description(Settings):
    """Kept inside every exported file, so that it can be measured anywhere.

    `input` bytes: images uint8 (b, 3, s, s), RGB, 0 to 255, with the normalisation inside; normalised: float32,
    (value / 255 - mean) / std by channel. s = `image_size`, b = `batch`, null: any. Output: logits float32 (b,
    num_classes), of `classes` where their names are known. `weights` is the digest of the file that was exported.
    """

    format: ExportFormat
    input: ExportInput
    batch: PositiveInt | None
    image_size: PositiveInt
    mean: Channels
    std: Channels
    num_classes: PositiveInt
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None
    architecture: dict
    weights: str

    @property
    def example(self) -> torch.Tensor:
        """A batch of black images; two of them where any number may come, of which torch.export would take one for the
        only number."""
        kind = torch.uint8 if self.input == "bytes" else torch.float32
        return torch.zeros(self.batch or 2, 3, self.image_size, self.image_size, dtype=kind)

    def inputs_of(self, data: ImageData) -> nn.Module:
        """What makes the file's inputs of the images that loaders of `data` give, at 8 bits, as photos are."""
        return nn.Sequential(_ToBytes(data.white), nn.Identity() if self.input == "bytes" else self.normalise())

    def normalise(self) -> Normalise:
        """What makes the network's inputs of bytes."""
        return Normalise(*([255 * value for value in values] for values in (self.mean, self.std)))


class Deployed(nn.Module):
    """A network in evaluation mode with what `description` bakes in: what exported files compute."""

    def __init__(self, network: nn.Module, description: Description):
        super().__init__()
        self.network = network
        self.normalise = description.normalise() if description.input == "bytes" else nn.Identity()
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the images."""
        return self.network(self.normalise(images))


class _ToBytes(nn.Module):
    """Pixels (b, 3, h, w), 0 to `white`, as uint8."""

    def __init__(self, white: float):
        super().__init__()
        self.white = white

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if pixels.dtype == torch.uint8:
            return pixels
        return (pixels * (255 / self.white)).round().clamp(0, 255).to(torch.uint8)


class InBatches(nn.Module):
    """Something that takes batches of one size alone, for batches of any size: the last one is filled up with black."""

    def __init__(self, run: Callable[[torch.Tensor], torch.Tensor], batch: int | None):
        super().__init__()
        self._run = run
        self.batch = batch

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (b, num_classes) of images (b, 3, s, s)."""
        if self.batch is None:
            return self._run(images)
        chunks = []
        for chunk in images.split(self.batch):
            missing = self.batch - len(chunk)
            filled = torch.cat([chunk, chunk.new_zeros(missing, *chunk.shape[1:])]) if missing else chunk
            chunks.append(self._run(filled)[: len(chunk)])
        return torch.cat(chunks)
