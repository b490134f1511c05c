"""A training that is killed goes on from its last finished epoch, as if nothing had happened."""

import multiprocessing
import os
import resource
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from nars.errors import UserError
from nars.settings import LoggerSettings, TrainerSettings
from nars.training.job import checkpoint_path, forget_state, remove_checkpoint
from nars.training.single.checkpoint import BestWeights, find_checkpoint
from nars.training.single.loggers import open_loggers
from nars.training.single.run import run_training

PROTOCOL = {"epochs": 4, "steps_per_epoch": 4, "augmentation": "standard"}


def train(job, on_epoch=None):
    """`run_training` with the job's loggers."""
    with open_loggers(job) as loggers:
        return run_training(job, on_epoch=on_epoch, loggers=loggers)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(job, moment: str, count: int) -> None:
    """Train, and die by SIGKILL at the `count`-th `moment`: in a step, after an epoch, while writing its state."""
    torch.set_num_threads(1)
    seen = 0

    def tell(*_) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            die()

    if moment == "step":
        register_optimizer_step_post_hook(tell)
    if moment == "write":
        os.fsync = tell
    train(job, on_epoch=tell if moment == "epoch" else None)


@pytest.fixture(scope="module")
def kill():
    """A function: train a job in a process of its own until it is killed at a moment."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nars.training.single.run"])

    def kill(job, moment: str, count: int) -> None:
        process = context.Process(target=train_until_killed, args=(job, moment, count))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL

    return kill


def trainer(**keys) -> TrainerSettings:
    return TrainerSettings(accelerator="cpu", **keys)


@pytest.fixture
def make_job(make_job):
    """As elsewhere, but with a checkpoint after every epoch, as the settings have it."""
    return lambda folder, **fields: make_job(folder, **({"trainer": trainer()} | fields))


def assert_same(outcome, expected) -> None:
    """Records but for the time they took, and every weight to the bit."""
    (record, module), (other, theirs) = outcome, expected
    same = {"seconds": 0.0, "started": None}
    assert record.model_copy(update=same) == other.model_copy(update=same)
    for mine, their in zip(module.state_dict().values(), theirs.state_dict().values(), strict=True):
        assert torch.equal(mine, their)


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "ema"), [("rmsprop", True), ("sgd", False)])
def test_a_killed_training_goes_on_and_ends_the_same_to_the_bit(
    kill, make_job, everything_random, tmp_path, optimizer, ema
):
    def job(folder):
        recipe = everything_random | {"optimizer": optimizer, "ema": ema}
        return make_job(tmp_path / folder, recipe=recipe, protocol=PROTOCOL, logger=LoggerSettings(csv=True))

    whole = train(job("whole"))
    assert len(set(whole[1].losses)) == 4

    killed, state = job("killed"), checkpoint_path(tmp_path / "killed")
    kill(killed, "step", 3)  # in epoch 1: there is nothing to go on from
    assert not state.exists()
    kill(killed, "step", 6)  # in epoch 2
    after_first = state.read_bytes()
    kill(killed, "epoch", 1)  # epoch 2 is over, its state not yet written
    assert state.read_bytes() == after_first
    kill(killed, "write", 1)  # half-written
    assert state.read_bytes() == after_first
    kill(killed, "step", 5)  # one step of epoch 3: epoch 2 is not trained again after this
    told = []
    outcome = train(killed, on_epoch=lambda *epoch: told.append(epoch))
    assert_same(outcome, whole)
    assert told == list(enumerate(whole[0].accuracies, start=1))[2:]
    for file in ("epochs.jsonl", "metrics.csv"):
        assert (tmp_path / "killed" / file).read_text() == (tmp_path / "whole" / file).read_text()

    # Killed before the record was kept: nothing is trained again.
    told.clear()
    assert_same(train(killed, on_epoch=lambda *epoch: told.append(epoch)), whole)
    assert told == []


def test_a_finished_training_goes_on_when_more_epochs_are_asked_for(make_job, everything_random, tmp_path):
    """The time of all parts counts."""

    def job(folder, epochs):
        protocol = PROTOCOL | {"epochs": epochs}
        return make_job(tmp_path / folder, recipe=everything_random, protocol=protocol)

    run_training(job("continued", 2))
    before = find_checkpoint(checkpoint_path(tmp_path / "continued"), key="k1", epochs=3)["seconds"]
    told = []
    longer = run_training(job("continued", 3), on_epoch=lambda *epoch: told.append(epoch))
    assert_same(longer, run_training(job("whole", 3)))
    assert [epoch for epoch, _ in told] == [3]
    assert longer[0].seconds > before > 0


def test_a_divergence_after_a_resumption_is_the_same_record(make_job, tmp_path):
    recipe = {"optimizer": "sgd", "weight_decay": 3e4}
    whole, _ = run_training(make_job(tmp_path / "whole", recipe=recipe, protocol={"epochs": 9}))
    assert whole.status == "diverged"
    known = len(whole.accuracies)
    run_training(make_job(tmp_path / "parts", recipe=recipe, protocol={"epochs": known}))
    again, _ = run_training(make_job(tmp_path / "parts", recipe=recipe, protocol={"epochs": 9}))
    assert (again.status, again.accuracies) == ("diverged", whole.accuracies)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_a_bit(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, flip_a_bit, lambda data: b"", lambda data: b"not a checkpoint"])
def test_a_corrupt_checkpoint_is_named_and_not_used(make_job, tmp_path, caplog, damage):
    job = make_job(tmp_path)
    expected = run_training(job)
    path = checkpoint_path(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    told = []
    assert_same(run_training(job, on_epoch=lambda *epoch: told.append(epoch)), expected)
    assert len(told) == job.epochs
    (message,) = [record.message for record in caplog.records if record.name.startswith("nars")]
    assert message.startswith(f"checkpoint {path} is not used: corrupt (")
    assert message.endswith("the training starts anew")


def test_the_checkpoint_of_another_training_is_not_used(make_job, tmp_path, caplog):
    run_training(make_job(tmp_path, key="other", recipe={"lr": 0.01}))
    mine, longer = make_job(tmp_path), make_job(tmp_path, protocol={"epochs": 3})
    expected = run_training(make_job(tmp_path / "elsewhere"))
    assert_same(run_training(mine), expected)
    assert "it belongs to another training (other, not k1)" in caplog.text
    run_training(longer)
    assert_same(run_training(mine), expected)
    assert "it is 3 epochs old, and 2 are asked for" in caplog.text


def test_a_checkpoint_of_another_version_is_not_used(make_job, tmp_path, caplog):
    expected = run_training(make_job(tmp_path))
    state = torch.load(checkpoint_path(tmp_path))
    state["nars"]["schema"] += 1
    torch.save(state, checkpoint_path(tmp_path))
    assert_same(run_training(make_job(tmp_path)), expected)
    assert "it was written by another version (schema 2, this one writes 1)" in caplog.text


def test_how_often_and_how_long_checkpoints_are_kept(make_job, tmp_path):
    never = make_job(tmp_path / "never", trainer=trainer(checkpoint_every=0))
    run_training(never)
    assert [path.name for path in (tmp_path / "never").iterdir()] == ["epochs.jsonl"]
    forget_state(never)

    protocol, told = PROTOCOL | {"epochs": 5}, []
    job = make_job(tmp_path, protocol=protocol, trainer=trainer(checkpoint_every=3, keep_checkpoints=True))
    epochs = []

    def look(epoch, _):
        told.append(epoch)
        epochs.append(torch.load(checkpoint_path(tmp_path))["nars"]["epochs"] if epoch > 3 else None)

    run_training(job, on_epoch=look)
    assert epochs == [None, None, None, 3, 3]
    assert torch.load(checkpoint_path(tmp_path))["nars"]["epochs"] == 5  # the last one always
    forget_state(job)
    assert checkpoint_path(tmp_path).exists()
    forget_state(make_job(tmp_path))
    assert not checkpoint_path(tmp_path).exists()
    remove_checkpoint(tmp_path)


def write_too_much(job, queue) -> None:
    """Train where no file may grow beyond 64 KiB: a write then fails as on a full disk."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    try:
        run_training(job)
    except UserError as error:
        queue.put(str(error))


def test_a_checkpoint_that_cannot_be_written_is_said(make_job, tmp_path):
    context = multiprocessing.get_context("forkserver")
    queue = context.SimpleQueue()
    process = context.Process(target=write_too_much, args=(make_job(tmp_path), queue))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert not queue.empty()
    message = queue.get()
    assert message.startswith(f"{checkpoint_path(tmp_path)}: cannot write the checkpoint: File too large; free space")
    assert "trainer.checkpoint_every=0" in message
    assert [path.name for path in tmp_path.iterdir()] == ["epochs.jsonl"]


def test_the_weights_of_the_best_epoch_are_kept_the_first_of_equals(tmp_path):
    network = nn.Linear(1, 1)
    module = SimpleNamespace(accuracies=[], diverged=False, evaluated_network=network)
    keep = BestWeights(tmp_path / "weights.safetensors")
    kept = []
    for epoch, accuracy in enumerate([0.2, 0.5, 0.5, 0.3, 0.6], start=1):
        network.weight.data.fill_(epoch)
        module.accuracies.append(accuracy)
        keep.on_validation_end(SimpleNamespace(is_global_zero=True), module)
        kept.append(load_file(keep.path)["weight"].item())
    assert kept == [1, 2, 2, 2, 5]
    module.diverged = True
    network.weight.data.fill_(float("nan"))
    keep.on_validation_end(SimpleNamespace(is_global_zero=True), module)
    assert load_file(keep.path)["weight"].item() == 5
