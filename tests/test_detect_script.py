"""detect.py: from a command to weights, a card and pictures, without files of one's own."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console

import nars
from nars.commands.detect import PICTURES, train_detector
from nars.configuration import settings_from
from nars.data.detection import open_detection_data
from nars.errors import UserError
from nars.records import Ledger
from nars.settings import DetectSettings
from nars.training.weights.average_precision import average_precision
from nars.training.weights.detections import in_whole_images

ROOT = Path(__file__).parents[1]
TINY = (
    *(
        "candidate=timm:test_efficientnet",
        "trainer.accelerator=cpu",
        "detection_data.side=64",
        "detection_data.digits=2",
    ),
    *("detection_data.train_images=8", "detection_data.val_images=3", "detection_protocol.image_size=64"),
    *("detection_protocol.epochs=1", "detection_protocol.batch_size=4", "detector.channels=16", "detector.hidden=16"),
)


def settings_of(*overrides: str) -> DetectSettings:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return settings_from(compose("detect", overrides=[*TINY, *overrides]), DetectSettings)


def run(*overrides: str) -> tuple[Path, str]:
    """The folder of a training, and what was said."""
    output = io.StringIO()
    result = train_detector(settings_of(*overrides), Console(file=output, width=100))
    return Path(result.folder), output.getvalue()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, str]:
    return run(f"runs_dir={tmp_path_factory.mktemp('runs')}")


def test_a_training_ends_with_weights_a_card_pictures_and_what_was_reached(trained):
    folder, said = trained
    card = yaml.safe_load((folder / "card.yaml").read_text())
    assert card["architecture"]["timm"] == "test_efficientnet"
    assert card["detector"]["channels"] == 16
    assert card["classes"] == [str(digit) for digit in range(10)]
    assert {"map", "ap50", "ap75", "ap_small", "ap_medium", "ap_large", "val_loss"} <= card.keys()
    assert card["ap_large"] is None
    for words in ("AP50", "AP small", "validation loss", "AP by class", " - ", "epoch 1/1: mAP", "MACs"):
        assert words in said, words
    [record] = Ledger(folder.parents[1] / "records.jsonl")
    assert (record.metric, record.origin.data) == ("map", "scattered_digits")
    assert record.costs == card["costs"]
    with Image.open(folder / PICTURES) as sheet:
        assert sheet.size == (3 * 2 * 256, 256)
    assert "detect.py" in said
    assert not (folder / "checkpoint.ckpt").exists()


def test_weights_are_loaded_by_their_card_and_give_what_the_card_says(trained):
    folder, _ = trained
    card = yaml.safe_load((folder / "card.yaml").read_text())
    detector = nars.load_detector(folder / "weights.safetensors")
    assert not detector.training
    data = open_detection_data(settings_of().detection_data)
    images = data.val_loader(image_size=card["image_size"], batch_size=4)
    with torch.no_grad():
        [(pixels, targets)] = list(images)
        found = in_whole_images(detector(pixels), targets)
    truth = {index: images.dataset.objects(index) for index in found}
    assert average_precision(truth, found, data.class_names).ap == pytest.approx(card["map"], abs=1e-6)


def test_the_same_command_shows_what_is_known(trained):
    folder, said = trained
    again, words = run(f"runs_dir={folder.parents[2]}")
    assert again == folder
    assert "already trained" in words
    assert "epoch 1/1" not in words
    assert words.splitlines()[-1] == said.splitlines()[-1]


def test_without_its_library_nothing_is_trained(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(UserError) as error:
        run(f"runs_dir={tmp_path}")
    assert str(error.value) == "mAP needs faster-coco-eval: pip install -r requirements-detection.txt"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["--help", "detector.chanels=3"])
def test_help_and_wrong_settings_do_without_torch(word):
    command = [sys.executable, "-X", "importtime", "detect.py", word]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if word == "--help" else 2)
    assert "| torch" not in done.stderr
    assert "did you mean detector.channels?" in done.stderr or word == "--help"
