"""Study folders are read however far a search came, and unreadable ones are named."""

import shutil

import pytest
import yaml

from nars.errors import UserError
from nars.reporting.facts.sections import sections_of
from nars.reporting.page.report import write_report
from nars.settings import SearchSettings, parse
from nars.study.answers import answer_folder, known_answer, write_answer
from nars.study.folder import read_study


def test_reads_back_what_a_search_wrote(finished, finished_run):
    study = read_study(finished)
    assert study.runs == (finished_run,)
    assert len(study.records) == 90
    (section,) = sections_of(study)
    assert [len(candidates) for candidates in section.rounds.values()] == [30, 30, 30]
    assert {c.record.key for c in section.trained} == set(study.records)
    assert len(section.with_status("failed")) == 3
    assert list(section.failures) == ["out of <memory> & more"]


def test_rounds_are_written_with_predictions_and_their_agreement(finished_run):
    first, *later = finished_run.summary.rounds
    assert first.agreement is None
    assert all(candidate.predicted is None for candidate in first.candidates)
    for r in later:
        usable = [candidate for candidate in r.candidates if candidate.status != "failed"]
        assert r.agreement.candidates == len(usable)
        assert all(candidate.accuracy is not None and candidate.predicted is not None for candidate in usable)
    assert finished_run.summary.held_out_ranking.candidates == sum(r.agreement.candidates for r in later)
    assert finished_run.summary.versions["torch"]


def test_an_unfinished_search_stays_beside_an_earlier_answer_until_it_has_its_own(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    maker.answer(history)
    assert [run.finished for run in read_study(maker.folder).runs] == [True]
    maker.run_rounds()
    assert [run.finished for run in read_study(maker.folder).runs] == [True, False]
    maker.answer(history)
    assert [run.finished for run in read_study(maker.folder).runs] == [True]


def test_a_shorter_answer_leaves_no_file_of_a_longer_one(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    run = maker.answer(history)
    assert len(run.answers) == 5
    write_answer(run.folder, run.answers[:2], run.summary)
    assert sorted(path.name for path in run.folder.iterdir()) == ["best-1.yaml", "best-2.yaml", "search.yaml"]


def test_an_answer_is_known_by_all_that_decides_it_and_nothing_else(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    assert known_answer(maker.settings) is None
    run = maker.answer(maker.run_rounds())  # of which none failed
    assert known_answer(maker.settings) == run
    folder = maker.folder.name
    for same in (["logger=none"], ["executor.workers=7"], ["trainer.loader_workers=1"], ["dry_run=true"]):
        other = tiny_maker("strategy.rounds=1", "strategy.batch=4", *same, name=folder)
        assert known_answer(other.settings) == run, same
    changes = (
        ["seed=1"],
        ["search_space.stem_width=8"],
        ["recipe_space.ema=true"],
        ["data.val_fraction=0.3"],
        [f"pretrained={maker.folder}/encoder"],
        ["strategy.rounds=2"],
        ["strategy=nars"],
        ["evolution.patience=1"],
        ["predictor.members=2"],
        ["constraint.max_macs=1999999"],  # has the label of 2M
        ["constraint.num_classes=10"],
        ["protocol.epochs=3"],
        ["trainer.precision=bf16-mixed"],
        [f"records={maker.folder}"],
        ["records_of=abcdef"],
        ["confirm.pairs=1"],
        ["start=finetune", f"start.weights={maker.folder}/records.jsonl"],
    )
    assert {change.partition("=")[0].partition(".")[0] for change, *_ in changes} == set(
        SearchSettings.model_fields
    ) - {
        "study",
        "runs_dir",
        "dry_run",
        "executor",
        "logger",
        "method",  # there is one
        "latency",  # needs a table: tests/test_latency_of_searches.py
        "reference",  # decides something only where pairs are confirmed: tests/methods/test_reference.py
    }
    for changed in changes:
        other = tiny_maker("strategy.rounds=1", "strategy.batch=4", *changed, name=folder)
        assert known_answer(other.settings) is None, changed


def test_another_pretrained_encoder_of_the_same_name_has_another_answer(tiny_maker, tmp_path):
    encoder = tmp_path / "encoder.safetensors"
    folders = []
    for content in (b"one", b"another"):
        encoder.write_bytes(content)
        folders.append(answer_folder(tiny_maker(f"pretrained={encoder}").settings))
    assert folders[0] != folders[1]


def test_a_damaged_answer_is_not_known(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    run = maker.answer(maker.run_rounds())
    run.answer_file(1).write_text("")
    assert known_answer(maker.settings) is None


def test_an_answer_is_not_known_once_the_images_are_others(tiny_maker, tmp_path):
    for kind in "ab":
        (tmp_path / "images" / kind).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "images" / kind / f"{i}.png").write_bytes(b"")
    given = ("strategy.rounds=1", "strategy.batch=4", "data=folder", f"data.root={tmp_path / 'images'}")
    maker = tiny_maker(*given)
    run = maker.answer(maker.run_rounds())
    assert known_answer(maker.settings) == run
    (tmp_path / "images" / "a" / "4.png").write_bytes(b"")
    assert known_answer(maker.settings) is None
    shutil.rmtree(tmp_path / "images")
    assert known_answer(maker.settings) == run  # of images that are elsewhere now


def test_an_answer_with_failed_trainings_is_looked_for_again(finished_run):
    assert finished_run.summary.work.failed
    settings = parse(SearchSettings, finished_run.summary.settings)
    assert known_answer(settings) is None


def test_runs_that_share_their_rounds_make_one_section(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    maker.answer(history)
    maker.limit(1e6)
    maker.answer(history)
    (section,) = sections_of(read_study(maker.folder))
    assert [run.summary.constraint for run in section.runs] == ["macs <= 1M", "macs <= 2M"]
    assert [len(origin) for origin in section.origins] == [2]
    maker.pool, maker.prices = maker.pool[::-1], maker.prices[::-1]
    maker.limit(3e6)
    maker.answer(maker.run_rounds())
    names = [section.name for section in sections_of(read_study(maker.folder))]
    assert len(names) == 2
    assert names == ["tiny", "tiny (2)"]


def test_runs_whose_predictors_differ_are_told_apart(tiny_maker):
    """Their trainings do not: they were chosen at random, and in one round."""
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    for members in (5, 3, 1):
        predictor = maker.settings.predictor.model_copy(update={"members": members})
        maker.settings = maker.settings.model_copy(update={"predictor": predictor})
        maker.limit(2e6)
        maker.answer(history)
        maker.limit(1e6)
        maker.answer(history)
        maker.predictor.slopes = maker.predictor.slopes * 0.9  # what other members would have learnt
    sections = sections_of(read_study(maker.folder))
    assert [len(section.runs) for section in sections] == [2, 2, 2]
    names = {section.name for section in sections}
    assert names == {f"predictor.members={members}" for members in (5, 3, 1)}


def test_trainings_that_have_begun_are_told_from_records(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    maker.run_rounds()
    (known, *_) = read_study(maker.folder).records
    for key in (known, "0123456789abcdef"):
        folder = maker.folder / "trainings" / key
        folder.mkdir(parents=True)
        (folder / "epochs.jsonl").write_text('{"epoch": 1, "accuracy": 0.5}\n{"epoch": 2, "acc')
    assert read_study(maker.folder).begun == {"0123456789abcdef": (0.5,)}


def test_a_summary_with_unknown_and_without_new_keys_is_read(finished_run, tmp_path):
    folder = tmp_path / "old/answers/macs-max-600M"
    folder.mkdir(parents=True)
    values = yaml.safe_load((finished_run.folder / "search.yaml").read_text())
    for key in ("command", "versions", "work", "front", "importance", "started", "seconds"):
        del values[key]
    (folder / "search.yaml").write_text(yaml.safe_dump(values | {"unknown": 1}))
    (run,) = read_study(tmp_path / "old").runs
    assert run.summary.rounds == finished_run.summary.rounds
    assert run.summary.work is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "cannot be read (while parsing a flow"),
        ("- 1", "holds no keys"),
        ("constraint: none", "early_stop: missing"),
    ],
)
def test_an_unreadable_summary_is_named_and_the_others_are_shown(tiny_maker, text, message):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    run = maker.answer(maker.run_rounds())
    file = maker.folder / "answers/none/search.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    study = read_study(maker.folder)
    assert study.runs == (run,)
    (line,) = study.damaged
    assert str(file) in line
    assert message in line
    assert len(line.splitlines()) == 1
    page = write_report([maker.folder]).read_text()
    assert "Not shown: " in page
    assert message in page


@pytest.mark.parametrize(("text", "message"), [("", "holds no keys"), ("recipe: {}", "architecture is missing")])
def test_a_damaged_pair_does_not_stop_the_report(tiny_maker, text, message):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    run = maker.answer(maker.run_rounds())
    run.answer_file(1).write_text(text)
    study = read_study(maker.folder)
    assert not study.runs
    assert study.damaged == (f"{run.answer_file(1)}: {message}; run the search again",)
    assert write_report([maker.folder]).exists()


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no study; give a folder that search\.py made"):
        read_study(tmp_path)
