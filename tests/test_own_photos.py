"""What follows from the data alone: study, classes, protocol; what follows from the space: its window; and that the
start of a script says so."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console

from nars.commands.search import Search
from nars.configuration import settings_from
from nars.costs.pricing import Pricing
from nars.data import open_data
from nars.networks.architectures import architecture_of, costs_of
from nars.problem import Problem
from nars.settings import SearchSettings, TrainSettings
from nars.study.ledgers import Kind

CONF = Path(__file__).parents[1] / "conf"
SCRIPTS = {"search": SearchSettings, "train": TrainSettings}
OWN = '{"origin": {"data": "folder birds", "classes": 37}}'
TINY = ("search_space=tiny", "recipe_space=tiny", "constraint=none")


def settings_of(*overrides: str, script: str = "search"):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from(compose(script, overrides=list(overrides)), SCRIPTS[script])


@pytest.fixture
def photos(tmp_path) -> tuple[str, ...]:
    """Words for a folder of three classes of four images."""
    for i in range(12):
        file = tmp_path / "photos" / "train" / "abc"[i % 3] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 20 * i, dtype=np.uint8)).save(file)
    return ("data=folder", f"data.root={tmp_path / 'photos' / 'train'}", f"runs_dir={tmp_path / 'runs'}")


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("data", [file.stem for file in sorted((CONF / "data").glob("*.yaml"))])
def test_data_bring_their_protocol(script, data):
    given = ("data=digits",) if data == "digits" else (f"data={data}", "data.root=/x")
    protocol = settings_of(*given, script=script).protocol
    assert (
        protocol == settings_of(*given, f"protocol={'digits' if data == 'digits' else 'small'}", script=script).protocol
    )
    assert settings_of(*given, "protocol.epochs=7", script=script).protocol == protocol.model_copy(update={"epochs": 7})
    assert settings_of(*given, "protocol=search", script=script).protocol.epochs == 150


def test_the_small_protocol_lies_between():
    digits, small, paper = (settings_of(f"protocol={name}").protocol for name in ("digits", "small", "search"))
    assert digits.epochs < small.epochs < paper.epochs
    assert digits.image_scale < small.image_scale < paper.image_scale
    assert digits.batch_size < small.batch_size < paper.batch_size
    assert digits.steps_per_epoch * digits.batch_size < small.steps_per_epoch * small.batch_size


@pytest.mark.parametrize(
    ("given", "study"),
    [
        ((), "digits"),
        (("data=folder", "data.root=/home/me/flowers"), "flowers"),
        (("data=folder", "data.root=/home/me/flowers/"), "flowers"),
        (("data=folder", "data.root=/home/me/flowers/train"), "flowers"),
        (("data=folder", 'data.root="/x/Ma fête (2019)"'), "Ma-fete-2019"),
        (("data=folder", "data.root=/"), "folder"),
        (("data=folder", 'data.root="/x/写真"'), "folder"),
        (("data=prepared", "data.root=/fast/birds"), "birds"),
        (("data=imagenet200", "data.root=/ILSVRC2012/train"), "imagenet200"),
        (("data=folder", "data.root=/home/me/flowers", "study=mine"), "mine"),
        (("data=folder", "data.root=/home/me/flowers", "records=/x/cifar/records.jsonl"), "cifar"),
        (("experiment=smoke",), "smoke"),
    ],
)
def test_a_study_is_called_as_its_data(given, study):
    assert settings_of(*given).study == study


def test_a_relative_folder_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path / "birds")
    assert settings_of("data=folder", "data.root=.").study == "birds"


def test_classes_are_counted_from_the_images(photos):
    problem = Problem.of(settings_of(*TINY, *photos))
    assert problem.num_classes == 3
    point = problem.space.sample(1, 0)[0]
    candidate = problem.space.candidate(point)
    assert problem.price_candidate(candidate) == {
        name: cost
        for name, cost in costs_of(architecture_of(candidate.architecture), Pricing(num_classes=3)).items()
        if name in problem.costs
    }
    assert Problem.of(settings_of(*TINY, *photos, "constraint.num_classes=1000")).num_classes == 1000
    digits = settings_of(*TINY)
    assert (digits.constraint.num_classes, Problem.of(digits).num_classes) == (1000, 1000)
    prepared = settings_of("experiment=imagenet200", "data=prepared", "data.root=/x")
    assert prepared.constraint.num_classes == 1000


@pytest.mark.parametrize(
    ("lines", "classes"),
    [
        ((OWN,), 37),
        ((OWN, '{"training": {"data": "a"}, "origin": {"data": "folder cats", "classes": 12}}'), 37),
        (('{"schema": 1, "origin"', '{"schema": 1, "origin": null}', OWN), 37),  # torn; of an older version
        (('{"origin": {"data": "prepared birds", "classes": 12}}', OWN), 12),
        (('{"origin": {"data": "digits", "classes": 10}}', OWN), 1000),
        (('{"origin": {"classes": 0}}',), 1000),
        ((), 1000),
    ],
)
def test_classes_are_counted_as_the_trainings_of_a_ledger_had_them(lines, classes, tmp_path):
    (tmp_path / "records.jsonl").write_text("".join(f"{line}\n" for line in lines))
    given = f"records={tmp_path}"
    assert settings_of(*TINY, given).constraint.num_classes == classes
    assert settings_of(*TINY, given, "constraint.num_classes=5").constraint.num_classes == 5
    (tmp_path / "records.jsonl").unlink()  # is said when it is used
    assert settings_of(*TINY, given).constraint.num_classes == 1000


def test_the_kind_of_trainings_that_is_asked_for_says_how_many_classes_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    kinds = {classes: {"data": str(classes)} for classes in (37, 12)}
    lines = [{"training": of, "origin": {"data": "folder x", "classes": n}} for n, of in kinds.items()]
    with gzip.open(tmp_path / "records.jsonl.gz", "wt") as file:
        file.writelines(f"{json.dumps(line)}\n" for line in lines)
    for classes, of in kinds.items():
        given = ('records="~"', f"records_of='{Kind(training=of, records=()).key}'", "data=folder", "data.root=/x")
        assert settings_of(*TINY, *given).constraint.num_classes == classes


def test_a_space_may_bring_its_window():
    fbnetv3 = settings_of().strategy.window
    assert (fbnetv3.min_macs, fbnetv3.max_macs) == (400e6, 600e6)
    assert settings_of("search_space=tiny").strategy.window.min_macs is None
    assert settings_of("search_space=tiny", "strategy.window.min_macs=7").strategy.window.min_macs == 7


def start_of(*overrides: str) -> str:
    """What a search says before it trains, as one text."""
    output = io.StringIO()
    search = Search(settings=settings_of(*overrides), console=Console(file=output, width=80))
    search._show_setup()
    return output.getvalue()


def test_the_start_says_what_was_composed(photos):
    lines = {line.split()[0]: line for line in start_of(*TINY, *photos).splitlines()}
    assert lines["data"].endswith(
        f"folder {photos[1].partition('=')[2]}: 9 images to train on, 3 to validate, 3 classes"
    )
    assert "tiny, recipes of tiny; candidates with macs <= " in lines["space"]
    assert lines["costs"].endswith("a classifier of 3 classes is counted, as the data has")
    assert lines["protocol"].endswith("10 epochs of 9 images at 32 px, batches of 32")
    assert lines["study"].endswith("/photos")
    published = start_of(*TINY, *photos, "constraint.num_classes=1000")
    assert "a classifier of 1,000 classes is counted, to compare with published networks; the data has 3" in published
    assert "3 epochs of 640 images at 37 to 45 px, batches of 16" in start_of()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("strategy=nars",), "nars, 3 rounds of 4 candidates\n"),
        (("strategy=random",), "random, 3 rounds of 4 candidates\n"),
        (
            ("strategy=evolution",),
            "its first 50 (strategy.population) are random, so this is the same as strategy=random",
        ),
        (("strategy=evolution", "strategy.population=4"), "the first 4 (strategy.population) of these 12 are random\n"),
        (("strategy=reinforce",), "the first 4 (strategy.update_every) of these 12 are random\n"),
        (("strategy=tpe", "strategy.rounds=2"), "its first 10 are random, so this is the same as strategy=random"),
        (("strategy=tpe", "strategy.rounds=5"), "the first 10 of these 20 are random\n"),
    ],
)
def test_a_strategy_that_learns_nothing_from_so_few_says_so(given, words):
    assert words in start_of(*given)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="speaks of a machine without a GPU")
def test_a_dry_run_leaves_no_file(photos, tmp_path):
    """Nor does it need the GPU of the set-up that it speaks of."""
    words = photos[1], photos[2], "data.num_classes=3", "data.val_images=3", "logger=wandb"
    small = ("search_space=tiny", "recipe_space=tiny", "strategy.window.min_macs=null", "strategy.pool_size=500")
    before = sorted(tmp_path.rglob("*"))
    output = io.StringIO()
    settings = settings_of("experiment=imagenet200", *words, *small, "strategy.batch=2", "dry_run=true")
    Search(settings=settings, console=Console(file=output, width=300)).run()
    assert sorted(tmp_path.rglob("*")) == before
    text = output.getvalue()
    assert text.count("unknown here") == 3
    assert "Round 1 would train 2 candidates for 150 epochs and reuse 0, and the rounds after it 6 more" in text
    split = tmp_path / "kept.json"
    open_data(settings.data, split_file=split)
    kept = settings.model_copy(update={"data": settings.data.model_copy(update={"split_file": str(split)})})
    for other, file in ((settings, tmp_path / "scratch" / "split.json"), (kept, split)):
        problem = Problem.of(other, scratch=tmp_path / "scratch")
        assert problem.data.val_size == 3
        assert file.exists()
    assert not (tmp_path / "runs").exists()
