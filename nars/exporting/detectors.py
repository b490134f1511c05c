"""Detectors as ONNX files: whole ones, and what FCOS says of every place before anything is decided."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import nn
from torch.export import Dim
from torch.nn import functional
from torchvision.models.detection import FCOS
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, clip_boxes_to_image

from nars.errors import UserError
from nars.exporting.description import PROPERTY, Channels
from nars.exporting.onnx_files import BATCH, INPUT, model_of, open_session, quiet, write_onnx
from nars.networks.detection.detectors import DIVISOR, Detections, Detector
from nars.settings import DetectorSettings, Settings, parse

DetectorFormat = Literal["onnx", "onnx_heads"]

IMAGE, OUTPUTS = "image", ("boxes", "scores", "labels")  # names in the graph
CANDIDATES = 1000  # of a level, at most (torchvision)
OPSET = 17  # torchvision's operators are there from 16 on


class DetectorDescription(Settings):
    """Kept inside every exported file of a detector, so that it can be measured and used anywhere.

    `format` onnx: one image uint8 (3, h, w), RGB, of any size, to `boxes` float32 (n, 4), left, top, right and bottom
    in its pixels, `scores` float32 (n,), falling, and `labels` int64 (n,), which count `classes`. onnx_heads: any
    number of images uint8 (b, 3, s, s), s = `image_size`, to `boxes` (b, m, 4) and `scores` (b, m, classes) of all m
    places, of which so many lie on each level of the pyramid as `levels` says; threshold and non-maximum suppression,
    as `detector` says, are left to the caller.

    The detector knows photos whose longer side has `image_size` pixels; `mean` and `std` are inside. `costs` are those
    of the card, `weights` is the digest of the file that was exported.
    """

    format: DetectorFormat
    image_size: PositiveInt
    mean: Channels
    std: Channels
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    detector: DetectorSettings
    architecture: dict
    costs: dict[str, float]
    weights: str
    levels: tuple[int, ...] = ()


class Whole(nn.Module):
    """A detector of one image."""

    def __init__(self, detector: Detector):
        super().__init__()
        self.detector = detector
        self.eval()  # the exporter puts all of it back into the mode that this module had

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes, scores, labels."""
        [found] = self.detector([image])
        return tuple(found[name] for name in OUTPUTS)


class Heads(nn.Module):
    """FCOS for square images of `side` pixels, up to boxes and scores of every place."""

    def __init__(self, detector: Detector, side: int):
        super().__init__()
        model = detector.model
        self.backbone, self.head, self.coder = model.backbone, model.head, model.box_coder
        self.missing = -side % DIVISOR
        for name in ("mean", "std"):
            values = torch.tensor(getattr(model.transform, f"image_{name}"))
            self.register_buffer(name, values[:, None, None], persistent=False)
        self.eval()
        with torch.no_grad():
            whole = torch.zeros(1, 3, side + self.missing, side + self.missing)
            maps = list(self.backbone(whole).values())
            [places] = model.anchor_generator(ImageList(whole, [tuple(whole.shape[2:])]), maps)
        self.register_buffer("places", places, persistent=False)
        self.levels = tuple(features.shape[2] * features.shape[3] for features in maps)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes (b, m, 4) and scores (b, m, classes)."""
        pixels = (images.float() / 255 - self.mean) / self.std
        maps = self.backbone(functional.pad(pixels, (0, self.missing, 0, self.missing)))
        said = self.head(list(maps.values()))
        scores = (said["cls_logits"].sigmoid() * said["bbox_ctrness"].sigmoid()).sqrt()
        return self.coder.decode(said["bbox_regression"], self.places), scores


def write_detector(path: Path, detector: Detector, description: DetectorDescription) -> None:
    """Write the file that `description` describes; UserError if it cannot hold the detector."""
    if description.format == "onnx":
        write_onnx(path, _whole(detector, description.image_size), description)
        return
    check_heads(detector)
    heads = Heads(detector, description.image_size)
    write_onnx(path, _of_heads(heads, description.image_size), description.model_copy(update={"levels": heads.levels}))


def check_heads(detector: Detector) -> None:
    """UserError if the detector decides more than once."""
    if not isinstance(detector.model, FCOS):
        raise UserError(
            "format=onnx_heads holds detector=fcos alone, which says of every place at once what is there; take "
            "format=onnx, which holds every detector whole"
        )


def _whole(detector: Detector, image_size: int):
    """Through the TorchScript exporter: torchvision's detectors branch on what they find, which torch.export, and so
    the newer exporter, does not take."""
    import onnx

    free = {IMAGE: {1: "height", 2: "width"}} | {name: {0: "detections"} for name in OUTPUTS}
    content = io.BytesIO()
    with quiet():
        torch.onnx.export(
            Whole(detector),
            (torch.zeros(3, image_size, image_size, dtype=torch.uint8),),
            content,
            dynamo=False,
            opset_version=OPSET,
            input_names=[IMAGE],
            output_names=list(OUTPUTS),
            dynamic_axes=free,
        )
    return onnx.load_from_string(content.getvalue())


def _of_heads(heads: Heads, image_size: int):
    example = torch.zeros(2, 3, image_size, image_size, dtype=torch.uint8)
    with torch.no_grad():
        program = torch.export.export(heads, (example,), dynamic_shapes={INPUT: {0: Dim(BATCH)}})
    return model_of(program, any_batch=True, outputs=OUTPUTS[:2])


class WholeFile(nn.Module):
    """The detector of a file of `format=onnx`: called as a `Detector` that evaluates, on the CPU."""

    def __init__(self, session, description: DetectorDescription):
        super().__init__()
        self._session = session
        self.description = description

    def as_seen(self, images: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The images as the file takes them."""
        return list(images)

    def forward(self, images: Sequence[torch.Tensor]) -> list[Detections]:
        """`boxes`, `scores` and `labels` of each image uint8 (3, h, w)."""
        found = (self._session.run(list(OUTPUTS), {IMAGE: image.numpy()}) for image in images)
        return [dict(zip(OUTPUTS, map(torch.from_numpy, values), strict=True)) for values in found]


class HeadsFile(WholeFile):
    """The detector of a file of `format=onnx_heads`, with the threshold and the suppression of the trained one."""

    def as_seen(self, images: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """In the upper left of squares that are filled with the mean colour, which is 0 inside the network."""
        side = self.description.image_size
        colour = torch.tensor(self.description.mean).mul(255).round().to(torch.uint8)
        squares = colour[:, None, None].repeat(len(images), 1, side, side)
        for square, image in zip(squares, images, strict=True):
            square[:, : image.shape[1], : image.shape[2]] = image
        return list(squares)

    def forward(self, images: Sequence[torch.Tensor]) -> list[Detections]:
        """`boxes`, `scores` and `labels` of each image uint8 (3, h, w), no side of it longer than the file's."""
        given = {INPUT: torch.stack(self.as_seen(images)).numpy()}
        boxes, scores = (torch.from_numpy(values) for values in self._session.run(list(OUTPUTS[:2]), given))
        sizes = [tuple(image.shape[1:]) for image in images]
        return [self._decided(*said) for said in zip(boxes, scores, sizes, strict=True)]

    def _decided(self, boxes: torch.Tensor, scores: torch.Tensor, size: tuple[int, int]) -> Detections:
        limits, levels = self.description.detector, self.description.levels
        of_levels = zip(boxes.split(levels), scores.split(levels), strict=True)
        candidates = [_candidates(*level, limits.score_threshold) for level in of_levels]
        boxes, scores, labels = (torch.cat(values) for values in zip(*candidates, strict=True))
        boxes = clip_boxes_to_image(boxes, size)
        kept = batched_nms(boxes, scores, labels, limits.nms_threshold)[: limits.detections]
        return {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}


def _candidates(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> tuple[torch.Tensor, ...]:
    """Boxes, scores and labels of a level's best candidates."""
    places, labels = (scores > threshold).nonzero(as_tuple=True)
    of_candidates = scores[places, labels]
    best = of_candidates.topk(min(CANDIDATES, len(places))).indices
    return boxes[places[best]], of_candidates[best], labels[best]


def open_detector(path: Path) -> WholeFile:
    """The detector of an exported file; UserError if it is none."""
    if not path.is_file():
        raise UserError(f"weights={path}: no such file")
    session, values = open_session(path)
    if "detector" not in values:
        raise UserError(f"weights={path}: of a classifier, not of a detector; train.py mode=evaluate takes it")
    description = parse(DetectorDescription, values, where=f"{path}: {PROPERTY}")
    return (WholeFile if description.format == "onnx" else HeadsFile)(session, description)
