"""ONNX with weights and activations of 8 bits: static quantisation, ranges measured on calibration images."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nars.exporting.description import Description
from nars.exporting.onnx_files import INPUT, quiet, write_onnx


def write_int8(path: Path, float_file: Path, images: Iterable[torch.Tensor], description: Description) -> None:
    """Write the network of an ONNX file with weights int8, a scale per channel, and activations uint8, a scale per
    tensor: pairs of quantise and dequantise (QDQ), which onnxruntime fuses.

    `images` are batches as the file takes them; the largest and least values that occur are the ends of the ranges.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, quiet():
        prepared, quantised = (Path(folder) / name for name in ("prepared.onnx", "quantised.onnx"))
        quant_pre_process(str(float_file), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(quantised),
            _Images(iter(images)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
        )
        model = onnx.load(str(quantised))
    write_onnx(path, model, description)


@dataclass
class _Images:
    """onnxruntime's CalibrationDataReader."""

    batches: Iterable[torch.Tensor] = field(default_factory=list)

    def get_next(self) -> dict | None:
        """The next batch; None after the last."""
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch.numpy()}
