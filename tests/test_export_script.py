"""`export.py`: every format written, measured as it lies there, and said in the card."""

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console

from nars.commands.evaluate import evaluate_weights
from nars.commands.export import Export, export_weights
from nars.configuration import settings_from
from nars.data import open_data
from nars.errors import UserError
from nars.exporting.opening import open_exported
from nars.settings import DigitsSettings, ExportSettings, TrainSettings
from nars.training.weights.card import read_card, write_card

ROOT = Path(__file__).parents[1]
OLD = ROOT / "tests/fixtures/old_study/trained"
ALL = ("onnx", "onnx_int8", "torch_export", "hub")


def settings_of(script: str, settings_class, *overrides: str):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return settings_from(compose(script, overrides=list(overrides)), settings_class)


@pytest.fixture
def weights(tmp_path) -> Path:
    """Of a small training on digits, with their card."""
    shutil.copytree(OLD, tmp_path / "trained")
    [file] = tmp_path.glob("trained/trainings/*/weights.safetensors")
    return file


def exported(weights: Path, *overrides: str) -> str:
    output = io.StringIO()
    settings = settings_of("export", ExportSettings, f"weights={weights}", "latency_runs=3", *overrides)
    export_weights(settings, Console(file=output, width=100, markup=False))
    return output.getvalue()


@pytest.mark.slow
def test_the_table_is_measured_on_the_files_and_the_card_gains_it(weights):
    pytest.importorskip("onnx", reason="needs requirements-export.txt")
    before = read_card(weights)
    output = exported(weights, f"format=[{','.join(ALL)}]", "calibration.images=40")
    lines = [line.split() for line in output.splitlines() if re.match(rf" *({'|'.join(ALL)}|torch) ", line)]
    rows = {name: numbers for name, *numbers in lines}
    assert tuple(rows) == ("torch", *ALL)
    card = read_card(weights)
    assert {key: value for key, value in card.items() if key != "exported"} == before
    assert tuple(card["exported"]) == ALL
    for kind, found in card["exported"].items():
        file = weights.parent / found["file"]
        assert rows[kind][2] == f"{found['top1']:.4f}"
        assert float(rows[kind][1]) == pytest.approx(found["max_difference"], rel=0.1, abs=1e-6)
        again = settings_of(
            "train", TrainSettings, "mode=evaluate", f"weights={file}", f"runs_dir={weights.parents[2]}"
        )
        result = evaluate_weights(again, Console(file=io.StringIO()))
        assert result.accuracy == pytest.approx(found["top1"], abs=1e-6)
        assert result.architecture == card["architecture"]
    assert card["exported"]["torch_export"]["max_difference"] == 0
    assert card["exported"]["onnx"]["max_difference"] < 1e-3 < card["exported"]["onnx_int8"]["max_difference"]
    assert abs(card["exported"]["onnx"]["top1"] - before["top1"]) < 0.02  # digits have not 8 bits but for that
    size = (weights.parent / "exported/model.onnx").stat().st_size
    assert float(rows["onnx"][0]) == pytest.approx(size / 1e6, abs=0.006)
    assert f"weights={weights.parent / 'exported/model.onnx'}" in output.splitlines()[-1]


def test_only_training_images_calibrate_and_as_many_as_asked_for(weights):
    settings = settings_of("export", ExportSettings, f"weights={weights}", "calibration.images=50")
    data = open_data(DigitsSettings(name="digits"))
    export = Export(settings=settings, weights=weights, card=read_card(weights), data=data)
    images = torch.cat(list(export.calibration(export.description("onnx_int8"))))
    assert images.shape == (50, 3, 32, 32)
    to_bytes = export.description("onnx_int8").inputs_of(data)

    def whole(loader) -> set[bytes]:
        return {image.numpy().tobytes() for batch, _ in loader for image in to_bytes(batch)}

    validation = whole(data.val_loader(image_size=32, batch_size=64))
    training = whole(data.train_loader(image_size=32, batch_size=1, augmentation="none", seed=0))
    used = {image.numpy().tobytes() for image in images}
    assert used <= training
    assert len(used) == 50
    assert not used & validation


def test_a_fixed_batch_calibrates_in_whole_batches(weights):
    settings = settings_of("export", ExportSettings, f"weights={weights}", "calibration.images=20", "batch=8")
    data = open_data(DigitsSettings(name="digits"))
    export = Export(settings=settings, weights=weights, card=read_card(weights), data=data)
    batches = list(export.calibration(export.description("onnx_int8")))
    assert [len(batch) for batch in batches] == [8, 8, 8]


def test_images_are_normalised_as_those_of_the_training_were(weights):
    """Whatever the images are on which the weights are measured, or from which they are exported."""
    data = open_data(DigitsSettings(name="digits"))
    settings = settings_of("export", ExportSettings, f"weights={weights}")
    evaluation = settings_of(
        "train", TrainSettings, "mode=evaluate", f"weights={weights}", f"runs_dir={weights.parents[2]}"
    )
    card = read_card(weights)  # of an older version, which does not say how
    accuracy = {}
    for name, known in {
        "older": {},
        "its own": data.statistics,
        "others": {"mean": [9.0] * 3, "std": [0.1] * 3},
    }.items():
        write_card(weights, card | known)
        description = Export(settings=settings, weights=weights, card=card | known, data=data).description("onnx")
        assert [*description.mean] == known.get("mean", data.statistics["mean"])
        assert [*description.std] == known.get("std", data.statistics["std"])
        accuracy[name] = evaluate_weights(evaluation, Console(file=io.StringIO())).accuracy
    assert accuracy["older"] == accuracy["its own"] == card["top1"]
    assert accuracy["others"] < 0.3  # what it sees is beyond all that it was trained on


def test_weights_of_elsewhere_are_exported_by_candidate(weights, tmp_path):
    (weights.parent / "card.yaml").rename(tmp_path / "candidate.yaml")
    given = ("format=torch_export", "image_size=48", f"output={tmp_path / 'out'}", "input=normalised", "batch=2")
    exported(weights, *given, f"candidate={tmp_path / 'candidate.yaml'}")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["model.pt2"]
    assert not (weights.parent / "card.yaml").exists()
    _, description = open_exported(tmp_path / "out/model.pt2")
    assert (description.image_size, description.input, description.batch) == (48, "normalised", 2)


ERRORS = {  # words of the command, and how the line begins
    "a missing file": ("weights=/no/such.safetensors", "weights=/no/such.safetensors: no such file; give the weights"),
    "no weights": ("weights={text} candidate=fbnetv3_a", "weights={text}: cannot be read as weights: "),
    "another architecture": ("weights={bare} candidate=fbnetv3_a", "weights={bare}: of another network: "),
    "no card": ("weights={bare}", "weights={bare} has no card.yaml beside it: say whose they are: candidate=..."),
    "other images": ("data=folder data.root={images}", "data: class a (2 such) is none of the 10"),
    "heads": ("format=onnx_heads", "format=onnx_heads: weights={weights} are of a classifier, and detectors alone"),
    "images with boxes": (
        "detection_data=coco detection_data.root=/photos",
        "detection_data=coco: weights={weights} are of a classifier; give images by class: data=...",
    ),
    "a push to nowhere": ("format=hub push=true", "push=true uploads format=hub to a repository: give"),
    "a push of no hub": ("push=true repo=me/x", "push=true uploads format=hub to a repository: give"),
    "nobody logged in": ("format=hub push=true repo=me/x", "push=true: nobody is logged in"),
}


@pytest.fixture
def places(weights, tmp_path) -> dict[str, Path]:
    """A copy of the weights without a card, a text, and photos of two classes."""
    (tmp_path / "text.safetensors").write_text("no weights")
    for i in range(4):
        file = tmp_path / "images" / "ab"[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (60 * i, 0, 0)).save(file)
    bare = shutil.copy(weights, tmp_path / "bare.safetensors")
    return {"bare": bare, "text": tmp_path / "text.safetensors", "images": tmp_path / "images"}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_exported_is_one_line(case, weights, places, monkeypatch):
    monkeypatch.setattr("nars.exporting.hub.get_token", lambda: None)
    words, message = (text.format(**places, weights=weights) for text in ERRORS[case])
    given = {"weights": str(weights), "format": "torch_export"} | dict(word.split("=") for word in words.split())
    with pytest.raises(UserError) as error:
        exported(given.pop("weights"), *(f"{key}={value}" for key, value in given.items()))
    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1
    assert not (weights.parent / "exported").exists()


def test_a_format_without_its_package_names_what_to_install(weights, monkeypatch):
    monkeypatch.setattr("nars.exporting.onnx_files.find_spec", lambda name: None if name == "onnxscript" else True)
    with pytest.raises(UserError) as error:
        exported(weights, "format=[hub,onnx_int8]")
    assert str(error.value) == "format=onnx_int8 needs onnxscript: pip install -r requirements-export.txt"


def test_the_settings_are_checked_before_torch_is_imported():
    command = [sys.executable, "export.py", "weights=x", "format=tflite"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "format" in done.stderr
    assert "'onnx', 'onnx_int8', 'torch_export', 'hub' or 'onnx_heads', given 'tflite'" in done.stderr
