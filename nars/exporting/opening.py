"""Exported files opened again, whatever their format."""

from pathlib import Path

from nars.errors import UserError
from nars.exporting.description import Description, InBatches
from nars.settings import ExportFormat

FILES: dict[ExportFormat, str] = {
    "onnx": "model.onnx",
    "onnx_int8": "model_int8.onnx",
    "torch_export": "model.pt2",
    "hub": "hub",
    "onnx_heads": "model_heads.onnx",
}


def is_exported(path: Path) -> bool:
    """Whether the name is that of an exported file, or the folder one of the hub's layout."""
    return path.suffix in (".onnx", ".pt2") or path.is_dir()


def open_exported(path: Path) -> tuple[InBatches, Description]:
    """The network of an exported file, for inputs as its description says, on a CPU; UserError if it is none."""
    if path.is_dir():
        from nars.exporting.hub import open_hub

        return open_hub(path)
    if not path.is_file():
        raise UserError(f"weights={path}: no such file")
    if path.suffix == ".onnx":
        from nars.exporting.onnx_files import open_onnx

        return open_onnx(path)
    from nars.exporting.torch_files import open_torch_export

    return open_torch_export(path)
