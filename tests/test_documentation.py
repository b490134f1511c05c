"""Every command of README.md and CONTRIBUTING.md: checked as it stands, then run on tiny images and networks."""

import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image
from rich.console import Console
from sklearn.datasets import load_digits

from nars.commands.detect import train_detector
from nars.commands.detections import evaluate_detector, predict
from nars.commands.evaluate import evaluate_weights
from nars.commands.export import export_weights
from nars.commands.latency import measure_latency
from nars.commands.prepare import prepare_data
from nars.commands.pretrain import pretrain_to_file
from nars.commands.search import Search
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.settings import (
    DetectSettings,
    ExportSettings,
    MeasureSettings,
    PrepareSettings,
    PretrainScriptSettings,
    SearchSettings,
    TrainSettings,
)
from nars.study.outcomes import Result
from nars.training.local_executor import LocalExecutor

ROOT = Path(__file__).parents[1]
SETTINGS = {
    "search.py": SearchSettings,
    "train.py": TrainSettings,
    "prepare_data.py": PrepareSettings,
    "measure_latency.py": MeasureSettings,
    "pretrain_predictor.py": PretrainScriptSettings,
    "export.py": ExportSettings,
    "detect.py": DetectSettings,
}
# What makes a run tiny, unless the command says otherwise; sizes do, whatever the command says.
SIZES = (
    "detection_protocol.epochs",
    "protocol.epochs",
    "protocol.batch_size",
    "strategy.rounds",
    "strategy.batch",
    "entries",
    "format=",
)
TINY_TRAINING = {
    "protocol.epochs": "1",
    "protocol.steps_per_epoch": "1",
    "protocol.batch_size": "8",
    "protocol.image_scale": "0.15",
    "trainer.accelerator": "cpu",
    "trainer.loader_workers": "0",
}
TINY = {
    "search.py": TINY_TRAINING
    | {
        "search_space": "tiny",
        "recipe_space": "tiny",
        "protocol.image_scale": "0.75",
        "strategy.rounds": "1",
        "strategy.batch": "2",
        "strategy.first_batch": "null",
        "strategy.pool_size": "100",
        "strategy.window.min_macs": "null",
        "predictor.pretrain.pool_size": "200",
        "predictor.pretrain.epochs": "1",
        "predictor.members": "1",
        "predictor.fit.frozen_epochs": "1",
        "predictor.fit.whole_epochs": "1",
        "predictor.fit.process_steps": "1",
        "evolution.max_generations": "1",
        "confirm.pairs": "1",
        "reference": "timm:test_efficientnet",
        "executor.workers": "1",
    },
    "train.py": TINY_TRAINING,
    "prepare_data.py": {"workers": "1"},
    "measure_latency.py": {"table": "latency/onnxruntime", "passes": "1", "check_networks": "0", "entries": "100"},
    "pretrain_predictor.py": {"predictor.pretrain.pool_size": "200", "predictor.pretrain.epochs": "1"},
    "export.py": {"format": "hub", "latency_runs": "1"},
    "detect.py": {
        "candidate": "timm:test_efficientnet",
        "detection_protocol.epochs": "1",
        "detection_protocol.steps_per_epoch": "1",
        "detection_protocol.batch_size": "4",
        "detection_protocol.image_size": "64",
        "trainer.accelerator": "cpu",
        "trainer.loader_workers": "0",
    },
}
# Of these only the settings are checked: they need what a test has not.
ELSEWHERE = (
    "executor=ray",
    "hydra/",
    "trainer=ddp",
    "detection_data=coco",
    "detection_data=yolo",
    "offline=false",
    "records=",
    "command=",
    "networks=",
    "weights=timm:",
    "start=inherit",
)
ELSEWHERE += ("search_space.candidate=",)  # large networks; tests/test_fixed_network.py searches with a small one


def documented() -> list[str]:
    """Commands of all code blocks and of code inside lines, without their comments."""
    lines = []
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text()
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.S | re.M)
        lines += [line for block in blocks for line in block.splitlines()]
        lines += re.findall(r"`(python [^`]+)`", re.sub(r"^```\w*\n.*?^```", "", text, flags=re.S | re.M))
    commands = [line.split("  #")[0].strip() for line in lines if line.startswith("python ")]
    return list(dict.fromkeys(commands))


COMMANDS = documented()
SCRIPTS = [command for command in COMMANDS if command.split()[1] in SETTINGS and "--" not in command]


def jobs(command: str) -> list[tuple[str, list[str]]]:
    """Script and overrides of each job of a command: one, or all of a sweep."""
    _, script, *words = shlex.split(command)
    overrides = [word for word in words if not word.startswith("-")]
    if "-m" not in words or any(word.startswith("hydra/sweeper") for word in words):
        return [(script, overrides)]
    parsed = OverridesParser.create().parse_overrides(overrides)
    return [(script, list(job)) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def settings_of(script: str, overrides: list[str]):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return settings_from(compose(script.removesuffix(".py"), overrides=overrides), SETTINGS[script])


def test_the_documentation_has_commands():
    assert len(SCRIPTS) > 20
    assert {command.split()[1] for command in SCRIPTS} == set(SETTINGS)


@pytest.mark.parametrize("command", SCRIPTS)
def test_a_documented_command_is_valid(command):
    for script, overrides in jobs(command):
        settings_of(script, overrides)


def test_what_is_no_script_is_a_module_that_helps():
    others = [command for command in COMMANDS if command not in SCRIPTS]
    assert others
    for command in others:
        _, *words = shlex.split(command)
        target = words[:2] if words[0] == "-m" else words[:1]
        done = subprocess.run(
            [sys.executable, *target, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def write_images(folder: Path, *, classes: int, images: int) -> None:
    """A folder of digits for every class."""
    digits = load_digits()
    for i in range(classes):
        (folder / str(i)).mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.target == i % 10][:images]):
            pixels = Image.fromarray((image * 15).astype("uint8")).resize((48, 48)).convert("RGB")
            pixels.save(folder / str(i) / f"{number}.jpg")


def write_boxes(root: Path) -> str:
    """Pascal VOC's layout: black squares of one class on white."""
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    for number in range(6):
        image = Image.new("RGB", (64, 64), "white")
        image.paste("black", (10, 10, 40, 40))
        image.save(root / "JPEGImages" / f"{number}.jpg")
        box = "<bndbox><xmin>11</xmin><ymin>11</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
        size = "<size><width>64</width><height>64</height></size>"
        text = f"<annotation>{size}<object><name>square</name>{box}</object></annotation>"
        (root / "Annotations" / f"{number}.xml").write_text(text)
    for split, numbers in (("train", "0 1 2 3"), ("val", "4 5")):
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text(numbers.replace(" ", "\n"))
    return str(root)


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, str]:
    """What stands for the folders that the documentation names."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("train", "val", "imagenet", "images"):
        write_images(folder / name, classes=3, images=12)
    return {
        "/images": str(folder / "images"),
        "/path/to/ILSVRC2012/train": str(folder / "imagenet"),
        "/path/to/train": str(folder / "train"),
        "/path/to/val": str(folder / "val"),
        "/prepared": str(folder / "prepared"),
        "/cells": write_boxes(folder / "cells"),
        "latency/onnxruntime": str(folder / "latency"),
        "latency/torch": str(folder / "latency-torch"),
        "runs": str(folder / "runs"),
    }


class Kept(LocalExecutor):
    """Workers that stay for the next search, which need not wait for their imports."""

    def __exit__(self, *exception) -> None: ...


@pytest.fixture
def kept_workers(monkeypatch):
    executors = []

    def kept(settings, run, **given):
        if not executors:
            executors.append(Kept(settings, run))
        return executors[0]

    monkeypatch.setattr("nars.methods.base.open_executor", kept)
    yield
    for executor in executors:
        executor.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_documented_commands_run(places, kept_workers):
    """In their order, because later ones read what earlier ones wrote."""
    made = {}  # what stands for files of earlier commands
    for command in SCRIPTS:
        if any(word in command for word in ELSEWHERE):
            continue
        for script, overrides in jobs(command):
            overrides = [override for override in overrides if not override.startswith(SIZES)]
            given = {override.partition("=")[0] for override in overrides}
            exports_detector = script == "export.py" and "weights=runs/detected/" in " ".join(overrides)
            overrides = [placed(override, places | made) for override in overrides]
            tiny = dict(TINY[script]) | ({"format": "onnx"} if exports_detector else {})
            if any(override.startswith("start.weights=") for override in overrides):
                tiny.pop("candidate", None)  # it is that of the weights
            if any(override.startswith("method=fbnet") for override in overrides):
                tiny |= {"method.epochs": "1", "method.theta.after": "0", "method.samples": "1"}
                tiny |= {} if "data=folder" in overrides else {"data.val_fraction": "0.9"}
            if (script == "detect.py" or exports_detector) and "detection_data=" not in " ".join(overrides):
                tiny |= {"detection_data.train_images": "8", "detection_data.val_images": "4"}
            if "experiment=imagenet200" in overrides:
                tiny |= {"data.num_classes": "3", "data.val_images": "6", "executor": "local", "trainer": "default"}
            overrides += [placed(f"{key}={value}", places) for key, value in tiny.items() if key not in given]
            overrides += [f"runs_dir={places['runs']}"] if "runs_dir" in SETTINGS[script].model_fields else []
            print(script, *overrides)  # shown if it fails
            result = run(script, settings_of(script, overrides))
            if script == "search.py" and result is not None:
                made["runs/digits/answers/"] = f"{result.folder}/best-1.yaml"
            if script == "detect.py" and isinstance(result, Result):
                made.setdefault("runs/detected/trainings/KEY-epochs-3/", f"{result.folder}/weights.safetensors")
            if script == "train.py" and isinstance(result, Path) and "data=folder" not in overrides:
                made["runs/trained/trainings/KEY-epochs-400/"] = f"{result}/weights.safetensors"


def placed(override: str, places: dict[str, str]) -> str:
    """The override with folders and files that are there; a name that ends in / stands for all that begins with it."""
    key, _, value = override.partition("=")
    for name in sorted(places, key=len, reverse=True):
        if value.startswith(name):
            return f"{key}={places[name]}" + ("" if name.endswith("/") else value.removeprefix(name))
    return override


def run(script: str, settings):
    """What the script does with its settings, in this process."""
    console = Console(file=io.StringIO())
    match script:
        case "search.py":
            return Search(settings=settings, console=console).run()
        case "train.py":
            return (train_candidate if settings.mode == "train" else evaluate_weights)(settings, console)
        case "measure_latency.py":
            return measure_latency(settings, console)
        case "prepare_data.py":
            return prepare_data(settings, console)
        case "export.py":
            return export_weights(settings, console)
        case "detect.py":
            does = {"train": train_detector, "evaluate": evaluate_detector, "predict": predict}
            return does[settings.mode](settings, console)
        case "pretrain_predictor.py":
            return pretrain_to_file(settings, console)
