"""What `export.py` does with a detector: ONNX files, each measured as it lies there."""

import os
from pathlib import Path

from rich.console import Console

from nars.data.detection import DetectionData, open_detection_data
from nars.errors import UserError
from nars.exporting.detector_measuring import MeasuredDetector, measure_detectors, rows
from nars.exporting.detectors import DetectorDescription, check_heads, write_detector
from nars.exporting.onnx_files import check_onnx
from nars.exporting.opening import FILES
from nars.files import digest
from nars.machine import limited_threads, processor
from nars.reporting.screen.exported import print_exported
from nars.settings import ExportSettings, parse
from nars.shell import command, override
from nars.training.weights.average_precision import check_library
from nars.training.weights.card import write_card
from nars.training.weights.detector_files import detector_card, load_detector

REFUSED = {  # formats that hold no detector, and why
    "onnx_int8": "8 bits are for classifiers alone",
    "torch_export": "torch.export fails on torchvision's, whose NMS branches on how many boxes there are (upstream)",
    "hub": "timm's layout is for classifiers alone",
}
INSTEAD = "take format=onnx, the whole detector, or of detector=fcos format=onnx_heads"


def export_detector(settings: ExportSettings, console: Console) -> Path:
    """Write and measure every format; returns the folder that holds them."""
    weights = Path(settings.weights)
    card = detector_card(weights)
    _check(settings)
    data = _data(settings, card)
    for note in data.notes:
        console.print(note, soft_wrap=True)
    detector = load_detector(weights)
    kinds, side = list(dict.fromkeys(settings.format)), settings.image_size or card["image_size"]
    if "onnx_heads" in kinds:
        check_heads(detector)
    folder = Path(settings.output or weights.parent / "exported")
    files = {kind: folder / FILES[kind] for kind in kinds}
    with limited_threads():
        for kind, file in files.items():
            console.print(f"exporting {kind}: {file}", soft_wrap=True)
            write_detector(file, detector, description_of(kind, card, weights, side))
        console.print(f"measuring mAP and latency on {data.val_size:,} validation images", soft_wrap=True)
        runs = settings.latency_runs
        results = measure_detectors(detector, weights, list(files.values()), data, image_size=side, runs=runs)
    measured = dict(zip(["torch", *kinds], results, strict=True))
    _show(measured, files, settings, console)
    exported = {
        kind: {"file": os.path.relpath(file, weights.parent)}
        | {name: round(value, 9) for name, value in vars(measured[kind]).items()}
        for kind, file in files.items()
    }
    write_card(weights, card | {"exported": card.get("exported", {}) | exported})
    return folder


def _check(settings: ExportSettings) -> None:
    """UserError, before anything is done, for what cannot be done with a detector."""
    of = f"weights={settings.weights} are of a detector"
    for kind in settings.format:
        if kind in REFUSED:
            raise UserError(f"format={kind}: {of}, and {REFUSED[kind]}; {INSTEAD}")
    if settings.push:
        raise UserError(f"push=true uploads format=hub, but {of}, and {REFUSED['hub']}; leave push out")
    if settings.batch != "dynamic":
        raise UserError(
            f"batch={settings.batch}: {of}; onnx takes one image, onnx_heads any number: leave batch=dynamic"
        )
    if settings.input != "bytes":
        raise UserError(f"input={settings.input}: {of}, which normalise their images themselves; leave input=bytes")
    if settings.data.name != "digits":
        raise UserError(f"data={settings.data.name}: {of}; give images with boxes: detection_data=...")
    check_onnx(f"format={settings.format[0]}")
    check_library()


def _data(settings: ExportSettings, card: dict) -> DetectionData:
    """The images; UserError if their classes are not those of the training."""
    data, trained = open_detection_data(settings.detection_data), card["classes"]
    if list(data.class_names) != list(trained):
        ours, theirs = (f"{len(names)} ({', '.join(list(names)[:3])}, ...)" for names in (trained, data.class_names))
        raise UserError(
            f"detection_data={settings.detection_data.name}: has {theirs} classes, the weights know {ours}; give the "
            "data of the training"
        )
    return data


def description_of(kind: str, card: dict, weights: Path, side: int) -> DetectorDescription:
    """What the file of a format says of itself, from the card beside the weights."""
    values = {
        "format": kind,
        "image_size": side,
        "category_ids": list(card.get("category_ids") or range(1, len(card["classes"]) + 1)),
        "weights": digest(weights),
    }
    known = {name: card[name] for name in ("mean", "std", "classes", "detector", "architecture", "costs")}
    return parse(DetectorDescription, values | known, where=str(weights.with_name("card.yaml")))


def _show(
    measured: dict[str, MeasuredDetector], files: dict[str, Path], settings: ExportSettings, console: Console
) -> None:
    print_exported(console, rows(measured))
    side, file = measured["torch"].image_size, next(iter(files.values()))
    lines = [
        f"Photos with a longer side of {side} px; largest differences from PyTorch, of boxes in those pixels; ms of "
        f"processor time from one photo to boxes on one thread of {processor()}, median and 90th percentile of "
        f"{settings.latency_runs} calls."
    ]
    if any(found.max_box_difference > 1 for found in measured.values()):
        lines += [
            "Differences of pixels can be detections that one of them lacks, where scores are alike to the last digits "
            "(those of a detector that was hardly trained)."
        ]
    if "onnx" in files:
        lines += [f"onnx takes one photo of any size; the detector knows a longer side of {side} px"]
    if "onnx_heads" in files:
        lines += [
            f"onnx_heads takes any number of squares of {side} x {side} px; threshold and NMS are left to the caller, "
            "torchvision's were used here"
        ]
    predict = command("detect.py", "mode=predict", override("weights", file), "images=...")
    for line in (*lines, f"detect with a file in your own photos: {predict}"):
        console.print(line, soft_wrap=True)
