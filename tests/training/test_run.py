"""One training: it learns, it is decided by its job, and its record says what happened."""

import csv
import json
import struct
import time
from pathlib import Path

import pytest
import torch
import wandb
from wandb.proto import wandb_internal_pb2

from nars.data import open_data
from nars.settings import DigitsSettings, LoggerSettings, ProtocolSettings, TrainerSettings
from nars.spaces.architecture import Architecture
from nars.training.job import training_identity
from nars.training.optimization import base_lr, lr_factor
from nars.training.run import image_size, run_training

EVERYTHING_RANDOM = {"dropout": 0.3, "stochastic_depth": 0.3, "mixup": 0.4}


def accuracy(network: torch.nn.Module, side: int = 32) -> float:
    """Top-1 fraction on the digits' validation images, counted here."""
    right = total = 0
    data = open_data(DigitsSettings(name="digits"))
    with torch.no_grad():
        for images, labels in data.val_loader(image_size=side, batch_size=32):
            right += int((network.eval()(data.normalise()(images)).argmax(1) == labels).sum())
            total += len(labels)
    assert total == 360
    return right / total


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "ema"), [("rmsprop", True), ("sgd", False)])
def test_a_small_network_learns_the_digits(make_job, tmp_path, optimizer, ema):
    told = []
    job = make_job(tmp_path, recipe={"optimizer": optimizer, "ema": ema}, protocol={"epochs": 3, "steps_per_epoch": 60})
    record, module = run_training(job, on_epoch=lambda *epoch: told.append(epoch))
    assert record.status == "finished"
    assert record.epochs == len(record.accuracies) == 3
    assert record.accuracies[-1] > 0.4  # ten classes: chance is 0.1
    assert record.accuracies[-1] > record.accuracies[0]
    assert told == list(enumerate(record.accuracies, start=1))
    lines = [json.loads(line) for line in (tmp_path / "epochs.jsonl").read_text().splitlines()]
    assert lines == [{"epoch": epoch, "accuracy": value} for epoch, value in told]
    assert (record.key, record.seed, record.macs, record.params) == (job.key, job.seed, job.macs, job.params)
    assert record.candidate == job.candidate
    assert record.training == job.training
    assert 0 < record.seconds < 300
    assert record.versions == {"torch": torch.__version__.split("+")[0]}
    assert accuracy(module.evaluated_network) == pytest.approx(record.accuracies[-1])
    assert (module.evaluated_network is module.network) == (not ema)


def test_averaged_weights_are_what_is_evaluated(make_job, tmp_path):
    """A slow average lags behind the network, so their accuracies differ; the record holds the average's."""
    record, module = run_training(make_job(tmp_path, protocol={"epochs": 1, "steps_per_epoch": 40, "ema_decay": 0.999}))
    assert accuracy(module.ema.module) == pytest.approx(record.accuracies[0])
    assert accuracy(module.network) != pytest.approx(record.accuracies[0])


def test_weights_are_averaged_after_every_step(make_job, tmp_path):
    """By hand, over three steps: a decay of 1 - (1 + step)^(-2/3), which the protocol's 0.5 limits. Buffers too."""
    states = []
    for steps in (1, 2, 3):
        protocol = {"epochs": 1, "steps_per_epoch": steps, "warmup_epochs": 0, "ema_decay": 0.5}
        _, module = run_training(make_job(tmp_path, protocol=protocol))
        states.append(module.network.state_dict())
    average = module.ema.module.state_dict()
    decays = [min(0.5, 1 - (1 + step) ** (-2 / 3)) for step in range(3)]
    assert decays == pytest.approx([0, 0.37, 0.5], abs=0.001)
    moved = 0
    for name, value in average.items():
        if value.is_floating_point():
            expected = torch.zeros_like(value)
            for decay, state in zip(decays, states, strict=True):
                expected = decay * expected + (1 - decay) * state[name]
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
            moved += not torch.equal(states[0][name], states[2][name])
    assert moved > 20


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
def test_a_shorter_training_is_the_beginning_of_a_longer_one(make_job, tmp_path, optimizer):
    """To the bit, with everything random in a recipe, whatever was drawn before."""
    recipe = EVERYTHING_RANDOM | {"optimizer": optimizer}
    data = {"steps_per_epoch": 8, "augmentation": "standard"}
    records = {}
    for epochs in (3, 1):
        torch.manual_seed(epochs)
        torch.rand(epochs)
        records[epochs] = run_training(make_job(tmp_path, recipe=recipe, protocol=data | {"epochs": epochs}))
    assert records[1][0].accuracies == records[3][0].accuracies[:1]
    assert len(set(records[3][0].accuracies)) > 1
    again, module = run_training(make_job(tmp_path, recipe=recipe, protocol=data | {"epochs": 3}))
    assert again.accuracies == records[3][0].accuracies
    for mine, theirs in zip(module.state_dict().values(), records[3][1].state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_another_seed_is_another_training(make_job, tmp_path):
    weights = [run_training(make_job(tmp_path, seed=seed))[1].network.classifier.weight for seed in (0, 1)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("key", ["mixup", "dropout", "stochastic_depth", "weight_decay", "lr"])
def test_every_number_of_a_recipe_changes_the_training(make_job, smallest, tmp_path, key):
    *stages, last = smallest["stages"]
    deeper = smallest | {"stages": [*stages, last | {"depth": 2}]}  # a block with a skip, which can be dropped
    jobs = [make_job(tmp_path, recipe={key: value}, architecture=deeper) for value in (0.01, 0.5)]
    outcomes = [run_training(job)[1].network.classifier.weight.detach() for job in jobs]
    assert not torch.equal(*outcomes)


def test_label_smoothing_changes_the_training(make_job, tmp_path):
    protocols = ({}, {"label_smoothing": 0.2})
    outcomes = [run_training(make_job(tmp_path, protocol=p))[1].network.classifier.weight.detach() for p in protocols]
    assert not torch.equal(*outcomes)


def test_the_rate_follows_the_schedule_step_by_step(make_job, tmp_path):
    job = make_job(tmp_path, protocol={"epochs": 3, "steps_per_epoch": 4, "lr_decay": 0.5, "warmup_epochs": 1})
    _, module = run_training(job)
    expected = base_lr(module.recipe, job.protocol) * lr_factor(12, 4, job.protocol)
    for group in module.trainer.optimizers[0].param_groups:
        assert group["lr"] == pytest.approx(expected)
    assert module.trainer.global_step == 12


def test_an_epoch_is_no_longer_than_the_images_last(make_job, tmp_path):
    """1437 images in batches of 512 are two whole batches."""
    job = make_job(tmp_path, protocol={"epochs": 1, "steps_per_epoch": 100, "batch_size": 512})
    _, module = run_training(job)
    assert module.steps_per_epoch == module.trainer.global_step == 2


def test_a_divergence_is_a_record(make_job, tmp_path):
    job = make_job(tmp_path, recipe={"optimizer": "sgd", "lr": 1e30}, protocol={"epochs": 5})
    record, module = run_training(job)
    assert record.status == "diverged"
    assert record.accuracies == ()
    assert record.epochs == 5
    assert module.trainer.current_epoch <= 1  # it does not go on
    assert (tmp_path / "epochs.jsonl").read_text() == ""
    assert all(record.answers(epochs) for epochs in (1, 5, 100))


def test_a_divergence_keeps_the_epochs_before_it(make_job, tmp_path):
    """A weight decay so large that every step multiplies the weights, until they overflow."""
    recipe = {"optimizer": "sgd", "weight_decay": 3e4}
    told = []
    job = make_job(tmp_path, recipe=recipe, protocol={"epochs": 9})
    record, _ = run_training(job, on_epoch=lambda *epoch: told.append(epoch))
    assert record.status == "diverged"
    assert 1 <= len(record.accuracies) < 9
    assert told == list(enumerate(record.accuracies, start=1))
    assert len((tmp_path / "epochs.jsonl").read_text().splitlines()) == len(record.accuracies)
    shorter, _ = run_training(make_job(tmp_path, recipe=recipe, protocol={"epochs": len(record.accuracies)}))
    assert shorter.status == "finished"
    assert shorter.accuracies == record.accuracies


def test_image_sizes_are_scaled_resolutions(smallest):
    architecture = Architecture.from_dict(smallest | {"resolution": 248})
    protocol = ProtocolSettings(epochs=1, batch_size=8)
    assert image_size(architecture, protocol) == 248
    assert image_size(architecture, protocol.model_copy(update={"image_scale": 0.5})) == 124
    assert image_size(architecture, protocol.model_copy(update={"image_scale": 0.01})) == 32


def test_what_decides_a_training_is_in_its_identity_and_the_epochs_are_not():
    data, other = open_data(DigitsSettings(name="digits")), open_data(DigitsSettings(name="digits", seed=1))
    protocol, trainer = ProtocolSettings(epochs=4, batch_size=16), TrainerSettings()

    def identity(data=data, protocol=protocol, **trainer_keys):
        return training_identity(data, protocol, trainer.model_copy(update=trainer_keys))

    assert identity() == json.loads(json.dumps(identity()))
    assert identity() == identity(protocol=protocol.model_copy(update={"epochs": 9}))
    assert identity() == identity(accelerator="cpu", loader_workers=3)
    assert identity() != identity(precision="bf16-mixed")
    assert identity() != identity(data=other)
    for key, value in {"batch_size": 32, "lr_decay": 0.9, "image_scale": 0.5, "augmentation": "none"}.items():
        assert identity() != identity(protocol=protocol.model_copy(update={key: value}))


def test_csv_curves(make_job, tmp_path):
    job = make_job(tmp_path / "trainings" / "k1", logger=LoggerSettings(name="csv"))
    record, _ = run_training(job)
    with open(tmp_path / "trainings" / "k1" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx(list(record.accuracies))
    assert [int(row["epoch"]) for row in rows] == [0, 1]
    assert all(0 < float(row["loss"]) < 10 for row in rows)


def test_no_logger_writes_no_curves(make_job, tmp_path):
    run_training(make_job(tmp_path))
    assert [path.name for path in tmp_path.rglob("*")] == ["epochs.jsonl"]


def wandb_records(path: Path, seconds: float = 60) -> dict[str, list]:
    """Records of an offline W&B file by kind, once it is whole: W&B's own process writes its end after `finish`."""
    deadline = time.monotonic() + seconds
    while "exit" not in (kinds := wandb_records_so_far(path)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return kinds


def wandb_records_so_far(path: Path) -> dict[str, list]:
    """A 7-byte header, then LevelDB log blocks of 32 KiB."""
    data, position, message, kinds = path.read_bytes(), 7, b"", {}
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, part = struct.unpack("<IHB", data[position : position + 7])
        if position + 7 + length > len(data):
            break
        message += data[position + 7 : position + 7 + length]
        position += 7 + length
        if part in (1, 4):  # whole, or last part
            record = wandb_internal_pb2.Record.FromString(message)
            kind = record.WhichOneof("record_type")
            kinds.setdefault(kind, []).append(getattr(record, kind))
            message = b""
    return kinds


@pytest.mark.slow
def test_each_training_is_a_wandb_run_of_its_own(make_job, tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_RUN_GROUP", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    jobs = [
        make_job(
            tmp_path / key, key=key, recipe={"lr": lr}, logger=LoggerSettings(name="wandb", project="some-project")
        )
        for key, lr in (("run1", 0.02), ("run2", 0.03))
    ]
    records = [run_training(job)[0] for job in jobs]
    for job, record in zip(jobs, records, strict=True):
        (file,) = (tmp_path / job.key / "wandb").glob("offline-run-*/*.wandb")
        kinds = wandb_records(file)
        (run,) = kinds["run"]
        assert (run.run_id, run.project) == (job.key, "some-project")
        assert (run.run_group, run.job_type) == ("digits-study", "candidate")
        assert run.display_name == job.candidate.name
        config = {update.key: json.loads(update.value_json) for c in kinds["config"] for update in c.update}
        assert config["recipe/lr"] == job.recipe["lr"]
        assert config["arch/stage2/expansion_first"] == 2
        assert config["protocol/batch_size"] == 16
        assert (config["seed"], config["macs"], config["data"]) == (3, 1.5, "digits")
        history = [{item.nested_key[0]: json.loads(item.value_json) for item in h.item} for h in kinds["history"]]
        assert [row["accuracy"] for row in history] == pytest.approx(list(record.accuracies))
        assert len(kinds["exit"]) == 1
    assert wandb.run is None


@pytest.mark.slow
def test_a_resumed_training_has_its_whole_curve_in_one_wandb_run(make_job, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    settings = {"logger": LoggerSettings(name="wandb"), "trainer": TrainerSettings(accelerator="cpu")}
    for epochs in (1, 2):
        record, _ = run_training(make_job(tmp_path, protocol={"epochs": epochs}, **settings))
        (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
        if epochs == 1:
            file.parent.rename(tmp_path / "first")  # W&B names folders by the second: the next may be the same
    kinds = wandb_records(file)
    assert kinds["run"][0].run_id == "k1"
    history = [{item.nested_key[0]: json.loads(item.value_json) for item in h.item} for h in kinds["history"]]
    assert [row["accuracy"] for row in history] == pytest.approx(list(record.accuracies))
    assert [row["trainer/global_step"] for row in history] == [2, 5]
