"""detect.py: from a command to weights, a card and pictures, without files of one's own."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console

import nars
from nars.commands.detect import PICTURES, train_detector
from nars.commands.detections import _as_data_s, _classes_of, evaluate_detector, predict
from nars.commands.evaluate import evaluate_weights
from nars.commands.export import export_weights
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.data.detection import open_detection_data
from nars.errors import UserError
from nars.overrides import with_texts_quoted
from nars.records import Ledger
from nars.settings import (
    CocoSettings,
    DetectSettings,
    ExportSettings,
    ScatteredDigitsSettings,
    TrainSettings,
    VocSettings,
    YoloSettings,
)
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


def test_evaluating_gives_what_the_card_says(trained):
    folder, _ = trained
    output = io.StringIO()
    settings = settings_of("mode=evaluate", f"weights={folder / 'weights.safetensors'}")
    result = evaluate_detector(settings, Console(file=output, width=100))
    card = yaml.safe_load((folder / "card.yaml").read_text())
    assert result.accuracy == pytest.approx(card["map"], abs=1e-6)
    assert "AP by class" in output.getvalue()
    assert "3 validation images of scattered_digits" in output.getvalue()


def test_predictions_are_a_contact_sheet_and_results_in_the_photos_own_pixels(trained, tmp_path):
    folder, _ = trained
    weights, photos = folder / "weights.safetensors", tmp_path / ".own/photos"  # what is above them may be hidden
    for name in ("of today", "@eaDir"):
        (photos / name).mkdir(parents=True)
    sizes = {"a.png": (200, 100), "of today/b.jpg": (64, 64), ".hidden.png": (9, 9), "@eaDir/a.png": (9, 9)}
    for name, size in sizes.items():
        Image.new("RGB", size, "gray").save(photos / name)
    (photos / "notes.txt").write_text("none")
    given = (f"runs_dir={tmp_path / 'runs'}", f"weights={weights}", f"images={photos}", "score=0.01")
    out = predict(settings_of("mode=predict", *given), Console(file=io.StringIO(), width=100))
    results = json.loads((out / "detections.json").read_text())
    assert {Path(result["file_name"]).name for result in results} <= {"a.png", "b.jpg"}
    wide = [result["bbox"] for result in results if result["image_id"] == 1]
    assert all(x >= 0 and x + w <= 200.01 and y >= 0 and y + h <= 100.01 for x, y, w, h in wide)
    assert max(x + w for x, y, w, h in wide) > 100
    assert {result["category_id"] for result in results} <= set(range(1, 11))
    with Image.open(out / "detections.png") as sheet:
        assert sheet.size == (2 * 256, 256)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("mode=predict", "weights={weights}"), "mode=predict: give a folder of photos, or one: images=..."),
        (("mode=predict", "weights={weights}", "images=/nowhere"), "images=/nowhere: no such folder or file"),
        (("mode=predict", "weights={weights}", "images={empty}"), "images={empty}: holds no images"),
        (("mode=predict", "images={empty}"), "mode=predict: give the weights: weights=runs/.../weights.safetensors"),
        (("mode=predict", "weights=/no.safetensors", "images={empty}"), "weights=/no.safetensors: no such file"),
        (("weights={weights}",), "weights=... is for mode=evaluate and mode=predict"),
    ],
)
def test_wrong_uses_of_weights_are_one_line(trained, tmp_path, overrides, message):
    names = {"weights": str(trained[0] / "weights.safetensors"), "empty": str(tmp_path / "empty")}
    (tmp_path / "empty").mkdir()
    settings = settings_of(f"runs_dir={tmp_path / 'runs'}", *(override.format(**names) for override in overrides))
    action = predict if settings.mode == "predict" else train_detector
    with pytest.raises(UserError) as error:
        action(settings, Console(file=io.StringIO()))
    assert str(error.value) == message.format(**names)


def test_data_of_other_classes_are_refused_and_a_part_of_the_classes_is_measured(trained, tmp_path):
    folder, _ = trained
    class_of = _classes_of(SimpleNamespace(class_names=("7", "3")), [str(d) for d in range(10)], folder)
    assert class_of.tolist() == [-1, -1, -1, 1, -1, -1, -1, 0, -1, -1]
    found = {"labels": torch.tensor([3, 4, 7]), "scores": torch.tensor([0.9, 0.8, 0.7]), "boxes": torch.zeros(3, 4)}
    kept = _as_data_s(found, class_of)
    assert kept["labels"].tolist() == [1, 0]
    assert torch.equal(kept["scores"], torch.tensor([0.9, 0.7]))
    with pytest.raises(UserError, match=r"class ant of the data \(1 such\) is none of the 10 that were trained"):
        _classes_of(SimpleNamespace(class_names=("ant", "3")), [str(d) for d in range(10)], folder)


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


def test_no_key_is_a_text_of_some_data_and_a_number_of_others():
    """Words of a command line are read before it is known which data they are for."""
    numbers = {"int", "float"}
    kinds: dict[str, set[str]] = {}
    for settings in (CocoSettings, ScatteredDigitsSettings, VocSettings, YoloSettings):
        for name, field in settings.model_fields.items():
            kinds.setdefault(name, set()).add("number" if numbers & set(str(field.annotation).split("'")) else "text")
    assert {name for name, found in kinds.items() if len(found) > 1} == set()
    words = with_texts_quoted(["detection_data.train_images=8", "detection_data.root=2012"], DetectSettings)
    assert words == ["detection_data.train_images=8", 'detection_data.root="2012"']


def settings_for(script: str, settings_class, *overrides: str):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return settings_from(compose(script, overrides=list(overrides)), settings_class)


def use_as_classifier(use: str, weights: Path, folder: Path) -> None:
    console = Console(file=io.StringIO())
    given = ("candidate=fbnetv3_a0", f"{use}.weights={weights}", f"runs_dir={folder}")
    match use:
        case "load":
            nars.load_trained(weights)
        case "evaluate":
            evaluate_weights(settings_for("train", TrainSettings, "mode=evaluate", f"weights={weights}"), console)
        case "start":
            train_candidate(settings_for("train", TrainSettings, *given, "start=finetune"), console)
        case "teacher":
            train_candidate(settings_for("train", TrainSettings, *given), console)


@pytest.mark.parametrize("use", ["load", "evaluate", "start", "teacher"])
def test_weights_of_a_detector_are_not_taken_for_a_classifier_s(trained, tmp_path, use):
    weights = trained[0] / "weights.safetensors"
    with pytest.raises(UserError) as error:
        use_as_classifier(use, weights, tmp_path)
    assert str(error.value).startswith(f"weights={weights}: of a detector, not of a classifier; detect.py mode=")


def exported(weights: Path, *overrides: str) -> str:
    """What is said of the files."""
    pytest.importorskip("onnx", reason="format=onnx needs requirements-export.txt")
    output = io.StringIO()
    data = [word for word in TINY if word.startswith("detection_data") and "detection_data=coco" not in overrides]
    settings = settings_for("export", ExportSettings, f"weights={weights}", "latency_runs=3", *data, *overrides)
    export_weights(settings, Console(file=output, width=100, markup=False))
    return output.getvalue()


def test_an_exported_detector_is_measured_as_it_lies_there_and_found_in_the_card(trained, tmp_path):
    folder, _ = trained
    before = yaml.safe_load((folder / "card.yaml").read_text())
    said = exported(folder / "weights.safetensors")
    rows = {words[0]: words[1:] for line in said.splitlines() if (words := line.split()) and line.startswith(" ")}
    card = yaml.safe_load((folder / "card.yaml").read_text())
    found = card.pop("exported")["onnx"]
    assert card == before
    file = folder / found["file"]
    assert file == folder / "exported/model.onnx"
    assert found["mb"] == pytest.approx(file.stat().st_size / 1e6, abs=1e-5)
    assert found["map"] == pytest.approx(before["map"], abs=1e-4)
    assert (found["images"], found["image_size"]) == (3, 64)
    difference = f"{found['max_box_difference']:.1e}"
    assert rows["onnx"][:2] + rows["onnx"][3:4] == [f"{found['mb']:.2f}", difference, f"{found['map']:.4f}"]
    assert rows["torch"][1] == f"{before['map']:.4f}"
    assert "onnx takes one photo of any size; the detector knows a longer side of 64 px" in said
    assert said.splitlines()[-1].endswith(f"detect.py mode=predict weights={file} images=...")

    output, photos = io.StringIO(), tmp_path / "photos"
    result = evaluate_detector(settings_of("mode=evaluate", f"weights={file}"), Console(file=output, width=100))
    assert result.accuracy == pytest.approx(found["map"], abs=1e-6)
    assert (result.costs, result.architecture) == (before["costs"], before["architecture"])
    photos.mkdir()
    Image.new("RGB", (200, 100), "gray").save(photos / "a.png")
    given = ("mode=predict", f"weights={file}", f"images={photos}", f"runs_dir={tmp_path / 'runs'}")
    out = predict(settings_of(*given), Console(file=io.StringIO()))
    boxes = [found["bbox"] for found in json.loads((out / "detections.json").read_text())]
    assert 100 < max(x + w for x, y, w, h in boxes) <= 200.01  # in the photo's own pixels
    assert all(x >= 0 and y >= 0 and y + h <= 100.01 for x, y, w, h in boxes)


def write_coco(root: Path) -> None:
    """A grey photo with two classes for each split."""
    (root / "annotations").mkdir()
    for split in ("train2017", "val2017"):
        (root / split).mkdir()
        Image.new("RGB", (64, 64), "gray").save(root / split / "a.png")
        boxes = [{"id": k, "image_id": 1, "category_id": k, "bbox": [5 * k, 5, 20, 20]} for k in (1, 2)]
        known = {"images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}], "annotations": boxes}
        known["categories"] = [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}]
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(known))


OF = "weights={weights} are of a detector"
NOT_EXPORTED = {  # words of the command, and how the line begins
    "format=onnx_int8": f"format=onnx_int8: {OF}, and 8 bits are for classifiers alone; take format=onnx, the whole",
    "format=torch_export": f"format=torch_export: {OF}, and torch.export fails on torchvision's, whose NMS branches on",
    "format=[onnx,hub]": f"format=hub: {OF}, and timm's layout is for classifiers alone; take format=onnx, the whole",
    "push=true": f"push=true uploads format=hub, but {OF}, and timm's layout is for classifiers alone; leave push out",
    "batch=2": f"batch=2: {OF}; onnx takes one image, onnx_heads any number: leave batch=dynamic",
    "input=normalised": f"input=normalised: {OF}, which normalise their images themselves; leave input=bytes",
    "data=folder data.root=/photos": f"data=folder: {OF}; give images with boxes: detection_data=...",
    "format=onnx_heads": "format=onnx_heads holds detector=fcos alone, which says of every place at once what",
    "detection_data=coco detection_data.root={coco}": "detection_data=coco: has 2 (ant, bee, ...) classes, the weights",
}


@pytest.mark.parametrize("words", NOT_EXPORTED)
def test_what_cannot_be_exported_of_a_detector_is_one_line(words, trained, tmp_path):
    names = {"weights": trained[0] / "weights.safetensors", "coco": tmp_path}
    write_coco(tmp_path)
    with pytest.raises(UserError) as error:
        exported(names["weights"], f"output={tmp_path / 'out'}", *words.format(**names).split())
    assert str(error.value).startswith(NOT_EXPORTED[words].format(**names))
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()
