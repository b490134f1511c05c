"""Where the curves of trainings go, read back from the files that the loggers wrote."""

import csv
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nars.settings import LoggerSettings, TrainerSettings, WandbSettings
from nars.training.worker import train_job

CSV, WANDB = LoggerSettings(csv=True), LoggerSettings(wandb=WandbSettings(project="some-project"))


def csv_rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv") as file:
        return list(csv.DictReader(file))


def test_csv_curves(make_job, tmp_path):
    record = train_job(make_job(tmp_path / "trainings" / "k1", logger=CSV))
    rows = csv_rows(tmp_path / "trainings" / "k1")
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(list(record.accuracies))
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    assert all(0 < float(row["loss"]) < 10 for row in rows)


def test_no_logger_writes_no_curves(make_job, tmp_path):
    train_job(make_job(tmp_path / "trainings" / "k1"))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["epochs.jsonl"]


@pytest.mark.slow
def test_several_loggers_show_the_same_curve(make_job, read_wandb, tmp_path):
    folder = tmp_path / "trainings" / "k1"
    job = make_job(folder, logger=LoggerSettings(csv=True, tensorboard=True, wandb=WandbSettings()))
    for epochs in (1, 2):  # trained again: what the first time wrote is replaced
        record = train_job(job.model_copy(update={"epochs": epochs}))
    expected = pytest.approx(list(record.accuracies))
    assert [float(row["accuracy"]) for row in csv_rows(folder)] == expected
    events = EventAccumulator(str(folder)).Reload()
    assert [event.value for event in events.Scalars("accuracy")] == expected
    assert [event.step for event in events.Scalars("accuracy")] == [2, 5]
    assert [event.value for event in events.Scalars("final_accuracy")] == pytest.approx(record.accuracies[-1:])
    (run,) = read_wandb(tmp_path).values()
    assert [row["accuracy"] for row in run.history] == expected


@pytest.mark.slow
def test_each_training_is_a_wandb_run_of_its_own(make_job, read_wandb, tmp_path):
    study = tmp_path / "some-study"
    jobs = {
        key: make_job(study / "trainings" / key, key=key, recipe={"lr": lr}, logger=WANDB, predicted_accuracy=predicted)
        for key, lr, predicted in (("run1", 0.02, None), ("run2", 0.03, 0.75))
    }
    records = {key: train_job(job) for key, job in jobs.items()}
    runs = read_wandb(study)
    assert set(runs) == {f"some-study-{key}" for key in jobs}
    for key, job in jobs.items():
        run, record = runs[f"some-study-{key}"], records[key]
        assert (run.run.run_group, run.run.job_type, run.run.project) == ("some-study", "candidate", "some-project")
        assert run.run.display_name == job.candidate.name
        assert {f"recipe/{name}": value for name, value in job.recipe.items()}.items() <= run.config.items()
        assert run.config["arch/stage2/expansion_first"] == 2
        assert run.config["protocol/batch_size"] == 16
        assert (run.config["seed"], run.config["data"]) == (3, "digits")
        assert [row["accuracy"] for row in run.history] == pytest.approx(list(record.accuracies))
        assert [row["epoch"] for row in run.history] == [0, 1]
        assert run.summary["accuracy"] == pytest.approx(record.accuracies[-1])
        assert (run.summary["macs"], run.summary["params"], run.summary["status"]) == (1.5, 2.5, "finished")
        assert run.summary.get("predicted_accuracy") == job.predicted_accuracy
        assert run.kinds["exit"][0].exit_code == 0


@pytest.mark.slow
def test_a_resumed_training_has_its_whole_curve_in_one_wandb_run(make_job, read_wandb, tmp_path):
    values = {"logger": WANDB, "trainer": TrainerSettings(accelerator="cpu")}
    for epochs in (1, 2):
        record = train_job(make_job(tmp_path / "trainings" / "k1", protocol={"epochs": epochs}, **values))
    (run,) = read_wandb(tmp_path).values()
    assert run.run.run_id == f"{tmp_path.name}-k1"
    assert [row["accuracy"] for row in run.history] == pytest.approx(list(record.accuracies))
    assert [row["_step"] for row in run.history] == [2, 5]


@pytest.mark.slow
def test_a_training_that_fails_is_a_failed_wandb_run(make_job, read_wandb, tmp_path):
    job = make_job(tmp_path / "trainings" / "k1", logger=WANDB, recipe={"lr": -1.0})
    with pytest.raises(ValueError, match="lr"):
        train_job(job)
    (run,) = read_wandb(tmp_path).values()
    assert run.kinds["exit"][0].exit_code == 1
