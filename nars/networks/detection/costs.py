"""What a whole detector costs."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from nars.networks.detection.detectors import Detector


def detector_costs(detector: Detector, height: int, width: int) -> dict[str, float]:
    """`macs` of the convolution and linear layers for one image of that size in pixels, those behind proposals included
    for as many as the detector takes, and trainable `params`.

    What is no layer (anchors, NMS, cutting out proposals) is not counted.
    """
    params = sum(parameter.numel() for parameter in detector.parameters() if parameter.requires_grad)
    return {"macs": float(macs_of(detector, height, width)), "params": float(params)}


def macs_of(detector: Detector, height: int, width: int) -> int:
    """Multiply-adds, without arithmetic: on the meta device."""
    model = copy.deepcopy(detector.model).to("meta").eval()
    total = 0

    def count(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        nonlocal total
        outputs = output[0, 0].numel() * len(output) if isinstance(layer, nn.Conv2d) else output.numel()
        per_output = layer.weight.numel() if isinstance(layer, nn.Conv2d) else layer.in_features
        total += outputs * per_output

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        maps = model.backbone(torch.zeros(1, 3, height, width, device="meta"))
        maps = {"0": maps} if isinstance(maps, torch.Tensor) else maps
        _heads(model)(list(maps.values()))
    return total


def _heads(model: nn.Module) -> Callable[[list[torch.Tensor]], None]:
    """A function that sends maps through all that lies behind the backbone."""
    if not hasattr(model, "roi_heads"):
        return model.head

    def heads(maps: list[torch.Tensor]) -> None:
        model.rpn.head(maps)
        roi = model.roi_heads
        cut = (model.rpn._post_nms_top_n["testing"], maps[0].shape[1], *roi.box_roi_pool.output_size)
        roi.box_predictor(roi.box_head(torch.zeros(cut, device="meta")))

    return heads
