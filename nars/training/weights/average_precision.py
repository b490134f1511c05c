"""Mean average precision (mAP) of detections, as COCO defines it, by faster-coco-eval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nars.data.detection import Objects
from nars.errors import UserError


@dataclass(frozen=True, kw_only=True)
class AveragePrecision:
    """Average precision over classes, recalls and, but for `ap50` and `ap75`, overlaps of 0.5 to 0.95; `small`,
    `medium` and `large` of objects of up to 32 x 32, 96 x 96 and more pixels. None where there are no such objects.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    small: float | None
    medium: float | None
    large: float | None
    per_class: dict[str, float | None]


def average_precision(
    truth: Mapping[int, Objects], found: Mapping[int, Mapping[str, torch.Tensor]], class_names: Sequence[str]
) -> AveragePrecision:
    """Of what was `found` (`boxes` (n, 4), `scores` (n,), `labels` (n,)) in the images whose numbers `truth` has; boxes
    of both in the same pixels."""
    COCO, COCOeval = _library()  # noqa: N806
    objects = COCO(coco_objects(truth, class_names))
    detections = objects.loadRes(coco_detections(found, category_ids=range(1, len(class_names) + 1)))
    evaluation = COCOeval(objects, detections, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    names = ("ap", "ap50", "ap75", "small", "medium", "large")
    precisions = evaluation.eval["precision"][:, :, :, 0, -1]  # of overlap, recall, class; all areas, all detections
    of_classes = {name: _mean(precisions[:, :, k]) for k, name in enumerate(class_names)}
    return AveragePrecision(**dict(zip(names, map(_known, evaluation.stats), strict=False)), per_class=of_classes)


def check_library() -> None:
    """UserError if what measures mAP is not installed."""
    _library()


def _library():
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise UserError("mAP needs faster-coco-eval: pip install -r requirements-detection.txt") from None
    return COCO, COCOeval_faster


def _known(value: float) -> float | None:
    """The library says -1 where there is nothing to measure."""
    return None if value < 0 else float(value)


def _mean(precisions: np.ndarray) -> float | None:
    known = precisions[precisions > -1]
    return float(known.mean()) if known.size else None


def coco_objects(truth: Mapping[int, Objects], class_names: Sequence[str]) -> dict:
    """What the annotation file of a COCO data set says of these objects; classes are numbered from 1."""
    annotations = []
    for image, objects in truth.items():
        for box, label, crowd, area in zip(
            _as_corner_and_size(objects.boxes),
            *(values.tolist() for values in (objects.labels, objects.crowd, objects.area)),
            strict=True,
        ):
            values = {"id": len(annotations) + 1, "image_id": image, "category_id": label + 1, "bbox": box}
            annotations.append(values | {"area": area, "iscrowd": int(crowd)})
    return {
        "images": [{"id": image} for image in truth],
        "categories": [{"id": number, "name": name} for number, name in enumerate(class_names, start=1)],
        "annotations": annotations,
    }


def coco_detections(found: Mapping[int, Mapping[str, torch.Tensor]], *, category_ids: Sequence[int]) -> list[dict]:
    """What a COCO results file says of these detections, whose labels stand for `category_ids`."""
    return [
        {"image_id": image, "category_id": category_ids[label], "bbox": box, "score": score}
        for image, detections in found.items()
        for box, label, score in zip(
            _as_corner_and_size(detections["boxes"]),
            detections["labels"].tolist(),
            detections["scores"].tolist(),
            strict=True,
        )
    ]


def _as_corner_and_size(boxes: torch.Tensor) -> list[list[float]]:
    """COCO's boxes: left, top, width, height."""
    boxes = boxes.double()
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
