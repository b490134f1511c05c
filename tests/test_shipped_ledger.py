"""The ledger that is shipped answers as README says, and the study that it comes from goes on from it."""

import gzip
import io
import json
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from rich.console import Console

from nars.commands.search import Search
from nars.configuration import settings_from
from nars.records import Ledger, training_key
from nars.settings import SearchSettings

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "experiments" / "natural_images"
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


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger(SHIPPED / "records.jsonl.gz")


def objects(name: str) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress((SHIPPED / name).read_bytes()).splitlines()]


def test_readme_shows_an_answer_from_it(ledger, tmp_path, monkeypatch):
    """Within its limit, from all records, without images."""
    lines = (ROOT / "README.md").read_text().splitlines()
    words = shlex.split(next(line for line in lines if "records=experiments/natural_images" in line), comments=True)
    monkeypatch.chdir(ROOT)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("search", overrides=[*words[2:], f"runs_dir={tmp_path}", *QUICK])
    settings = settings_from(config, SearchSettings)
    found = Search(settings=settings, console=Console(file=io.StringIO())).run()
    assert found.costs["macs"] <= settings.constraint.max_macs
    assert len(ledger) >= 100


def test_every_record_is_under_its_key(ledger):
    """Else the study would train it again."""
    assert all(record.key == training_key(record.candidate, record.training, record.seed) for record in ledger)
    assert len({record.origin.model_dump_json() for record in ledger}) == 1


def test_every_search_is_made_of_shipped_records(ledger):
    rounds = objects("rounds.jsonl.gz")
    assert rounds
    for done in rounds:
        assert all(ledger.get(key) is not None for key in done["keys"]), done


@pytest.mark.parametrize("name", sorted(file.name for file in SHIPPED.glob("*.jsonl.gz")))
def test_no_line_holds_a_path(name):
    texts = []

    def collect(value):
        match value:
            case dict():
                list(map(collect, value.values()))
            case list():
                list(map(collect, value))
            case str():
                texts.append(value)

    collect(objects(name))
    assert texts
    assert not [text for text in texts if "/" in text or "\\" in text]
