"""Answers from a ledger alone: what it holds is found again, whatever lies where the images were."""

import gzip
import io
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from rich.console import Console

from nars.commands.search import Search
from nars.configuration import name_of_study, settings_from
from nars.errors import UserError
from nars.methods.recorded import RecordedMethod
from nars.methods.usable_records import common_epoch
from nars.records import Ledger, Origin, Record
from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.trust import trust_sentences
from nars.settings import SearchSettings, TrainSettings
from nars.spaces.candidate import Candidate
from nars.study.answers import known_answer
from nars.study.folder import read_study
from nars.study.ledgers import kinds_of
from nars.study.next_step import train_command

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "fixtures" / "old_study" / "study"
FEW_STEPS = [
    "search_space=tiny",
    "recipe_space=tiny",
    "constraint=none",
    "data=folder",
    "data.root=/no/such/folder",
    "logger=none",
    "predictor.pretrain.pool_size=500",
    "predictor.pretrain.epochs=2",
    "predictor.members=2",
    "predictor.fit.frozen_epochs=10",
    "predictor.fit.whole_epochs=10",
    "strategy.pool_size=500",
]

WHOLE_FIT = ["predictor.fit.frozen_epochs=50", "predictor.fit.whole_epochs=50"]


def settings_of(runs: Path, *overrides) -> SearchSettings:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("search", overrides=[*FEW_STEPS, f"runs_dir={runs}", *map(str, overrides)])
    return settings_from(config, SearchSettings)


def answered(settings: SearchSettings, memory: dict | None = None) -> str:
    """What the search prints."""
    output = io.StringIO()
    Search(settings=settings, console=Console(file=output, width=400), memory=memory).run()
    return output.getvalue()


def test_a_planted_best_pair_is_nearly_found_without_images(tmp_path, write_ledger, records_of, planted, tiny_joint):
    """One of the best thousandth of all pairs within the limits, from 80 records."""
    write_ledger(*records_of(80))
    settings = settings_of(
        tmp_path / "runs", f"records={tmp_path / 'cluster'}", "constraint.max_macs=1.2e6", *WHOLE_FIT
    )
    output = answered(settings)
    run = known_answer(settings)
    assert run.folder.parent == tmp_path / "runs" / "cluster" / "answers"
    problem = Search(settings=settings, console=None).problem
    sampled = tiny_joint.sample(20_000, 5)
    feasible = planted(sampled[problem.feasible(sampled)])
    found = np.array([tiny_joint.locate_candidate(Candidate.from_dict(answer)) for answer in run.answers])
    assert problem.feasible(found).all()
    assert planted(found[:1])[0] > np.quantile(feasible, 0.999)
    ranking = run.summary.held_out_ranking
    assert ranking.candidates == 80
    assert ranking.kendall_tau > 0.8
    assert f"Answered from 80 records of {tmp_path / 'cluster' / 'records.jsonl'} (data d1g1t5)" in output
    assert f"it ranked those that it had not seen with Kendall tau {ranking.kendall_tau:.2f}" in output
    macs = problem.price(tiny_joint.sample(80, 0))[:, 0]
    assert run.summary.ledger.limits == {"min_macs": macs.min(), "max_macs": macs.max()}


def test_a_report_shows_the_records_of_a_ledger_that_lies_elsewhere(tmp_path, write_ledger, records_of):
    diverged = records_of(3, seed=1, status="diverged", accuracies=())
    failed = records_of(2, seed=2, status="failed", accuracies=(), reason="out of memory")
    ledger = write_ledger(*records_of(12), *diverged, *failed)
    answered(settings_of(tmp_path / "runs", f"records={ledger}"))
    shutil.rmtree(ledger.parent)
    [section] = sections_of(read_study(tmp_path / "runs" / "cluster"))
    assert len(section.trained) == 15
    assert sorted(section.accuracy(c) for c in section.with_status("diverged")) == [0.0] * 3
    assert all(c.predicted is not None for c in section.trained)
    words = " ".join(trust_sentences(section.runs[0]))
    assert ", of which 3 diverged and count 0: nothing was trained. Left out: 2 failed." in words
    page = (tmp_path / "runs" / "cluster" / "report.html").read_text()
    assert "accuracy predicted without its record" in page
    assert words.partition(".")[0] in page


def test_the_limits_of_a_sweep_share_the_fit(tmp_path, write_ledger, records_of):
    ledger, memory = write_ledger(*records_of(20)), {}
    outputs = [
        answered(settings_of(tmp_path, f"records={ledger}", f"constraint.max_macs={limit}"), memory)
        for limit in ("1.2e6", "9e5")
    ]
    fits = len(list(tmp_path.glob("cluster/predictors/predictor-*")))
    assert ["cross-validating" in output for output in outputs] == [True, False]
    assert fits == 6  # five folds and all
    # Outside of the sweep the fits are files, and the answer is the same.
    [file] = tmp_path.glob("cluster/answers/macs-max-900k-*/best-1.yaml")
    before = file.read_text()
    shutil.rmtree(file.parent)
    answered(settings_of(tmp_path, f"records={ledger}", "constraint.max_macs=9e5"))
    assert file.read_text() == before
    assert len(list(tmp_path.glob("cluster/predictors/predictor-*"))) == fits


def test_an_answer_is_known_until_the_ledger_grows(tmp_path, write_ledger, records_of):
    records = records_of(13)
    ledger = write_ledger(*records[:12])
    settings = settings_of(tmp_path, f"records={ledger}")
    answered(settings)
    assert not (ledger.parent / "recorded").exists()  # the study's own ledger is not copied
    others = [
        "data.root=/another",
        "protocol=search",
        "strategy.rounds=9",
        "strategy.window.min_macs=5e8",
        "executor.workers=1",
    ]
    assert known_answer(settings_of(tmp_path, f"records={ledger}", *others)) is not None
    decide = (
        "seed=1",
        "predictor.members=1",
        "constraint.max_params=1e6",
        "evolution.patience=1",
        "strategy.answers=2",
    )
    for other in (*decide, "strategy.pool_size=400", "strategy.cost_axis=params", "recipe_space=fbnetv3"):
        assert known_answer(settings_of(tmp_path, f"records={ledger}", other)) is None
    Ledger(ledger).append(records[12])
    assert known_answer(settings) is None


class Growing(Search):
    """A search to whose ledger another one adds a record while it works."""

    record: ClassVar[Record]

    def recalled(self, history):
        Ledger(self.problem.folder / "records.jsonl").append(self.record)
        super().recalled(history)


def test_an_answer_is_that_of_the_records_it_was_made_from(tmp_path, write_ledger, records_of):
    """Once the ledger has grown, also while the answer was made, it is not known, and nothing looks unfinished."""
    *records, Growing.record = records_of(13)
    settings = settings_of(tmp_path, f"records={write_ledger(*records)}")
    Growing(settings=settings, console=Console(file=io.StringIO())).run()
    assert known_answer(settings) is None
    [folder] = tmp_path.glob("cluster/answers/*")
    assert {file.name for file in folder.iterdir()} == {"search.yaml", *(f"best-{rank}.yaml" for rank in range(1, 6))}


def test_the_predictor_is_shown_between_the_costs_of_the_records(tmp_path, write_ledger, records_of, tiny_joint):
    """Costs are those that this search counts, whatever the records say."""
    ledger = write_ledger(*records_of(6))
    settings = settings_of(tmp_path, f"records={ledger}")
    problem = Search(settings=settings, console=None).problem
    method = RecordedMethod(settings, problem, watch=None)
    points, prices = method._pool()
    macs = problem.price(tiny_joint.sample(6, 0))[:, 0]
    [only] = method._history(np.zeros(6)).rounds
    assert [record.costs["macs"] for record in only.records] == macs.tolist()
    sampled = problem.price(tiny_joint.sample(500, 0))[:, 0]
    assert (prices == problem.price(points)).all()
    assert (prices[:, 0].min(), prices[:, 0].max()) == (macs.min(), macs.max())
    assert sampled.max() > macs.max()
    assert len(points) > 100


def test_a_ledger_of_an_earlier_version_answers_in_a_process_that_cannot_train(tmp_path):
    ledger = tmp_path / "old.jsonl.gz"
    ledger.write_bytes(gzip.compress((OLD / "records.jsonl").read_bytes()))
    arguments = [*FEW_STEPS, f"runs_dir={tmp_path}", f"records={ledger}", "constraint.max_macs=2e6"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "search.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "1000"},  # or a long path is broken in two
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    assert f"Answered from 24 records of {ledger}" in " ".join(done.stdout.split())
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "torch" in imported
    assert not imported & {"pytorch_lightning", "timm", "torchvision", "sklearn"}
    assert len(list(tmp_path.glob("old/answers/macs-max-2M-*/best-*.yaml"))) == 5
    # The same records, not compressed, give the same predictor.
    answered(settings_of(tmp_path, f"records={OLD}", "study=plain", "constraint.max_macs=2e6"))
    best = [
        yaml.safe_load(next(tmp_path.glob(f"{study}/answers/*/best-1.yaml")).read_text()) for study in ("old", "plain")
    ]
    assert best[0] == best[1]


def test_a_dry_run_says_what_would_answer_and_writes_nothing(tmp_path, write_ledger, records_of):
    others = records_of(2, seed=1, epochs=1)
    ledger = write_ledger(*records_of(20), *others)
    output = answered(settings_of(tmp_path, f"records={ledger}", "dry_run=true"))
    assert output == (
        f"Nothing would be trained: 20 records of {ledger} (data d1g1t5) would answer, compared after epoch 3 and "
        "cross-validated in 5 folds. Left out: 2 with fewer than 3 epochs.\n"
    )
    assert list((tmp_path / "cluster").iterdir()) == [ledger]


@pytest.mark.parametrize(
    ("lengths", "epoch"),
    [([3] * 10, 3), ([3] * 9 + [1], 3), ([3] * 8 + [1, 2], 2), ([10] * 48 + [6] * 144, 6), ([5], 5), ([], 1)],
)
def test_records_are_compared_at_the_last_epoch_that_nine_in_ten_reach(lengths, epoch, records_of):
    [record] = records_of(1)
    finished = [record.model_copy(update={"accuracies": (0.5,) * length}) for length in lengths]
    others = [record.model_copy(update={"status": status, "accuracies": ()}) for status in ("diverged", "failed")]
    assert common_epoch([*finished, *others]) == epoch


def refusal(runs: Path, *overrides) -> str:
    with pytest.raises(UserError) as error:
        answered(settings_of(runs, *overrides, "dry_run=true"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_of_several_kinds_of_trainings_one_is_chosen(tmp_path, write_ledger, records_of):
    origin = Origin(data="folder cifar10", classes=10)
    training = {"data": "c1fa4", "protocol": {"batch_size": 32, "ema_decay": 0.8}, "precision": "32-true"}
    ledger = write_ledger(*records_of(9), *records_of(7, seed=1, training=training, origin=origin))
    words = refusal(tmp_path, f"records={ledger}")
    assert words.startswith(f"records={ledger}: 2 kinds of trainings, whose accuracies do not compare; choose one. ")
    first, second = (part.partition(":")[0] for part in words.partition("choose one. ")[2].split("; "))
    assert f"{first}: 9 records, data d1g1t5, protocol.batch_size=64; " in words
    assert words.endswith(f"{second}: 7 records, folder cifar10, 10 classes, protocol.batch_size=32")
    output = answered(settings_of(tmp_path, f"records={ledger}", second, "dry_run=true"))
    assert f"7 records of {ledger} (folder cifar10, 10 classes) would answer" in output
    assert "Left out: 9 of another kind." in output
    assert refusal(tmp_path, f"records={ledger}", "records_of=abcdef").startswith("records_of=abcdef: ")


def test_the_best_pair_is_trained_as_the_records_were(tmp_path, write_ledger, records_of):
    training = {"data": "c1fa4", "protocol": {"batch_size": 32, "ema_decay": 0.8}, "precision": "bf16-mixed"}
    ledger = write_ledger(*records_of(9, training=training, origin=Origin(data="folder cifar10", classes=10)))
    settings = settings_of(tmp_path, f"records={ledger}", "protocol.batch_size=512", "trainer.precision=16-mixed")
    answered(settings)
    candidate, *words = shlex.split(train_command(known_answer(settings), 1))[2:]
    assert [word for word in words if word.startswith("data")] == ["data=folder", 'data.root="..."']
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        train = settings_from(compose("train", overrides=[candidate, *words]), TrainSettings)
    assert (train.protocol.batch_size, train.protocol.ema_decay, train.protocol.epochs) == (32, 0.8, 3)
    assert train.trainer.precision == "bf16-mixed"


@pytest.mark.parametrize(("origin", "data"), [(None, None), (Origin(data="digits", classes=10), {"name": "digits"})])
def test_what_records_do_not_tell_of_their_images_is_left_open(records_of, origin, data):
    [kind] = kinds_of(records_of(2, origin=origin))
    assert kind.settings.get("data") == data


def test_what_cannot_answer_is_said_in_one_line(tmp_path, write_ledger, records_of):
    ledger = write_ledger(*records_of(4), *records_of(2, seed=1, status="failed", accuracies=(), reason="killed"))
    assert refusal(tmp_path, f"records={ledger}") == (
        f"records={ledger}: 4 candidates are too few to learn from (left out: 2 failed); at least 5 are needed, and "
        "fewer than some dozens say little"
    )
    ledger = write_ledger(*records_of(2, status="failed", accuracies=(), reason="killed"))
    assert refusal(tmp_path, f"records={ledger}") == f"records={ledger}: all 2 trainings failed; the first: killed"
    assert "is empty; " in refusal(tmp_path, f"records={write_ledger()}")
    assert refusal(tmp_path, "records_of=abcdef").startswith("records_of=abcdef: of which ledger? give records=")
    assert refusal(tmp_path, f"records={tmp_path}/nowhere").startswith(f"records={tmp_path}/nowhere: no such file; ")
    assert "the folder holds no records.jsonl; " in refusal(tmp_path, f"records={tmp_path}")
    ledger.with_suffix(".gz").write_bytes(gzip.compress(b"x" * 1000)[:-9])
    assert refusal(tmp_path, f"records={ledger.with_suffix('.gz')}").endswith("ledger: not a whole gzip file")


def test_a_space_that_holds_no_record_is_told_of_one_that_does(tmp_path, write_ledger, records_of):
    ledger = write_ledger(*records_of(9))
    words = refusal(tmp_path, f"records={ledger}", "search_space=fbnetv3")
    assert "search_space=fbnetv3 recipe_space=tiny offers none of the 9 recorded candidates (space fbnetv3" in words
    assert words.endswith("; 9 are in search_space=tiny recipe_space=tiny")


def test_records_that_the_space_does_not_offer_are_counted(tmp_path, write_ledger, records_of):
    records = records_of(9)
    elsewhere = [
        r.model_copy(update={"key": f"k{i}", "recipe": r.recipe | {"lr": 0.021}}) for i, r in enumerate(records)
    ]
    ledger = write_ledger(*records, *elsewhere[:4])
    output = answered(settings_of(tmp_path, f"records={ledger}", "dry_run=true"))
    assert "9 records of " in output
    assert output.endswith("Left out: 4 of candidates that tiny+tiny does not offer.\n")


def test_limits_that_cannot_be_met_are_named(tmp_path, write_ledger, records_of):
    words = refusal(tmp_path, f"records={write_ledger(*records_of(9))}", "constraint.max_macs=1000")
    assert words.startswith("constraint macs <= 1k cannot be met: ")


@pytest.mark.parametrize(
    ("records", "name"),
    [
        (None, "digits"),
        ("runs/cifar", "cifar"),
        ("runs/cifar/records.jsonl", "cifar"),
        ("experiments/my study/records.jsonl.gz", "my-study"),
        ("/data/cluster-7.jsonl.gz", "cluster-7"),
        ("/", "digits"),
    ],
)
def test_the_study_is_called_as_the_ledger(records, name):
    assert name_of_study(records, "digits") == name
