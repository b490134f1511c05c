"""Exported detectors find what they find in PyTorch, whatever the size of the image."""

import re

import pytest
import torch
from torch import nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn import functional

from nars.candidates import load_architecture
from nars.errors import UserError
from nars.exporting.description import PROPERTY
from nars.exporting.detector_measuring import differences
from nars.exporting.detectors import DetectorDescription, HeadsFile, Whole, check_heads, open_detector, write_detector
from nars.exporting.opening import open_exported
from nars.networks.architectures import architecture_of, network_of
from nars.networks.detection.detectors import Detector, build_detector
from nars.settings.detection import detector_settings

onnx = pytest.importorskip("onnx", reason="format=onnx needs requirements-export.txt")

SIDE = 64
SMALL = {
    "faster_rcnn": {"name": "faster_rcnn", "channels": 32, "hidden": 16, "proposals": 20, "score_threshold": 0.03},
    "faster_rcnn_c4": {"name": "faster_rcnn_c4", "anchor_sizes": [16, 32], "proposals": 20, "score_threshold": 0.03},
    "fcos": {"name": "fcos", "channels": 32, "layers": 1, "score_threshold": 0.2},
    "retinanet": {"name": "retinanet", "channels": 32, "score_threshold": 0.03},
}
STEPS = {"faster_rcnn": 30, "faster_rcnn_c4": 30, "fcos": 30, "retinanet": 15}
ARCHITECTURE = "timm:test_efficientnet"


def photo(seed: int, height: int = SIDE, width: int = SIDE) -> tuple[torch.Tensor, dict]:
    """A rectangle, bright in one of three colours, on a mottled ground. Where places look alike they score exactly
    alike, and which of them counts is each program's choice."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 6, width // 6, generator=generator)
    image = functional.interpolate(coarse, size=(height, width), mode="bicubic").squeeze(0).clamp(0, 1) * 100
    image = image + 20 * torch.rand(3, height, width, generator=generator)
    left, top, wide, high = (int(x) for x in torch.randint(8, 28, (4,), generator=generator))
    label = seed % 3
    image[label, top : top + high, left : left + wide] += 130
    box = torch.tensor([[left, top, left + wide, top + high]], dtype=torch.float32)
    return image.to(torch.uint8), {"boxes": box, "labels": torch.tensor([label])}


def trained(kind: str, *, steps: int | None = None) -> Detector:
    """A small detector after a few steps, which finds much, and little of it right. With more or larger steps layers
    die or scores come to 1, and many are exactly alike."""
    torch.manual_seed(0)
    network = network_of(architecture_of(load_architecture(ARCHITECTURE)), num_classes=3)
    settings = detector_settings(SMALL[kind])
    detector = build_detector(network, settings, num_classes=3).train()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    for step in range(STEPS[kind] if steps is None else steps):
        images, targets = zip(*(photo(4 * step + number) for number in range(4)), strict=True)
        optimizer.zero_grad()
        sum(detector(images, targets).values()).backward()
        optimizer.step()
    return detector.eval()


def described(kind: str, form: str) -> DetectorDescription:
    return DetectorDescription(
        format=form,
        image_size=SIDE,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        classes=("red", "green", "blue"),
        category_ids=(1, 2, 3),
        detector=detector_settings(SMALL[kind]),
        architecture=architecture_of(load_architecture(ARCHITECTURE)).to_dict(),
        costs={"macs": 1.0, "params": 2.0},
        weights="0",
    )


def found_by(detector: nn.Module, images: list[torch.Tensor]) -> list[dict]:
    with torch.no_grad():
        return [found for image in images for found in detector([image])]  # those of a batch are padded to one size


@pytest.mark.parametrize("kind", SMALL)
def test_a_whole_detector_finds_the_same_in_images_of_any_size(kind, tmp_path):
    detector, file = trained(kind), tmp_path / "model.onnx"
    write_detector(file, detector, described(kind, "onnx"))
    assert not any(module.training for module in detector.modules())
    opened = open_detector(file)
    assert opened.description == described(kind, "onnx")
    sizes = [(64, 64), (64, 64), (60, 64), (61, 90), (128, 92)]
    images = [photo(1000 + seed, *size)[0] for seed, size in enumerate(sizes)]
    wanted, found = found_by(detector, images), opened(images)
    assert sum(len(detections["boxes"]) > 0 for detections in wanted) > 2
    for ours, theirs in zip(found, wanted, strict=True):
        assert {name: values.dtype for name, values in ours.items()} == {n: v.dtype for n, v in theirs.items()}
        assert all(ours["scores"].diff() <= 0)
        boxes, scores = differences(ours, theirs)
        assert boxes <= 1e-3
        assert scores <= 1e-4
    [nothing] = opened([torch.zeros(3, 64, 64, dtype=torch.uint8)])
    assert nothing["boxes"].shape == (len(nothing["scores"]), 4)
    assert not re.search(rb"/\w+\.py", file.read_bytes())  # nothing of the machine that it was made on


@pytest.mark.slow
def test_heads_say_for_any_number_of_images_what_the_detector_decides_by(tmp_path):
    side = 72  # padded inside, to what fits all maps
    detector, file = trained("fcos"), tmp_path / "model_heads.onnx"
    description = described("fcos", "onnx_heads").model_copy(update={"image_size": side})
    write_detector(file, detector, description)
    assert not any(module.training for module in detector.modules())
    opened = open_detector(file)
    assert isinstance(opened, HeadsFile)
    images = [photo(2000 + seed, side, side)[0] for seed in range(3)]
    for ours, theirs in zip(
        [*opened(images), *opened(images[:1])], found_by(detector, [*images, images[0]]), strict=True
    ):
        boxes, scores = differences(ours, theirs)
        assert boxes <= 1e-3
        assert scores <= 1e-4
    sure = {"score_threshold": 0.0, "nms_threshold": 1.0, "detections": 5000}  # as many as a level may have: 1,000
    opened.description = opened.description.model_copy(update={"detector": detector_settings(SMALL["fcos"] | sure)})
    assert len(opened(images[:1])[0]["scores"]) == 1000 + 3 * (12 * 12 + 6 * 6 + 3 * 3)
    opened = open_detector(file)
    small, _ = photo(3000, 50, 60)
    [square] = opened.as_seen([small])
    assert square.shape == (3, side, side)
    assert torch.equal(square[:, :50, :60], small)
    assert square[:, 60, 70].tolist() == [124, 116, 104]
    boxes = opened([small])[0]["boxes"]
    assert (boxes[:, 2].max() <= 60, boxes[:, 3].max() <= 50) == (True, True)
    graph = onnx.load(str(file)).graph
    dims = [
        [dim.dim_param or dim.dim_value for dim in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.output)
    ]
    places = dims[1][1]
    assert dims == [["batch", 3, side, side], ["batch", places, 4], ["batch", places, 3]]
    assert opened.description == description.model_copy(update={"levels": (24 * 24, 12 * 12, 6 * 6, 3 * 3)})
    assert sum(opened.description.levels) == places
    assert {node.op_type for node in graph.node}.isdisjoint({"NonMaxSuppression", "TopK", "NonZero"})


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_torch_export_takes_no_whole_detector(kind):
    """Once it does, format=torch_export and the newer ONNX exporter can hold them."""
    image = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    with pytest.raises(GuardOnDataDependentSymNode, match=r"torchvision/ops/boxes\.py"):
        torch.export.export(Whole(trained(kind, steps=0)), (image,))


def test_heads_of_detectors_that_decide_twice_are_refused():
    for kind in ("faster_rcnn", "retinanet"):
        with pytest.raises(UserError) as error:
            check_heads(trained(kind, steps=0))
        assert str(error.value).startswith("format=onnx_heads holds detector=fcos alone")


def test_differences_are_those_of_what_lies_nearest_of_a_class():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [21, 20, 30, 30]])
    wanted = {"boxes": boxes, "scores": torch.tensor([0.9, 0.8, 0.8]), "labels": torch.tensor([0, 1, 2])}
    assert differences(wanted, wanted) == (0.0, 0.0)
    swapped = {name: values[[0, 2, 1]] for name, values in wanted.items()}
    assert differences(swapped, wanted) == (0.0, 0.0)
    moved = wanted | {"boxes": boxes + torch.tensor([[0.0, 0.25, 0, 0], [0, 0, 0, 0], [0, 0, -0.5, 0]])}
    assert differences(moved, wanted) == (0.5, 0.0)
    surer = wanted | {"scores": torch.tensor([0.9, 0.6, 0.8])}
    assert differences(surer, wanted) == (0.0, pytest.approx(0.2))
    fewer = {name: values[:2] for name, values in wanted.items()}
    assert differences(fewer, wanted) == differences(wanted, fewer) == (float("inf"), float("inf"))
    more = {"boxes": boxes[[0, 0]] + torch.tensor([[0.0], [7.0]]), "scores": torch.tensor([0.9, 0.5])}
    one = {"boxes": boxes[:1], "scores": torch.tensor([0.9])}
    labels = [{"labels": torch.zeros(n, dtype=torch.int64)} for n in (2, 1)]
    assert differences(more | labels[0], one | labels[1]) == (7.0, pytest.approx(0.4))  # nothing is passed over
    none = {name: values[:0] for name, values in wanted.items()}
    assert differences(none, none) == (0.0, 0.0)


def test_a_file_of_a_detector_is_not_taken_for_a_classifier_s_nor_the_other_way(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [value], [same])
    file = tmp_path / "model.onnx"
    for kind, opens, mode in (("classifier", open_detector, "train.py"), ("detector", open_exported, "detect.py")):
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
        model.metadata_props.add(
            key=PROPERTY, value=described("fcos", "onnx").model_dump_json() if kind == "detector" else "{}"
        )
        file.write_bytes(model.SerializeToString())
        with pytest.raises(UserError) as error:
            opens(file)
        assert str(error.value).startswith(f"weights={file}: of a {kind}, not of a ")
        assert f"{mode} mode=evaluate takes it" in str(error.value)
