"""What exported files are worth: `python -m experiments.export.run --weights WEIGHTS --keep tables.json`."""

import argparse
import json
import tempfile
from pathlib import Path

import torch

from experiments.tables import markdown_table, write_found
from nars.commands.export import Export
from nars.data import open_data
from nars.exporting.measuring import rows
from nars.machine import processor
from nars.settings import DigitsSettings, ExportSettings
from nars.training.weights.card import read_card

FORMATS = ("onnx", "onnx_int8", "torch_export", "hub")


def main() -> None:
    """Export, measure, and write the README's tables; what is known from an earlier run is left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="of FBNetV3-B, trained on the digits")
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 49], help="of the images, in pixels")
    parser.add_argument("--runs", type=int, default=100, help="calls that are timed")
    parser.add_argument("--keep", type=Path, required=True, help="JSON file for the finished tables")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tables = json.loads(given.keep.read_text()) if given.keep.exists() else {}
    for side in given.sides:
        if str(side) not in tables:
            with tempfile.TemporaryDirectory() as folder:
                tables[str(side)] = _table(given, side, Path(folder))
            given.keep.write_text(json.dumps(tables))
    measured = f"{processor()}, one thread, {given.runs} calls with one image."
    write_found(__file__, "\n\n".join([*(tables[str(side)] for side in given.sides), measured]))


def _table(given: argparse.Namespace, side: int, folder: Path) -> str:
    """All formats for images of a side."""
    settings = ExportSettings(
        weights=str(given.weights),
        format=FORMATS,
        image_size=side,
        latency_runs=given.runs,
        output=str(folder),
        data=DigitsSettings(name="digits"),
    )
    export = Export(
        settings=settings, weights=given.weights, card=read_card(given.weights), data=open_data(settings.data)
    )
    for kind in FORMATS:
        export.write(kind)
    measured = export.measured()
    head, *body = rows(measured)
    images = next(iter(measured.values())).images
    return f"FBNetV3-B, {side} px, {images:,} validation images of the digits:\n\n{markdown_table(head, body)}"


if __name__ == "__main__":
    main()
