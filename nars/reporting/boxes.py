"""Pictures of images with boxes: contact sheets of what was detected, beside the truth where it is known."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional
from torchvision.io import encode_png
from torchvision.utils import draw_bounding_boxes

from nars.files import write_whole

SIDE = 256  # of an image on a sheet in pixels
COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000", "#e91e63", "#455a64")


def with_boxes(image: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor, words: Sequence[str]) -> torch.Tensor:
    """uint8 (3, `SIDE`, `SIDE`): the image (3, h, w), its longer side enlarged or shrunk, the rest white, with boxes
    (n, 4) in its pixels; a class has its colour, a box its words."""
    scale = SIDE / max(image.shape[1:])
    size = [max(1, round(side * scale)) for side in image.shape[1:]]
    resized = functional.interpolate(image[None].float(), size, mode="bilinear", antialias=True)[0].round().byte()
    if len(boxes):
        colors = [COLORS[label % len(COLORS)] for label in labels.tolist()]
        placed = _inside(boxes * scale, *size)
        resized = draw_bounding_boxes(resized, placed, labels=list(words), colors=colors, width=2)
    sheet = torch.full((3, SIDE, SIDE), 255, dtype=torch.uint8)
    sheet[:, : size[0], : size[1]] = resized
    return sheet


def _inside(boxes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Boxes that can be drawn: within the image, no side of less than a pixel."""
    placed = boxes.clone()
    placed[:, 0::2] = placed[:, 0::2].clamp(0, width)
    placed[:, 1::2] = placed[:, 1::2].clamp(0, height)
    placed[:, 2:] = torch.maximum(placed[:, 2:], placed[:, :2] + 1)
    return placed


def write_sheet(path: Path, rows: Sequence[Sequence[torch.Tensor]], *, columns: int) -> None:
    """A PNG of rows of pictures (3, `SIDE`, `SIDE`), `columns` rows side by side."""
    assert rows, "a sheet has pictures"
    strips = [torch.cat(list(row), dim=2) for row in rows]
    blank = torch.full_like(strips[0], 255)
    strips += [blank] * (math.ceil(len(strips) / columns) * columns - len(strips))
    lines = [torch.cat(strips[i : i + columns], dim=2) for i in range(0, len(strips), columns)]
    write_whole(path, bytes(encode_png(torch.cat(lines, dim=1)).numpy()))
