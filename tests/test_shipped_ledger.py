"""The ledgers that are shipped answer as README says, and the commands that they come from go on from them."""

import gzip
import io
import json
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console

from experiments.natural_images.study import ALL
from nars.commands.search import Search
from nars.configuration import settings_from
from nars.data import open_data
from nars.records import Ledger, training_key
from nars.settings import DigitsSettings, SearchSettings
from nars.training.job import training_identity

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "experiments"
TRAININGS = {"natural_images": 508, "fbnetv3_records": 20}
QUICK = [
    "predictor.pretrain.pool_size=500",
    "predictor.pretrain.epochs=2",
    "predictor.members=2",
    "predictor.fit.frozen_epochs=5",
    "predictor.fit.whole_epochs=5",
    "predictor.fit.process_steps=10",
    "strategy.pool_size=500",
    "evolution.max_generations=3",
]


@pytest.fixture(params=TRAININGS)
def study(request) -> str:
    return request.param


@pytest.fixture
def ledger(study) -> Ledger:
    return Ledger(STUDIES / study / "records.jsonl.gz")


def objects(file: Path) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def settings_of(*overrides: str) -> SearchSettings:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return settings_from(compose("search", overrides=list(overrides)), SearchSettings)


def test_a_readme_shows_an_answer_from_it(study, ledger, tmp_path, monkeypatch):
    """Within its limit, from all records, without images."""
    lines = [line for file in (ROOT, STUDIES / study) for line in (file / "README.md").read_text().splitlines()]
    command = next(line for line in lines if line.startswith(f"python search.py records=experiments/{study}"))
    monkeypatch.chdir(ROOT)
    settings = settings_of(*shlex.split(command, comments=True)[2:], f"runs_dir={tmp_path}", *QUICK)
    output = io.StringIO()
    found = Search(settings=settings, console=Console(file=output, width=1000)).run()
    assert found.costs["macs"] <= settings.constraint.max_macs
    assert f"Answered from {len(ledger)} records of " in output.getvalue()
    title = next(line for line in output.getvalue().splitlines() if line.startswith("Best architecture-recipe pairs"))
    assert title.strip().endswith(f", {next(iter(ledger)).origin.classes} classes")
    assert len(ledger) == TRAININGS[study]


def test_every_record_is_under_its_key(ledger):
    """Else the study would train it again."""
    assert all(record.key == training_key(record.candidate, record.training, record.seed) for record in ledger)
    assert len({record.origin.model_dump_json() for record in ledger}) == 1


def test_the_readme_shows_the_answer_of_as_many_records_as_are_shipped():
    ledger = Ledger(STUDIES / "natural_images" / "records.jsonl.gz")
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"Answered from {len(ledger)} records of experiments/natural_images" in readme
    assert f"what {len(ledger)} trainings on natural photos say" in readme


def test_the_study_goes_on_from_its_records():
    """Its trainings are of today's protocol: on the same images none is done again."""
    settings = settings_of(*ALL)
    digits = open_data(DigitsSettings(name="digits"))
    training = training_identity(digits, settings.protocol, settings.trainer)
    for record in Ledger(STUDIES / "natural_images" / "records.jsonl.gz"):
        assert training | {"data": record.training["data"]} == record.training
        assert record.epochs == settings.protocol.epochs == len(record.accuracies)
    assert settings.data.val_fraction == 0.2  # part of the images' fingerprint: 3,000 of 15,000 validated


def test_every_search_is_made_of_shipped_records():
    ledger = Ledger(STUDIES / "natural_images" / "records.jsonl.gz")
    rounds = objects(STUDIES / "natural_images" / "rounds.jsonl.gz")
    assert rounds
    for done in rounds:
        assert all(ledger.get(key) is not None for key in done["keys"]), done


def test_the_preset_of_small_photos_trains_as_its_records_were():
    """All that is part of a training's key but the images; candidates and rounds as they were."""
    settings = settings_of("experiment=tiny_imagenet", "data.root=/images")
    digits = open_data(DigitsSettings(name="digits"))
    training = training_identity(digits, settings.protocol, settings.trainer)
    window, strategy = settings.strategy.window, settings.strategy
    ledger = Ledger(STUDIES / "fbnetv3_records" / "records.jsonl.gz")
    for record in ledger:
        assert training | {"data": record.training["data"]} == record.training
        assert (record.epochs, record.seed) == (settings.protocol.epochs, settings.seed)
        assert (record.origin.search_space, record.origin.recipe_space) == (
            settings.search_space.name,
            settings.recipe_space.name,
        )
        assert window.min_macs <= record.costs["macs"] <= window.max_macs
    assert (window.min_macs, window.max_macs, settings.study) == (400e6, 600e6, "tiny_imagenet")
    assert (strategy.first_batch, strategy.batch, strategy.rounds) == (10, 10, 3)
    assert (settings.executor.workers, settings.trainer.accelerator, settings.trainer.loader_workers) == (10, "gpu", 0)


@pytest.mark.parametrize(
    "file", sorted(STUDIES.glob("*/*.jsonl.gz")), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_no_line_holds_a_path(file):
    texts = []

    def collect(value):
        match value:
            case dict():
                list(map(collect, value.values()))
            case list():
                list(map(collect, value))
            case str():
                texts.append(value)

    collect(objects(file))
    assert texts
    assert not [text for text in texts if "/" in text or "\\" in text]
