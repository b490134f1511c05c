"""The paper's detectors: what they cost, to the published digits, and what lies where."""

import copy

import pytest
import timm
import torch
from timm.layers import make_divisible
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import nn

from nars.candidates import load_architecture
from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.detection.costs import macs_of
from nars.networks.detection.detectors import build_detector
from nars.settings.detection import detector_settings

# Millions of weights of convolutions and linear layers, billions of multiply-adds at 384 x 640 with 75 proposals and
# COCO's 80 classes. The paper prints (recalled): 5.3 and 2.9, 10.6 and 5.3, 8.0 and 3.6, 13.3 and 5.6.
PUBLISHED = {
    "fbnetv3_a_detection": (5.27, 2.92),
    "fbnetv3_e": (10.61, 5.33),
    "timm:efficientnet_b0": (8.00, 3.57),
    "timm:efficientnet_b1": (13.29, 5.56),
}
PAPER = {"fbnetv3_a_detection": (5.3, 2.9), "fbnetv3_e": (10.6, 5.3), "timm:efficientnet_b0": (8.0, 3.6)}


def network(name: str) -> nn.Module:
    """As the detection release has it: squeeze-and-excite of the expanded width, maps padded evenly."""
    if name.startswith("timm:"):
        return with_wide_squeezes(timm.create_model(name.removeprefix("timm:")))
    architecture = copy.deepcopy(load_architecture(name))
    for stage in architecture["stages"]:
        stage.pop("first_padding", None)
    built = network_of(architecture_of(architecture), num_classes=10)
    return built if name == "fbnetv3_a_detection" else with_wide_squeezes(built)


def with_wide_squeezes(built: nn.Module) -> nn.Module:
    for module in list(built.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, SqueezeExcite):
                width = child.conv_reduce.in_channels
                setattr(module, name, SqueezeExcite(width, rd_channels=make_divisible(width / 4, 8)))
    return built


@pytest.mark.parametrize("name", PUBLISHED)
def test_whole_detectors_cost_what_was_published(name):
    with torch.device("meta"):  # nothing is computed
        detector = build_detector(network(name), detector_settings({"name": "faster_rcnn_c4"}), num_classes=80)
    layers = [layer for layer in detector.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    weights, macs = sum(layer.weight.numel() for layer in layers), macs_of(detector, 384, 640)
    assert (round(weights / 1e6, 2), round(macs / 1e9, 2)) == PUBLISHED[name]
    if name in PAPER:
        assert (round(weights / 1e6, 1), round(macs / 1e9, 1)) == PAPER[name]


def test_the_layout_is_the_paper_s():
    """15 anchors with five numbers each, maps of 6 x 6, 81 scores and 320 numbers of boxes."""
    settings = detector_settings({"name": "faster_rcnn_c4"})
    model = build_detector(network("fbnetv3_a_detection"), settings, num_classes=80).model.eval()
    head, roi = model.rpn.head, model.roi_heads
    assert (head.cls_logits.out_channels, head.bbox_pred.out_channels) == (15, 60)
    assert len(head.row) == 5
    assert tuple(roi.box_roi_pool.output_size) == (6, 6)
    assert (roi.box_predictor.cls_score.out_features, roi.box_predictor.bbox_pred.out_features) == (81, 320)
    with torch.no_grad():
        features = model.backbone(torch.zeros(1, 3, 384, 640))
        scores, boxes = roi.box_predictor(torch.randn(3, roi.box_head.out_channels))
        assert roi.box_head(torch.zeros(3, 112, 6, 6)).shape == (3, 200)
    assert features.shape == (1, 112, 24, 40)
    assert (scores.shape, boxes.shape) == ((3, 81), (3, 324))
    assert not boxes[:, :4].any()
    assert boxes[:, 4:].all()


def test_a_network_of_another_family_is_refused():
    with pytest.raises(UserError) as error:
        build_detector(timm.create_model("resnet18"), detector_settings({"name": "faster_rcnn_c4"}), num_classes=2)
    assert str(error.value).startswith("detector=faster_rcnn_c4 parts a network between its stages")
