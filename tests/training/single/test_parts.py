"""What the processes of a training, each with its part of every batch, agree on at the end of an epoch."""

import multiprocessing
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import distributed

from nars.data import open_data
from nars.networks.architectures import architecture_of
from nars.settings import DigitsSettings, TrainerSettings
from nars.training.single.fit import open_trainer
from nars.training.single.processes import Part
from nars.training.single.run import _module

RIGHT = {0: 3, 1: 1}  # of the images that each process validates
SEEN = {0: 3, 1: 5}


@contextmanager
def group_of(part: Part, meeting: Path):
    """The process group that Lightning makes of several processes."""
    if part.world_size == 1:
        yield
        return
    store = distributed.FileStore(str(meeting), part.world_size)
    distributed.init_process_group("gloo", store=store, rank=part.rank, world_size=part.world_size)
    yield
    distributed.destroy_process_group()


def epoch_of(job, part: Part, meeting: Path, broken: int | None) -> dict:
    """The end of an epoch in one process: what differs by rank is told apart, statistics of `broken` are infinite."""
    torch.set_num_threads(1)
    data = open_data(DigitsSettings(name="digits"))
    with group_of(part, meeting):
        module = _module(job, architecture_of(job.architecture), data, train_batches=2)
        module.trainer = open_trainer(module, job, part, [], [])
        module.on_train_epoch_start()
        drawn = torch.rand(3).tolist()
        module._loss_sum += 2.0 * (part.rank + 1)  # of two steps
        for network in (module.network, module.evaluated_network):
            for buffer in network.buffers():
                if buffer.is_floating_point():
                    buffer.fill_(1.0 + part.rank if part.rank != broken else torch.inf)
        module.on_validation_epoch_start()
        images = torch.rand(SEEN[part.rank], 3, 32, 32)
        with torch.no_grad():
            labels = module.evaluated_network.eval()(images).argmax(dim=1)
        labels[RIGHT[part.rank] :] += 1
        module.validation_step((images, labels), 0)
        module.on_validation_epoch_end()
    buffers = {float(b.max()) for b in module.evaluated_network.buffers() if b.is_floating_point()}
    stops = module.trainer.should_stop
    return {"loss": module._loss, "drawn": drawn, "curve": module.accuracies, "buffers": buffers, "stops": stops}


def run_part(job, part: Part, meeting: Path, broken: int | None, report) -> None:
    report.send(epoch_of(job, part, meeting, broken))


def both(job, meeting: Path, *, broken: int | None = None) -> list[dict]:
    context = multiprocessing.get_context("fork")
    parts = []
    for rank in range(2):
        receive, send = context.Pipe(duplex=False)
        part = Part(rank=rank, world_size=2, port=1)
        process = context.Process(target=run_part, args=(job, part, meeting, broken, send))
        process.start()
        parts.append((process, receive))
    ends = [receive.recv() for _, receive in parts]
    for process, _ in parts:
        process.join()
    return ends


@pytest.mark.parametrize("averaged", [True, False])
def test_processes_agree_on_what_all_of_them_saw(make_job, tmp_path, averaged):
    values = {"recipe": {"ema": averaged}, "seed": 4}
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", devices=2), **values)
    first, second = both(job, tmp_path / "meeting")
    alone = epoch_of(make_job(tmp_path, **values), Part(), tmp_path, None)
    for end in (first, second):
        assert end["loss"] == 1.5  # the mean of 1 and 2
        assert end["curve"] == [4 / 8]
        assert end["buffers"] == {1.0}  # the first one's
        assert not end["stops"]
    assert first["drawn"] == alone["drawn"]
    assert second["drawn"] != alone["drawn"]  # each drops and mixes in its own way


@pytest.mark.parametrize("broken", [0, 1])
def test_what_diverges_in_one_process_has_diverged_in_all(make_job, tmp_path, broken):
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", devices=2))
    for end in both(job, tmp_path / "meeting", broken=broken):
        assert end["stops"]
        assert end["curve"] == []
