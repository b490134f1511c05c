"""Faster R-CNN in the layout of the paper (C4): proposals from the map of stride 16, the last stage behind each."""

import copy

import torch
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from nars.errors import UserError
from nars.settings import FasterRcnnC4Settings

ROI_SIDE = 6  # of the map that is cut out for each proposal (released code)
STRIDE = 16


class C4Trunk(nn.Module):
    """The stem and the stages of a network of the FBNet or EfficientNet family up to stride 16, as torchvision's
    detectors take a backbone: images (b, 3, h, w) to one map (b, c, h / 16, w / 16)."""

    def __init__(self, network: MobileNetV3 | EfficientNet, stages: int):
        super().__init__()
        self.conv_stem, self.bn1 = network.conv_stem, network.bn1
        self.blocks = network.blocks[:stages]
        self.out_channels = _width(self.blocks[-1][-1])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The map."""
        x = images.contiguous(memory_format=torch.channels_last)
        return self.blocks(self.bn1(self.conv_stem(x)))


class RowHead(nn.Module):
    """What finds proposals: the last row of the trunk once more, then objectness and box of each anchor."""

    def __init__(self, row: nn.Sequential, width: int, anchors: int):
        super().__init__()
        self.row = row
        self.cls_logits, self.bbox_pred = nn.Conv2d(width, anchors, 1), nn.Conv2d(width, 4 * anchors, 1)
        for layer in (self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """(b, anchors, h, w) and (b, 4 anchors, h, w) of each map."""
        rows = [self.row(features) for features in maps]
        return [self.cls_logits(row) for row in rows], [self.bbox_pred(row) for row in rows]


class StageHead(nn.Module):
    """The last stages of the network behind each proposal: (n, c, 6, 6) to (n, c')."""

    def __init__(self, stages: nn.Sequential):
        super().__init__()
        self.stages = stages
        self.out_channels = _width(stages[-1][-1])

    def forward(self, cut: torch.Tensor) -> torch.Tensor:
        """The mean over each map."""
        return self.stages(cut).mean(dim=(2, 3))


class Predictor(nn.Module):
    """Scores of the classes and of the background, (n, classes + 1), and a box for each class; the background has no
    box, and zeros stand for it: (n, 4 (classes + 1)), as torchvision counts them."""

    def __init__(self, width: int, num_classes: int):
        super().__init__()
        self.cls_score, self.bbox_pred = nn.Linear(width, num_classes + 1), nn.Linear(width, 4 * num_classes)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores and boxes."""
        boxes = self.bbox_pred(features)
        return self.cls_score(features), torch.cat([torch.zeros_like(boxes[:, :4]), boxes], dim=1)


def faster_rcnn_c4(network: nn.Module, settings: FasterRcnnC4Settings, num_classes: int, arguments: dict) -> FasterRCNN:
    """The detector; `arguments` are torchvision's of all that propose and then decide. UserError for a network of
    another family."""
    if not isinstance(network, MobileNetV3 | EfficientNet):
        raise UserError(
            "detector=faster_rcnn_c4 parts a network between its stages, which only those of the FBNet and EfficientNet"
            " families allow; take another candidate, or detector=faster_rcnn"
        )
    before = _stages_before_stride_32(network)
    last = network.blocks[before:-1] if isinstance(network, MobileNetV3) else network.blocks[before:]
    trunk, head = C4Trunk(network, before), StageHead(last)
    anchors = AnchorGenerator((settings.anchor_sizes,), (settings.aspect_ratios,))
    return FasterRCNN(
        trunk,
        rpn_anchor_generator=anchors,
        rpn_head=RowHead(_last_row(trunk.blocks[-1]), trunk.out_channels, anchors.num_anchors_per_location()[0]),
        box_roi_pool=MultiScaleRoIAlign(["0"], output_size=ROI_SIDE, sampling_ratio=2),
        box_head=head,
        box_predictor=Predictor(head.out_channels, num_classes),
        **arguments,
    )


def _stages_before_stride_32(network: MobileNetV3 | EfficientNet) -> int:
    """How many stages lie before the one that halves the map of stride 16."""
    stride = network.conv_stem.stride[0]
    for number, stage in enumerate(network.blocks):
        for block in stage:
            layers = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
            stride *= max(layer.stride[0] for layer in layers)
        if stride > STRIDE:
            return number
    raise UserError("detector=faster_rcnn_c4 wants a network with a stage of stride 32; take another candidate")


def _last_row(stage: nn.Sequential) -> nn.Sequential:
    """As many copies of a stage's last block as blocks of one kernel and expansion end it: a row in tables of networks.
    None of a block that does not keep its map's shape."""
    blocks = list(stage)
    if not getattr(blocks[-1], "has_skip", False):
        return nn.Sequential()
    alike = 1
    while alike < len(blocks) and _kind(blocks[-alike - 1]) == _kind(blocks[-1]):
        alike += 1
    return nn.Sequential(*(copy.deepcopy(blocks[-1]) for _ in range(alike)))


def _kind(block: nn.Module) -> tuple[float, int]:
    """Expansion and kernel."""
    first, *layers = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    return first.out_channels / first.in_channels, max(layer.kernel_size[0] for layer in (first, *layers))


def _width(block: nn.Module) -> int:
    """Channels that leave a block."""
    return [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)][-1].out_channels
