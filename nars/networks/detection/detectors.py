"""torchvision's detectors, all called alike: losses of a batch, or what is detected."""

from collections.abc import Sequence

import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import MultiScaleRoIAlign

from nars.networks.detection.backbone import Pyramid, Trunk
from nars.networks.detection.c4 import faster_rcnn_c4
from nars.settings import (
    DetectorSettings,
    FasterRcnnC4Settings,
    FasterRcnnSettings,
    FcosSettings,
    RetinanetSettings,
    TwoStageSettings,
)
from nars.settings.detection import DetectorLimits

DIVISOR = 32  # of the sides of batches, so that all maps of a pyramid fit
ROI_SIDE = 7  # of the map that is cut out for each proposal

Detections = dict[str, torch.Tensor]


class Detector(nn.Module):
    """A detector of torchvision's for images uint8 (3, h, w) of any size; classes are counted from 0.

    In training mode, called with targets (`boxes` (n, 4), `labels` (n,)), it gives losses by name; else, for each
    image, `boxes` float32 (n, 4) in its pixels, `scores` (n,), falling, and `labels` int64 (n,).
    """

    def __init__(self, model: nn.Module, *, background: bool):
        super().__init__()
        self.model = model
        self.first = 1 if background else 0  # number of the first class inside the model

    def forward(
        self, images: Sequence[torch.Tensor], targets: Sequence[dict] | None = None
    ) -> dict[str, torch.Tensor] | list[Detections]:
        """Losses or detections."""
        images = [image.float() / 255 for image in images]
        if self.model.training:
            assert targets is not None, "losses are those of targets"
            return self.model(images, [self._numbered(target) for target in targets])
        return [found | {"labels": found["labels"] - self.first} for found in self.model(images)]

    def losses(self, images: Sequence[torch.Tensor], targets: Sequence[dict]) -> dict[str, torch.Tensor]:
        """The losses by name while every layer acts as in evaluation."""
        assert not self.training, "evaluation mode"
        parts = [self.model, *(getattr(self.model, name) for name in PARTS if hasattr(self.model, name))]
        for part in parts:
            part.training = True  # of these modules alone, not of the layers inside
        try:
            return self(images, targets)
        finally:
            for part in parts:
                part.training = False

    def _numbered(self, target: dict) -> dict:
        return {"boxes": target["boxes"], "labels": target["labels"] + self.first}


PARTS = ("transform", "rpn", "roi_heads")


class Unresized(GeneralizedRCNNTransform):
    """torchvision's preparation of images and boxes, which are resized already."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__(min_size=1, max_size=1, image_mean=list(mean), image_std=list(std), size_divisible=DIVISOR)

    def resize(self, image: torch.Tensor, target: dict | None = None) -> tuple[torch.Tensor, dict | None]:
        """As they are."""
        return image, target


def build_detector(
    network: nn.Module,
    settings: DetectorSettings,
    *,
    num_classes: int,
    mean: Sequence[float] = IMAGENET_DEFAULT_MEAN,
    std: Sequence[float] = IMAGENET_DEFAULT_STD,
) -> Detector:
    """The detector of these settings with `network` as its backbone, which it takes over and cuts; all else is
    untrained. `mean` and `std`, fractions of white, are those of the images that the network was trained on."""
    model = _BUILDERS[settings.name](network, settings, num_classes)
    model.transform = Unresized(mean, std)
    return Detector(model, background=isinstance(settings, TwoStageSettings))


def _faster_rcnn(network: nn.Module, settings: FasterRcnnSettings, num_classes: int) -> FasterRCNN:
    backbone = Pyramid(Trunk(network), out_channels=settings.channels)
    names = [str(number) for number in range(len(backbone.trunk.strides))]
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=_anchors(backbone, settings.anchor_scale, settings.aspect_ratios),
        box_roi_pool=MultiScaleRoIAlign(names, output_size=ROI_SIDE, sampling_ratio=2),
        box_head=TwoMLPHead(settings.channels * ROI_SIDE**2, settings.hidden),
        box_predictor=FastRCNNPredictor(settings.hidden, num_classes + 1),
        **_two_stages(settings),
    )


def _faster_rcnn_c4(network: nn.Module, settings: FasterRcnnC4Settings, num_classes: int) -> FasterRCNN:
    return faster_rcnn_c4(network, settings, num_classes, _two_stages(settings))


def _fcos(network: nn.Module, settings: FcosSettings, num_classes: int) -> FCOS:
    backbone = Pyramid(Trunk(network), out_channels=settings.channels)
    anchors = _anchors(backbone, 1.0, (1.0,))  # by which FCOS knows the strides
    head = FCOSHead(settings.channels, 1, num_classes, settings.layers)
    return FCOS(backbone, num_classes, anchor_generator=anchors, head=head, **_one_stage(settings))


def _retinanet(network: nn.Module, settings: RetinanetSettings, num_classes: int) -> RetinaNet:
    backbone = Pyramid(Trunk(network), out_channels=settings.channels)
    anchors = _anchors(backbone, settings.anchor_scale, settings.aspect_ratios, sizes=3)
    number = anchors.num_anchors_per_location()[0]
    head = RetinaNetHead(settings.channels, number, num_classes, norm_layer=nn.BatchNorm2d)
    return RetinaNet(backbone, num_classes, anchor_generator=anchors, head=head, **_one_stage(settings))


def _anchors(backbone: Pyramid, scale: float, ratios: Sequence[float], *, sizes: int = 1) -> AnchorGenerator:
    """Anchors of each level: `sizes` of them within an octave, from `scale` times its stride on, by aspect ratio."""
    octave = [2 ** (number / sizes) for number in range(sizes)]
    sides = tuple(tuple(round(scale * stride * factor) for factor in octave) for stride in backbone.trunk.strides)
    return AnchorGenerator(sides, (tuple(ratios),) * len(sides))


def _one_stage(settings: DetectorLimits) -> dict:
    """torchvision's arguments of detectors that decide at once."""
    return {
        "score_thresh": settings.score_threshold,
        "nms_thresh": settings.nms_threshold,
        "detections_per_img": settings.detections,
    }


def _two_stages(settings: TwoStageSettings) -> dict:
    """torchvision's arguments of detectors that propose and then decide."""
    kept = {f"rpn_post_nms_top_n_{mode}": settings.proposals for mode in ("train", "test")}
    ranked = {f"rpn_pre_nms_top_n_{mode}": 2 * settings.proposals for mode in ("train", "test")}  # of each level
    return {
        **kept,
        **ranked,
        "rpn_batch_size_per_image": settings.anchors_per_image,
        "box_batch_size_per_image": settings.boxes_per_image,
        "box_positive_fraction": settings.positive_fraction,
        "box_score_thresh": settings.score_threshold,
        "box_nms_thresh": settings.nms_threshold,
        "box_detections_per_img": settings.detections,
    }


_BUILDERS = {
    "faster_rcnn": _faster_rcnn,
    "faster_rcnn_c4": _faster_rcnn_c4,
    "fcos": _fcos,
    "retinanet": _retinanet,
}
