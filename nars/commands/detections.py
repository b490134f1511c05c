"""What `detect.py mode=evaluate` and `mode=predict` do: a trained detector, measured on any data or used on photos."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import nn
from torchvision.transforms.v2 import functional

from nars.data.detection import DetectionData, Objects, open_detection_data
from nars.data.detection.contract import DetectionSet
from nars.data.loaders import Loader, OrderedSampler
from nars.data.names import beside
from nars.data.reading import EXTENSIONS, load_image
from nars.data.walk import is_passed_over
from nars.errors import UserError
from nars.exporting.detectors import open_detector
from nars.files import write_whole
from nars.machine import limited_threads
from nars.networks.detection.detectors import Detections
from nars.reporting.boxes import with_boxes, write_sheet
from nars.reporting.screen.detection import print_precisions
from nars.settings import DetectSettings, TrainerSettings
from nars.study.outcomes import Result
from nars.training.weights.average_precision import average_precision, check_library, coco_detections
from nars.training.weights.detection_card import measured_values
from nars.training.weights.detections import detect
from nars.training.weights.detector_files import detector_card, load_detector

ON_A_SHEET = 60
RESULTS, SHEET = "detections.json", "detections.png"


def evaluate_detector(settings: DetectSettings, console: Console) -> Result:
    """Measure `settings.weights` on the validation images of the data."""
    check_library()
    path = _weights(settings)
    detector, card, trainer = _opened(path, settings)
    data = open_detection_data(settings.detection_data)
    for note in data.notes:
        console.print(note, soft_wrap=True)
    class_of = _classes_of(data, card["classes"], path)
    loader = data.val_loader(
        image_size=card["image_size"],
        batch_size=settings.detection_protocol.batch_size,
        workers=settings.trainer.loader_workers,
    )
    found = {}
    with limited_threads():
        for part in detect(detector, loader, trainer):
            found |= {index: _as_data_s(detections, class_of) for index, detections in part.items()}
    truth = {index: loader.dataset.objects(index) for index in found}
    precision = average_precision(truth, found, data.class_names)
    print_precisions(console, measured_values(precision))
    console.print(f"on {data.val_size:,} validation images of {settings.detection_data.name}")
    return Result(
        accuracy=precision.ap or 0.0,
        metric="map",
        costs=card["costs"],
        architecture=card["architecture"],
        recipe={},
        folder=str(path.parent),
    )


def _weights(settings: DetectSettings) -> Path:
    if not settings.weights:
        raise UserError(f"mode={settings.mode}: give the weights: weights=runs/.../weights.safetensors")
    return Path(settings.weights)


def _opened(path: Path, settings: DetectSettings) -> tuple[nn.Module, dict, TrainerSettings]:
    """The detector of weights or of an exported file, what is known of it, and the means by which it runs: those of
    `settings`, for an exported file the processor."""
    if path.suffix != ".onnx":
        return load_detector(path), detector_card(path), settings.trainer
    file = open_detector(path)
    trainer = settings.trainer.model_copy(update={"accelerator": "cpu", "precision": "32-true"})
    return file, file.description.model_dump(), trainer


def _classes_of(data: DetectionData, trained: Sequence[str], path: Path) -> torch.Tensor:
    """For each class that was trained the data's label, -1 where the data has none; UserError for a class of the data
    that was not trained."""
    if unknown := [name for name in data.class_names if name not in trained]:
        raise UserError(
            f"weights={path}: class {beside(unknown[0], trained)} of the data ({len(unknown)} such) is none of the "
            f"{len(trained)} that were trained ({', '.join(list(trained)[:3])}, ...)"
        )
    label_of = {name: label for label, name in enumerate(data.class_names)}
    return torch.tensor([label_of.get(name, -1) for name in trained])


def _as_data_s(detections: Detections, class_of: torch.Tensor) -> Detections:
    """Detections with the data's labels; of classes that it does not have, none."""
    labels = class_of[detections["labels"]]
    return {name: values[labels >= 0] for name, values in (detections | {"labels": labels}).items()}


class PhotoSet(DetectionSet):
    """Photos without annotations, at their full size and as the detector sees them."""

    def __init__(self, paths: Sequence[Path], *, image_size: int):
        super().__init__(image_size=image_size)
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, index: int) -> torch.Tensor:
        return functional.pil_to_tensor(load_image(self.paths[index]))

    def objects(self, index: int) -> Objects:
        return Objects.of([], [])


def predict(settings: DetectSettings, console: Console) -> Path:
    """Look for objects in `settings.images`; returns the folder with a contact sheet and a file of results as COCO has
    them, of all detections that the detector gives."""
    detector, card, trainer = _opened(_weights(settings), settings)
    photos = PhotoSet(_photos(settings.images), image_size=card["image_size"])
    sampler, size = OrderedSampler(photos), settings.detection_protocol.batch_size
    workers = settings.trainer.loader_workers
    loader = Loader(photos, sampler=sampler, batch_size=size, workers=workers, drop_last=False, pinned=False)
    found = {}
    with limited_threads():
        for part in detect(detector, loader, trainer):
            found |= part
    folder = Path(settings.runs_dir) / settings.study / "predictions" / (Path(settings.images).resolve().stem or "root")
    _write_results(folder / RESULTS, photos, found, card)
    shown = _write_sheet(folder / SHEET, photos, found, card["classes"], score=settings.score)
    sure = sum(int((detections["scores"] >= settings.score).sum()) for detections in found.values())
    console.print(f"{sure:,} objects with a score of {settings.score:g} or more in {len(photos):,} photos")
    console.print(f"written: {folder / RESULTS} (all), {folder / SHEET} (of {shown} photos)", soft_wrap=True)
    return folder


def _photos(given: str | None) -> list[Path]:
    """The image files of a folder, in the order of their names, or the one."""
    if not given:
        raise UserError("mode=predict: give a folder of photos, or one: images=...")
    path = Path(given)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"images={given}: no such folder or file")
    inside = (found for found in path.rglob("*") if found.suffix.lower() in EXTENSIONS and found.is_file())
    photos = sorted(found for found in inside if not any(map(is_passed_over, found.relative_to(path).parts)))
    if not photos:
        raise UserError(f"images={given}: holds no images")
    return photos


def _write_results(file: Path, photos: PhotoSet, found: dict[int, Detections], card: dict) -> None:
    category_ids = card.get("category_ids") or range(1, len(card["classes"]) + 1)
    results = coco_detections({index + 1: found[index] for index in found}, category_ids=category_ids)
    named = [{**result, "file_name": str(photos.paths[result["image_id"] - 1])} for result in results]
    write_whole(file, json.dumps(named))


def _write_sheet(
    file: Path, photos: PhotoSet, found: dict[int, Detections], names: Sequence[str], *, score: float
) -> int:
    """The first photos with what is at least so sure in them; how many they are."""
    pictures = []
    for index in range(min(len(photos), ON_A_SHEET)):
        sure = found[index]["scores"] >= score
        boxes, labels, scores = (found[index][name][sure] for name in ("boxes", "labels", "scores"))
        words = [f"{names[label]} {value:.2f}" for label, value in zip(labels.tolist(), scores.tolist(), strict=True)]
        pictures.append([with_boxes(photos.image(index), boxes, labels, words)])
    write_sheet(file, pictures, columns=min(6, len(pictures)))
    return len(pictures)
