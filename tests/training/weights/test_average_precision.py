"""mAP: planted detections whose precision is known, and pycocotools on random ones."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nars.data.detection import Objects
from nars.training.weights.average_precision import average_precision, coco_detections, coco_objects

NAMES = ("ant", "bee", "cow")


def found(boxes, scores, labels) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "scores": torch.tensor(scores, dtype=torch.float32),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }


def random_objects(rng: np.random.Generator, *, crowds: bool) -> Objects:
    number = int(rng.integers(0, 5))
    corners, sizes = rng.uniform(0, 200, (number, 2)), rng.uniform(5, 150, (number, 2))
    crowd = (rng.random(number) < 0.2).tolist() if crowds else None
    return Objects.of(np.hstack([corners, corners + sizes]).tolist(), rng.integers(0, 2, number).tolist(), crowd)


def noisy(rng: np.random.Generator, objects: Objects) -> dict[str, torch.Tensor]:
    """The objects, moved a little, some of another class, and a few that are nowhere."""
    boxes = objects.boxes.numpy() + rng.normal(0, 6, objects.boxes.shape)
    labels = np.where(rng.random(len(boxes)) < 0.2, rng.integers(0, 3, len(boxes)), objects.labels.numpy())
    more = rng.uniform(0, 100, (int(rng.integers(0, 3)), 2))
    boxes = np.vstack([boxes, np.hstack([more, more + 40])])
    labels = np.concatenate([labels, rng.integers(0, 3, len(more))])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return found(boxes.tolist(), rng.random(len(boxes)).tolist(), labels.astype(int).tolist())


def test_perfect_detections_have_precision_one_and_where_nothing_is_there_is_none():
    truth = {0: Objects.of([[0, 0, 10, 10], [50, 50, 120, 100]], [0, 1]), 1: Objects.of([[5, 5, 200, 200]], [0])}
    exact = {i: found(o.boxes.tolist(), [0.9] * len(o.labels), o.labels.tolist()) for i, o in truth.items()}
    precision = average_precision(truth, exact, NAMES)
    assert [precision.ap, precision.ap50, precision.ap75] == pytest.approx([1, 1, 1])
    assert [precision.small, precision.medium, precision.large] == pytest.approx([1, 1, 1])
    assert precision.per_class == {"ant": pytest.approx(1), "bee": pytest.approx(1), "cow": None}
    del truth[1], exact[1]
    assert average_precision(truth, exact, NAMES).large is None


def test_no_detections_have_precision_zero():
    truth = {0: Objects.of([[0, 0, 10, 10]], [2])}
    for nothing in ({0: found([], [], [])}, {}):
        precision = average_precision(truth, nothing, NAMES)
        assert (precision.ap, precision.ap50) == (0, 0)
        assert precision.per_class == {"ant": None, "bee": None, "cow": 0}


@pytest.mark.parametrize(("shift", "overlap"), [(0, 1.0), (10, 90 / 110), (20, 80 / 120), (34, 66 / 134)])
def test_shifted_detections_are_right_up_to_their_overlap(shift, overlap):
    """Of the overlaps asked for, 0.50 to 0.95, a box shifted by s of its 100 pixels keeps (100 - s) / (100 + s)."""
    truth = {0: Objects.of([[100, 100, 200, 200]], [0])}
    precision = average_precision(truth, {0: found([[100 + shift, 100, 200 + shift, 200]], [0.5], [0])}, NAMES)
    asked = np.arange(50, 100, 5) / 100
    assert precision.ap == pytest.approx((asked <= overlap).mean())
    assert precision.ap50 == pytest.approx(float(overlap >= 0.5))
    assert precision.ap75 == pytest.approx(float(overlap >= 0.75))


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong():
    crowd = Objects.of([[0, 0, 100, 100], [150, 150, 180, 180]], [0, 0], [True, False])
    sure = found([[10, 10, 30, 30], [40, 40, 60, 60], [150, 150, 180, 180]], [0.9, 0.8, 0.7], [0, 0, 0])
    assert average_precision({0: crowd}, {0: sure}, NAMES).ap == pytest.approx(1)
    alone = Objects.of([[150, 150, 180, 180]], [0])
    assert average_precision({0: alone}, {0: sure}, NAMES).ap == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(4))
def test_all_numbers_are_those_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    truth = {index: random_objects(rng, crowds=True) for index in range(25)}
    detections = {index: noisy(rng, objects) for index, objects in truth.items()}
    precision = average_precision(truth, detections, NAMES)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = COCO()
        theirs.dataset = coco_objects(truth, NAMES) | {"info": {}}
        theirs.createIndex()
        evaluation = COCOeval(theirs, theirs.loadRes(coco_detections(detections, category_ids=(1, 2, 3))), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    mine = [precision.ap, precision.ap50, precision.ap75, precision.small, precision.medium, precision.large]
    assert [-1 if value is None else value for value in mine] == pytest.approx(evaluation.stats[:6].tolist(), abs=1e-9)
    assert 0.05 < precision.ap < 0.95
