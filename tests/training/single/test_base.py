"""Epochs of a task that is none of images: what every task gets from the base."""

import json

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nars.records import Record
from nars.settings import LoggerSettings, ScheduleSettings, TrainerSettings
from nars.training.job import Job, checkpoint_path
from nars.training.single.base import BaseModule
from nars.training.single.fit import Built, fit
from nars.training.single.loggers import open_loggers


class LineJob(Job):
    """To find the slope of a line."""

    kind = "line"

    slope: float


class LineModule(BaseModule):
    """Learns it; its metric is how close it is, the error is measured beside it."""

    metric = "closeness"

    def __init__(self, *, slope: float, average: bool, job: Job):
        super().__init__(
            nn.Linear(1, 1, bias=False), protocol=job.protocol, average=average, steps_per_epoch=4, seed=job.seed
        )
        nn.init.zeros_(self.network.weight)
        self.slope = slope

    def build_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.network.parameters(), lr=0.2, momentum=self.protocol.momentum)

    def loss_of(self, batch) -> torch.Tensor:
        [x] = batch
        return ((self.network(x) - self.slope * x) ** 2).mean()

    def begin_measuring(self) -> None:
        self._errors = []

    def measure(self, batch) -> None:
        self._errors.append(abs(self.evaluated_network.weight.item() - self.slope))

    def measured(self) -> dict[str, float]:
        [error] = self._errors
        return {self.metric: 1 / (1 + error), "error": error}


def build(job: LineJob, part) -> Built:
    inputs = TensorDataset(torch.linspace(-1, 1, 8)[:, None])
    module = LineModule(slope=job.slope, average=job.seed == 1, job=job)
    return Built(module=module, train=DataLoader(inputs, batch_size=2), val=DataLoader(inputs, batch_size=8))


@pytest.fixture
def job_of():
    """A function: a job with values changed as given."""

    def make(folder, *, epochs=3, slope=0.5, seed=1) -> LineJob:
        values = {"key": "line", "architecture": {}, "recipe": {}, "training": {}, "costs": {"macs": 1.0}}
        protocol = ScheduleSettings(epochs=epochs, batch_size=2, momentum=0.0, ema_decay=0.5)
        means = {"trainer": TrainerSettings(accelerator="cpu"), "logger": LoggerSettings(csv=True)}
        return LineJob(**values, **means, protocol=protocol, epochs=epochs, seed=seed, slope=slope, folder=str(folder))

    return make


@pytest.mark.parametrize("seed", [1, 2])
def test_any_task_is_trained_measured_and_recorded_under_its_metric(job_of, tmp_path, seed):
    record, module = fit(job_of(tmp_path, seed=seed), build)
    assert record.metric == "closeness"
    assert record.accuracies == tuple(1 / (1 + error) for error in module.curves["error"])
    assert module.curves["error"] == sorted(module.curves["error"], reverse=True)
    weight = module.evaluated_network.weight
    assert record.accuracies[-1] == pytest.approx(1 / (1 + abs(weight.item() - 0.5)))
    assert (module.ema is not None) == (seed == 1)
    assert Record.read(json.dumps(record.content())) == record


def test_a_task_goes_on_with_all_its_curves_and_logs_them_again(job_of, tmp_path):
    _, whole = fit(job_of(tmp_path / "whole", epochs=4), build)
    fit(job_of(tmp_path / "parts", epochs=2), build)
    job = job_of(tmp_path / "parts", epochs=4)
    told = []
    with open_loggers(job) as loggers:
        _, resumed = fit(job, build, on_epoch=lambda epoch, metric: told.append(epoch), loggers=loggers)
    assert told == [3, 4]
    assert resumed.curves == whole.curves
    assert torch.equal(resumed.evaluated_network.weight, whole.evaluated_network.weight)
    rows = (tmp_path / "parts" / "metrics.csv").read_text()
    for name in ("loss", "closeness", "error"):
        assert name in rows.splitlines()[0]
    assert len(rows.splitlines()) >= 5


def test_a_diverged_task_counts_no_epoch(job_of, tmp_path):
    record, module = fit(job_of(tmp_path, slope=1e39), build)
    assert (record.status, record.accuracies) == ("diverged", ())
    assert module.curves == {"loss": [], "closeness": []}


def test_curves_of_checkpoints_of_earlier_versions_are_read(job_of, tmp_path):
    job = job_of(tmp_path)
    module = LineModule(slope=1.0, average=False, job=job)
    module.on_load_checkpoint({"curve": {"losses": [0.5], "accuracies": [0.25]}})
    assert module.curves == {"loss": [0.5], "accuracy": [0.25]}


def test_the_checkpoint_of_a_task_is_where_a_job_keeps_it(job_of, tmp_path):
    fit(job_of(tmp_path), build)
    assert checkpoint_path(tmp_path).is_file()
