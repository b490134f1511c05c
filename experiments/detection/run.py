"""How well and how fast detectors learn from nothing: `detect.py` by its defaults, and on photos of one's own."""

import argparse
import copy
import csv
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from safetensors.torch import save

from experiments.tables import markdown_table, write_found
from nars.candidates import load_architecture
from nars.commands.detect import train_detector
from nars.commands.export_detector import description_of
from nars.configuration import settings_from
from nars.console import open_console
from nars.data.detection import DetectionData, open_detection_data
from nars.exporting.detector_measuring import differences, measure_detectors
from nars.exporting.detector_measuring import rows as exported_rows
from nars.exporting.detectors import write_detector
from nars.exporting.measuring import COMPARED
from nars.exporting.opening import FILES
from nars.files import CONF, write_whole
from nars.machine import processor
from nars.networks.architectures import architecture_of
from nars.networks.detection.detectors import Detector
from nars.records import training_key
from nars.settings import DetectSettings
from nars.shell import literal
from nars.spaces.candidate import Candidate
from nars.training.detection_job import detection_identity
from nars.training.weights.card import WEIGHTS
from nars.training.weights.detector_files import detector_card, load_detector, new_detector
from nars.training.weights.files import read_state
from nars.training.weights.start import PRETRAINED, open_start, start_identity

STEPS = 4  # of a measurement of speed
ROUNDS = 3
CALLS = 50  # of an exported file, timed
EXPORTED = "The default, seed 0, exported: largest differences from PyTorch over 32 canvases, ms of a thread for one."
TRUNK = "model.backbone.trunk.network."  # begins the names of the network's tensors in a detector's weights
# Own photos: the first settings, chosen without looking at results.
EARLIER = (
    *("detection_protocol.image_size=192", "detection_protocol.batch_size=4", "detection_protocol.epochs=12"),
    *("detection_protocol.lr=2e-3", "detection_protocol.lr_decay=0.85", "detection_protocol.warmup_epochs=1"),
    "detection_protocol.augmentation=standard",
)
DETECTORS = ("faster_rcnn", "fcos", "retinanet", "faster_rcnn_c4")


def settings_of(*overrides: str) -> DetectSettings:
    """The settings of a command."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from(compose("detect", overrides=list(overrides)), DetectSettings)


def seconds_a_step(settings: DetectSettings) -> float:
    """Of one thread, the median of several rounds of training steps on the first batches: the time that the thread had
    its core, so a busy machine spoils little."""
    data, protocol = open_detection_data(settings.detection_data), settings.detection_protocol
    torch.manual_seed(0)
    architecture = architecture_of(load_architecture(settings.candidate))
    detector, _ = new_detector(architecture, settings.detector, class_names=data.class_names)
    detector = detector.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-4)
    how = {"image_size": protocol.image_size, "augmentation": protocol.augmentation}
    loader = data.train_loader(batch_size=protocol.batch_size, seed=0, **how)
    found = []
    for batches in _rounds(loader):
        begun = time.thread_time()
        for images, targets in batches:
            optimizer.zero_grad()
            sum(detector(images, targets).values()).backward()
            optimizer.step()
        found.append((time.thread_time() - begun) / len(batches))
    return statistics.median(found[1:])  # the first warms up


def _rounds(loader) -> Iterator[list]:
    batches = []
    for batch in loader:
        batches.append(batch)
        if len(batches) == (ROUNDS + 1) * STEPS:
            break
    for number in range(ROUNDS + 1):
        yield batches[number * STEPS : (number + 1) * STEPS]


def speed_table(runs: Path) -> str:
    """Thread seconds of a step of every detector, and of all steps of the default training; measured once, then kept in
    `runs`."""
    kept = runs / "speed.md"
    if not kept.exists():
        write_whole(kept, _speed_table())
    return kept.read_text()


def _speed_table() -> str:
    rows = []
    for name in DETECTORS:
        settings = settings_of(f"detector={name}")
        protocol = settings.detection_protocol
        steps = protocol.epochs * (settings.detection_data.train_images // protocol.batch_size)
        seconds = seconds_a_step(settings)
        rows.append([name, protocol.batch_size, f"{seconds:.3f}", f"{steps:,}", f"{steps * seconds:.0f}"])
    header = ("detector", "images a step", "seconds a step", "steps of the default", "seconds of all steps")
    return markdown_table(header, rows)


def curves(name: str, overrides: Sequence[str], runs: Path, *, train: bool) -> list[str] | None:
    """What was reached after each epoch, of a training that is made unless it is known, or a longer one that contains
    it; None if nothing is known and nothing may be trained."""
    settings = settings_of(*overrides, f"runs_dir={literal(str(runs))}")
    epochs = settings.detection_protocol.epochs
    rows = _known(settings, runs)
    if len(rows) < epochs and train:
        train_detector(settings, open_console())
        rows = _known(settings, runs)
    rows = rows[:epochs]
    if not rows:
        return None
    best = max(rows, key=lambda row: float(row["map"]))
    values = [f"{float(best[name]):.3f}" for name in ("map", "ap50", "val_loss")]
    return [name, f"{len(rows)} of {epochs}", *values, ", ".join(f"{float(row['map']):.3f}" for row in rows)]


def _known(settings: DetectSettings, runs: Path) -> list[dict[str, str]]:
    """The rows of the longest curve of a training, whatever number of epochs it was asked for."""
    found = [[]]
    for file in (runs / settings.study / "trainings").glob(f"{_key(settings)}-epochs-*/metrics.csv"):
        with open(file) as lines:
            found.append([row for row in csv.DictReader(lines) if row["map"]])
    return max(found, key=len)


def _weights(settings: DetectSettings, runs: Path) -> Path | None:
    """Of the training of a command, None if it is not known."""
    return next((runs / settings.study / "trainings").glob(f"{_key(settings)}-epochs-*/{WEIGHTS}"), None)


def _key(settings: DetectSettings) -> str:
    """Of the training of a command."""
    data = open_detection_data(settings.detection_data)
    protocol, trainer = settings.detection_protocol, settings.trainer
    architecture = load_architecture(settings.candidate)
    identity = detection_identity(data, settings.detector, protocol, trainer)
    start = open_start(settings.start, folder=Path(settings.runs_dir) / PRETRAINED, architecture=architecture)
    if start is not None:
        identity |= {"start": start_identity(start)}
    return training_key(Candidate(architecture=architecture, recipe={}), identity, settings.seed)


def exported_table(name: str, runs: Path, *, train: bool) -> str | None:
    """What the ONNX files of the default training with a detector are worth, and how far PyTorch's own float32 is off;
    None if the training is not known and nothing may be trained."""
    curves(name, [f"detector={name}"], runs, train=train)
    weights = _weights(settings_of(f"detector={name}"), runs)
    if weights is None:
        return None
    card, detector = detector_card(weights), load_detector(weights)
    data, side = open_detection_data(settings_of().detection_data), card["image_size"]
    kinds = ("onnx", "onnx_heads") if name == "fcos" else ("onnx",)
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder) / FILES[kind] for kind in kinds}
        for kind, file in files.items():
            write_detector(file, detector, description_of(kind, card, weights, side))
        measured = measure_detectors(detector, weights, list(files.values()), data, image_size=side, runs=CALLS)
    head, *body = exported_rows(dict(zip(["torch", *kinds], measured, strict=True)))
    exact = ["torch, float64", "", *(f"{value:.1e}" for value in _rounding(detector, data, side)), "", "", ""]
    return f"{name}:\n\n{markdown_table(head, [*body, exact])}"


@torch.inference_mode()
def _rounding(detector: Detector, data: DetectionData, side: int) -> tuple[float, float]:
    """The largest differences of boxes and scores between PyTorch's float32 and float64, over the images by which files
    are compared."""
    images = next(iter(data.val_loader(image_size=side, batch_size=COMPARED)))[0]
    model, exact = detector.model, copy.deepcopy(detector.model).double()
    off = [differences(model([image.float() / 255])[0], exact([image.double() / 255])[0]) for image in images]
    return tuple(max(values) for values in zip(*off, strict=True))


HEADER = ("training", "epochs", "mAP", "AP50", "validation loss", "mAP by epoch")


def photo_rows(given: argparse.Namespace, how: dict) -> Iterator[list[str] | None]:
    """Trainings on photos of one's own: what was tried before, the settings on the split that chose them, then once on
    the one that judges, from a random start and begun with the network of the default."""
    own = ("detection_data=voc", f"detection_data.root={literal(str(given.voc))}")
    if given.choose:
        yield curves(f"own photos, {given.choose}", [*own, f"detection_data.val={given.choose}"], **how)
    yield curves("own photos, " + " ".join(EARLIER), [*own, *EARLIER], **how)
    yield curves("own photos", own, **how)
    if (default := _weights(settings_of(), given.runs)) is not None:
        yield curves("own photos, warm start", [*own, *warm_start(default, given.runs)], **how)


def warm_start(detector: Path, runs: Path) -> list[str]:
    """Words that begin a training with the network of a detector's weights, which is put into a file of `runs`."""
    file = runs / "trunk.safetensors"
    if not file.exists():
        state = read_state(detector)
        trunk = {name.removeprefix(TRUNK): tensor for name, tensor in state.items() if name.startswith(TRUNK)}
        write_whole(file, save(trunk))
    return ["candidate=fbnetv3_a0", "start=finetune", f"start.weights={literal(str(file))}", "start.inherit=matching"]


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/detection"), help="folder of the trainings")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of the default")
    parser.add_argument("--voc", type=Path, help="folder of own photos in Pascal VOC's layout")
    parser.add_argument("--choose", help="its split by which the settings were chosen, shown too")
    parser.add_argument("--known", action="store_true", help="train nothing, write what is known")
    given = parser.parse_args()
    torch.set_num_threads(1)
    how = {"runs": given.runs, "train": not given.known}
    rows = [curves(f"default, seed {seed}", [f"seed={seed}"], **how) for seed in range(given.seeds)]
    rows += photo_rows(given, how) if given.voc else []
    parts = [f"On one thread of {processor()}, PyTorch {torch.__version__.partition('+')[0]}.", speed_table(given.runs)]
    parts += [markdown_table(HEADER, [row for row in rows if row]), EXPORTED]
    parts += [table for name in ("faster_rcnn", "fcos") if (table := exported_table(name, **how))]
    write_found(__file__, "\n\n".join(parts))


if __name__ == "__main__":
    main()
