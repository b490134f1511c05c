"""Images with objects in them: what detectors are trained on and measured by."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nars.data.detection.augmentation import augmented, resized
from nars.data.loaders import BatchDataset, Draw, SplitImages

Target = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Objects:
    """The objects of an image: `boxes` float32 (n, 4), left, top, right, bottom in pixels; `labels` int64 (n,), the
    index of each one's class; `crowd` bool (n,), whether it stands for many of them: such are not learned from, and
    what is detected in one is neither right nor wrong; `area` float32 (n,) in square pixels, by which COCO tells small
    objects from large ones: that of the box unless the data know better."""

    boxes: torch.Tensor
    labels: torch.Tensor
    crowd: torch.Tensor
    area: torch.Tensor

    @classmethod
    def of(
        cls,
        boxes: Sequence,
        labels: Sequence[int],
        crowd: Sequence[bool] | None = None,
        area: Sequence[float] | None = None,
    ) -> "Objects":
        """From plain lists; no crowds, and the areas of boxes, unless they are told."""
        corners = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
        of_boxes = (corners[:, 2:] - corners[:, :2]).prod(dim=1)
        return cls(
            boxes=corners,
            labels=torch.as_tensor(labels, dtype=torch.int64),
            crowd=torch.as_tensor([False] * len(labels) if crowd is None else crowd, dtype=torch.bool),
            area=of_boxes if area is None else torch.as_tensor(area, dtype=torch.float32),
        )

    def where(self, chosen: torch.Tensor) -> "Objects":
        """Those that a mask (n,) chooses."""
        return Objects(**{name: values[chosen] for name, values in vars(self).items()})


class DetectionSet(BatchDataset):
    """Images with their objects, in batches of (images, targets).

    An image is uint8 (3, h, w), its longer side as long as asked for. A target has `boxes` and `labels` of its objects
    in that image, crowds left out, `index`, its number in the set, and `scale` (2,), by which x and y in that image
    become those before it was resized.
    """

    def __init__(self, *, image_size: int, augmentation: str = "none"):
        self.image_size = image_size
        self.augmentation = augmentation

    @abstractmethod
    def image(self, index: int) -> torch.Tensor:
        """uint8 (3, h, w)."""

    @abstractmethod
    def objects(self, index: int) -> Objects:
        """The objects of the same image."""

    def batch(self, draws: Sequence[Draw]) -> tuple[list[torch.Tensor], list[Target]]:
        items = [self._item(draw) for draw in draws]
        return [image for image, _ in items], [target for _, target in items]

    def _item(self, draw: Draw) -> tuple[torch.Tensor, Target]:
        whole, objects = self.image(draw.index), self.objects(draw.index)
        objects = objects.where(~objects.crowd)
        part, boxes, labels = augmented(whole, objects.boxes, objects.labels, how=self.augmentation, seed=draw.seed)
        image, boxes = resized(part, boxes, image_size=self.image_size)
        scale = torch.tensor([part.shape[2] / image.shape[2], part.shape[1] / image.shape[1]])
        return image, {"boxes": boxes, "labels": labels, "index": torch.tensor(draw.index), "scale": scale}


class DetectionData(SplitImages):
    """Images with objects in them, in batches of a `DetectionSet`; their objects, too, decide the fingerprint.

    `notes` are lines on what was passed over or mended. `category_ids` number the classes in files of results.
    """

    notes: tuple[str, ...] = ()

    @property
    def category_ids(self) -> tuple[int, ...]:
        return tuple(range(1, self.num_classes + 1))
