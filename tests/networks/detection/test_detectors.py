"""Detectors on networks of this project: what they see, lose, find and cost."""

import pytest
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nars.candidates import load_architecture
from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.detection.backbone import Trunk
from nars.networks.detection.costs import detector_costs
from nars.networks.detection.detectors import Detector, build_detector
from nars.settings.detection import detector_settings

SMALL = {
    "faster_rcnn": {"name": "faster_rcnn", "channels": 32, "hidden": 16, "proposals": 20},
    "faster_rcnn_c4": {"name": "faster_rcnn_c4", "anchor_sizes": [16, 32], "proposals": 20},
    "fcos": {"name": "fcos", "channels": 32, "layers": 1},
    "retinanet": {"name": "retinanet", "channels": 32},
}
KINDS = sorted(SMALL)


def network(name: str, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return network_of(architecture_of(load_architecture(name)), num_classes=3)


def detector_of(kind: str, *, name: str = "timm:test_efficientnet", **given) -> Detector:
    return build_detector(network(name), detector_settings(SMALL[kind] | given), num_classes=3)


def batch() -> tuple[list[torch.Tensor], list[dict]]:
    """Two images of different sizes, one of them without an object."""
    generator = torch.Generator().manual_seed(3)
    images = [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in ((64, 96), (80, 64))
    ]
    boxes = torch.tensor([[5.0, 6.0, 30.0, 40.0], [40.0, 10.0, 90.0, 60.0]])
    first = {"boxes": boxes, "labels": torch.tensor([0, 2])}
    return images, [first, {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}]


@pytest.mark.parametrize(
    ("name", "taps", "channels"),
    [
        ("fbnetv3_a0", [2, 3, 5, 6], (24, 40, 104, 208)),
        ("fbnetv2_f1", [2, 3, 4, 5], (24, 24, 80, 224)),
        ("fbnet_c", [2, 3, 5, 7], (24, 32, 112, 352)),
        ("timm:resnet18", [1, 2, 3, 4], (64, 128, 256, 512)),
    ],
)
def test_the_last_map_of_each_stride_is_tapped(name, taps, channels):
    trunk = Trunk(network(name))
    assert (trunk.strides, trunk.taps, trunk.channels) == ((4, 8, 16, 32), taps, channels)


def test_the_maps_are_those_of_the_whole_network():
    whole, images = network("fbnetv3_a0").eval(), torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        x, expected = whole.bn1(whole.conv_stem(images)), []
        for stage in whole.blocks:
            x = stage(x)
            expected.append(x)
        maps = Trunk(network("fbnetv3_a0")).eval()(images)
    assert list(maps) == ["0", "1", "2", "3"]
    for features, stage in zip(maps.values(), (1, 2, 4, 5), strict=True):
        torch.testing.assert_close(features, expected[stage])


@pytest.mark.parametrize("odd", [nn.Conv2d(3, 3, 1), nn.Sequential()])
def test_a_network_without_maps_is_refused(odd):
    with pytest.raises(UserError) as error:
        Trunk(odd)
    assert str(error.value).startswith("the network gives no feature maps for a detector")


@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_learns_from_images_with_and_without_objects(kind):
    detector, (images, targets) = detector_of(kind).train(), batch()
    losses = detector(images, targets)
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    without = [name for name, parameter in detector.named_parameters() if parameter.grad is None]
    assert without == []


@pytest.mark.parametrize("kind", KINDS)
def test_losses_of_validation_change_nothing_and_are_those_of_evaluation_layers(kind):
    detector, (images, targets) = detector_of(kind).eval(), batch()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    with torch.no_grad():
        losses = detector.losses(images, targets)
    assert not any(module.training for module in detector.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())
    detector.train()
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        other = detector(images, targets)
    assert losses.keys() == other.keys()
    for name in losses:  # samples are drawn: another draw gives nearly the same
        torch.testing.assert_close(losses[name], other[name], rtol=0.2, atol=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_detections_are_boxes_inside_their_images_with_classes_from_zero(kind):
    detector, (images, _) = detector_of(kind, score_threshold=0.0).eval(), batch()
    with torch.no_grad():
        found = detector(images)
    for image, detections in zip(images, found, strict=True):
        boxes, scores, labels = (detections[name] for name in ("boxes", "scores", "labels"))
        assert 0 < len(boxes) <= 100
        assert boxes.min() >= 0
        assert boxes[:, [0, 2]].max() <= image.shape[2]
        assert boxes[:, [1, 3]].max() <= image.shape[1]
        assert scores.diff().max() <= 0
        assert set(labels.tolist()) <= {0, 1, 2}


class Told(nn.Module):
    """In place of a detector of torchvision's: keeps what it is given, finds the classes inside it."""

    def forward(self, images, targets=None):
        """What torchvision's give."""
        self.images, self.targets = images, targets
        return {"loss": torch.tensor(1.0)} if self.training else [{"labels": torch.tensor([1, 3])}] * len(images)


@pytest.mark.parametrize(("background", "first"), [(True, 1), (False, 0)])
def test_classes_are_counted_from_zero_outside_and_after_the_background_inside(background, first):
    detector, (images, targets) = Detector(Told(), background=background), batch()
    detector.train()(images, targets)
    assert detector.model.targets[0]["labels"].tolist() == [first, 2 + first]
    assert targets[0]["labels"].tolist() == [0, 2]
    assert detector.model.images[0].max() <= 1
    assert [found["labels"].tolist() for found in detector.eval()(images)] == [[1 - first, 3 - first]] * 2


def test_images_are_normalised_and_keep_their_size():
    detector, (images, targets) = detector_of("faster_rcnn"), batch()
    prepared, boxes = detector.model.transform([image.float() / 255 for image in images], targets)
    assert prepared.image_sizes == [(64, 96), (80, 64)]
    assert torch.equal(boxes[0]["boxes"], targets[0]["boxes"])
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    torch.testing.assert_close(prepared.tensors[1, :, :80, :64], (images[1] / 255 - mean) / std)


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_counted_as_a_detector_runs(kind):
    """Where nothing is suppressed, as many proposals as it takes are looked at."""
    detector = detector_of(kind).eval()
    if hasattr(detector.model, "rpn"):
        detector.model.rpn.nms_thresh, detector.model.rpn.min_size = 1.0, 0.0
    costs = detector_costs(detector, 64, 96)
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        detector(batch()[0][:1])
    assert costs["macs"] == counted.get_total_flops() / 2
    assert costs["params"] == sum(parameter.numel() for parameter in detector.parameters())


def test_settings_of_a_detector_arrive():
    given = {"channels": 48, "anchor_scale": 3.0, "aspect_ratios": [1.0], "proposals": 17, "anchors_per_image": 33}
    given |= {"boxes_per_image": 21, "positive_fraction": 0.4, "hidden": 24, "score_threshold": 0.2}
    model = detector_of("faster_rcnn", **given, nms_threshold=0.6, detections=7).model
    assert model.backbone.out_channels == 48
    assert model.rpn.anchor_generator.sizes == ((12,), (24,), (48,), (96,))
    assert model.rpn.anchor_generator.num_anchors_per_location() == [1] * 4
    assert (model.rpn._post_nms_top_n["training"], model.rpn._post_nms_top_n["testing"]) == (17, 17)
    assert (model.rpn.fg_bg_sampler.batch_size_per_image, model.roi_heads.fg_bg_sampler.batch_size_per_image) == (
        33,
        21,
    )
    assert model.roi_heads.fg_bg_sampler.positive_fraction == 0.4
    assert model.roi_heads.box_predictor.cls_score.weight.shape == (4, 24)
    assert (model.roi_heads.score_thresh, model.roi_heads.nms_thresh, model.roi_heads.detections_per_img) == (
        0.2,
        0.6,
        7,
    )


def test_settings_of_detectors_without_proposals_arrive():
    fcos = detector_of("fcos", layers=3, score_threshold=0.3, detections=5).model
    assert [type(layer).__name__ for layer in fcos.head.classification_head.conv].count("Conv2d") == 3
    assert fcos.anchor_generator.sizes == ((4,), (8,), (16,), (32,))
    assert (fcos.score_thresh, fcos.detections_per_img) == (0.3, 5)
    retinanet = detector_of("retinanet", anchor_scale=2.0, aspect_ratios=[1.0, 2.0], nms_threshold=0.4).model
    assert retinanet.anchor_generator.sizes[0] == (8, 10, 13)
    assert retinanet.anchor_generator.num_anchors_per_location() == [6] * 4
    assert retinanet.nms_thresh == 0.4
