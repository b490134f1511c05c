"""How well and how fast detectors learn from nothing: `detect.py` by its defaults, and on photos of one's own."""

import argparse
import csv
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from experiments.tables import markdown_table, write_found
from nars.candidates import load_architecture
from nars.commands.detect import train_detector
from nars.configuration import settings_from
from nars.console import open_console
from nars.data.detection import open_detection_data
from nars.files import CONF
from nars.machine import processor
from nars.networks.architectures import architecture_of
from nars.records import training_key
from nars.settings import DetectSettings
from nars.shell import literal
from nars.spaces.candidate import Candidate
from nars.training.detection_job import detection_identity
from nars.training.weights.detector_files import new_detector

STEPS = 4  # of a measurement of speed
ROUNDS = 3
# Own photos: small images, so that a core trains in minutes. Chosen once, without looking at results.
OWN = ("detection_protocol.image_size=192", "detection_protocol.batch_size=4", "detection_protocol.epochs=12")
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


def speed_table() -> str:
    """Thread seconds of a step of every detector, and of all steps of the default training."""
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
    data = open_detection_data(settings.detection_data)
    protocol, trainer = settings.detection_protocol, settings.trainer
    candidate = Candidate(architecture=load_architecture(settings.candidate), recipe={})
    key = training_key(candidate, detection_identity(data, settings.detector, protocol, trainer), settings.seed)
    found = [[]]
    for file in (runs / settings.study / "trainings").glob(f"{key}-epochs-*/metrics.csv"):
        with open(file) as lines:
            found.append([row for row in csv.DictReader(lines) if row["map"]])
    return max(found, key=len)


HEADER = ("training", "epochs", "mAP", "AP50", "validation loss", "mAP by epoch")


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/detection"), help="folder of the trainings")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of the default")
    parser.add_argument("--voc", type=Path, help="folder of own photos in Pascal VOC's layout")
    parser.add_argument("--known", action="store_true", help="train nothing, write what is known")
    given = parser.parse_args()
    torch.set_num_threads(1)
    how = {"runs": given.runs, "train": not given.known}
    rows = [curves(f"default, seed {seed}", [f"seed={seed}"], **how) for seed in range(given.seeds)]
    if given.voc:
        own = ("detection_data=voc", f"detection_data.root={literal(str(given.voc))}", *OWN)
        rows.append(curves("own photos, " + " ".join(OWN), own, **how))
    parts = [f"On one thread of {processor()}, PyTorch {torch.__version__.partition('+')[0]}.", speed_table()]
    write_found(__file__, "\n\n".join([*parts, markdown_table(HEADER, [row for row in rows if row])]))


if __name__ == "__main__":
    main()
