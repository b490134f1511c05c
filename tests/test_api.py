"""What `import nars` offers to notebooks."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import nars
from nars.records import Ledger

ROOT = Path(__file__).parents[1]
OLD = Path(__file__).parent / "fixtures" / "old_study"
PREDICTOR = "predictors/predictor-6ae1de3893907adc.safetensors"  # of the last fit
ANSWER = "answers/macs-max-2M-612876"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A study that says which predictor answered, with the training of its best pair, as this version writes them."""
    study = shutil.copytree(OLD / "study", tmp_path / "runs" / "digits")
    shutil.copytree(OLD / "trained" / "trainings", study / "trainings")
    summary = study / ANSWER / "search.yaml"
    summary.write_text(summary.read_text() + f"predictor: {PREDICTOR}\n")
    lines = (study / "records.jsonl").read_text().splitlines()
    known = [line[:-1] + ', "origin": {"data": "digits", "classes": 10}}' for line in lines]
    (study / "records.jsonl").write_text("\n".join(known) + "\n")
    return study


@pytest.fixture
def study(folder):
    return nars.open_study(folder)


def test_every_name_is_there_and_imports_torch_only_when_it_is_asked_for():
    code = "import sys, nars; nars.load_space; assert 'torch' not in sys.modules, 'torch'; print(*nars.__all__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in done.stdout.split():
        value = getattr(nars, name)
        assert value.__module__.startswith("nars.")
        assert value.__doc__
        assert name in dir(nars)


def test_a_name_that_is_not_offered():
    with pytest.raises(AttributeError, match=r"^module 'nars' has no attribute 'open_studies'; it offers .*open_study"):
        _ = nars.open_studies


def test_the_python_of_the_readme_runs(folder, monkeypatch, read_python):
    monkeypatch.chdir(folder.parents[1])
    [weights] = folder.glob("trainings/*/weights.safetensors")
    place = "runs/trained/trainings/KEY-epochs-400/weights.safetensors"
    assert place in read_python
    exec(read_python.replace(place, str(weights)), got := {})
    assert got["macs"].shape == (1000,)
    assert got["accuracy"].shape == got["deviation"].shape == (1000,)
    assert len(got["records"]) == 24
    assert got["problem"].feasible(got["found"].points).all()
    assert (np.diff(got["found"].scores) <= 0).all()
    assert got["best"].architecture["stages"]


@pytest.fixture
def read_python() -> str:
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.S | re.M)
    return code


def test_a_space_by_name_or_by_file_is_the_one_in_conf(fbnetv3_joint, tmp_path):
    assert nars.load_space("fbnetv3").specification == fbnetv3_joint.specification
    own = yaml.safe_load((ROOT / "conf/search_space/fbnetv3.yaml").read_text()) | {"stem_width": [16, 32]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    assert nars.load_space(str(tmp_path / "own.yaml"), "tiny").specification["stem_width"] == [16, 32]
    (tmp_path / "own.yaml").write_text("defaults: [/search_space/tiny]\nresolution: 64\n")
    space = nars.load_space(str(tmp_path / "own.yaml"), "tiny")
    assert {space.architecture.decode(point)["resolution"] for point in space.architecture.sample(9, 0)} == {64}


def test_a_space_of_one_network_is_that_network_with_the_recipes_of_a_space(tmp_path):
    (tmp_path / "own.yaml").write_text("defaults: [/search_space/fixed]\ncandidate: fbnetv3_a\n")
    space = nars.load_space(str(tmp_path / "own.yaml"), "tiny")
    [released] = nars.price(space, space.sample(1, seed=0), ["params"], nars.Pricing(num_classes=1000))
    architecture = nars.architecture_of(nars.load_candidate("fbnetv3_a").architecture)
    assert released == [nars.costs_of(architecture, nars.Pricing(num_classes=1000))["params"]]
    assert space.recipe.specification == nars.load_space("tiny", "tiny").recipe.specification
    assert space.recipe.specification != nars.load_space("tiny", "fbnetv3").recipe.specification


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("defaults: [/search_space/fixed]", "search_space.candidate=???: no such file; give a best-N.yaml of a search"),
        (None, "search_space={file}: no such file; give a YAML file, or one of "),
        ("[1, 2]", "{file}: holds no keys; see"),
        ("a: [", "{file}: not YAML: "),
        ("name: x\nresolution: -1", "search_space."),
    ],
)
def test_a_space_that_is_none(text, expected, tmp_path):
    file = tmp_path / "own.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(nars.UserError) as error:
        nars.load_space(str(file))
    assert str(error.value).startswith(expected.format(file=file))
    assert "\n" not in str(error.value)


def test_costs_of_pairs_are_those_of_their_architectures():
    space = nars.load_space("tiny", "tiny")
    points = space.sample(20, seed=3)
    ten = nars.Pricing(num_classes=10)
    priced = nars.price(space, points, ["params", "macs"], ten)
    for point, costs in zip(points, priced, strict=True):
        architecture = nars.architecture_of(space.candidate(point).architecture)
        assert costs.tolist() == [nars.costs_of(architecture, ten)[name] for name in ("params", "macs")]


def test_records_are_the_rows_of_the_ledger(study, folder):
    rows = study.records()
    rows = rows if isinstance(rows, list) else rows.to_dict("records")
    ledger = Ledger(folder / "records.jsonl")
    assert {row["key"] for row in rows} == {record.key for record in ledger}
    assert all(row["lr"] == ledger.get(row["key"]).recipe["lr"] for row in rows)


def test_the_best_pair_s_network_has_the_pair_s_parameters_and_the_images_classes(study):
    pair = study.best()
    assert pair.candidate.to_dict() == {key: pair.values[key] for key in ("architecture", "recipe")}
    assert sum(p.numel() for p in pair.network(num_classes=1000).parameters()) == pair.values["costs"]["params"]
    assert pair.network().num_classes == 10


def test_a_trained_pair_has_the_weights_of_its_training(study, folder):
    [weights] = folder.glob("trainings/*/weights.safetensors")
    trained, images = study.best().trained(), torch.rand(2, 3, 32, 32)
    assert torch.equal(trained(images), nars.load_trained(weights)(images))
    with pytest.raises(nars.UserError, match=r"best-2.yaml: not trained yet: python train.py candidate=.*best-2.yaml"):
        study.best(2).trained()


def test_the_predictor_predicts_what_the_answer_says(study):
    space, pair = study.space(), study.best()
    mean, std = study.predictor().predict_with_std(space.encode(space.locate_candidate(pair.candidate)[None]))
    assert mean[0] == pytest.approx(pair.values["predicted_accuracy"], abs=1e-3)
    assert std[0] == pytest.approx(pair.values["predicted_std"], abs=1e-3)


def test_the_problem_of_a_search_has_its_limits_or_others(study):
    assert study.problem().constraint.label == "macs <= 2M"
    other = study.problem(max_params=80e3)
    assert other.constraint.label == "params <= 80k"
    points = other.space.sample(50, seed=0)
    params = nars.price(other.space, points, ["params"])[:, 0]
    assert other.feasible(points).tolist() == (params <= 80e3).tolist()
    assert 0 < other.feasible(points).sum() < 50


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (lambda study: study.best(9), "rank=9: "),
        (lambda study: study.best(answer="x"), "answer=x: "),
        (lambda study: study.problem(max_mac=1), "limits.max_mac: unknown key; did you mean limits.max_macs?"),
    ],
)
def test_what_a_study_has_not(wrong, expected, study):
    with pytest.raises(nars.UserError) as error:
        wrong(study)
    assert str(error.value).startswith(expected)


def test_what_older_studies_do_not_say(tmp_path):
    study = nars.open_study(OLD / "study")
    with pytest.raises(nars.UserError, match=r"names no predictor .*; remove its search.yaml and run the same search"):
        study.predictor()
    with pytest.raises(nars.UserError, match=r"its records do not say how many classes there are: num_classes="):
        study.best().network()
    with pytest.raises(nars.UserError, match=r"no study; give a folder that search.py made"):
        nars.open_study(tmp_path)
