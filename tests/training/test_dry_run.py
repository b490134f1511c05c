"""How long a round would take, by what trainings took before."""

import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from nars.data import open_data
from nars.errors import UserError
from nars.methods.dry_run import (
    STEPS,
    WARM_UP,
    NotKnownError,
    OnlyKnown,
    _images_per_epoch,
    _short,
    plan_of,
    seconds_per_image,
)
from nars.records import Ledger, Record
from nars.settings import (
    ConfirmSettings,
    DigitsSettings,
    LoggerSettings,
    NarsSettings,
    ProtocolSettings,
    TrainerSettings,
)
from nars.spaces.candidate import Candidate
from nars.training.executor import Executor, LostError
from nars.training.job import training_identity
from nars.training.trainer import CandidateTrainer

DATA = DigitsSettings(name="digits")
PROTOCOL, TRAINER = ProtocolSettings(epochs=4, batch_size=64), TrainerSettings()
COSTS = {"a": 1e6, "b": 2e6, "c": 4e6}


def candidate(name: str) -> Candidate:
    return Candidate(architecture={"name": name}, recipe={})


@pytest.fixture
def trainer(tmp_path: Path) -> CandidateTrainer:
    """Without an executor: nothing may be measured."""
    values = {"data": DATA, "split_file": None, "protocol": PROTOCOL, "trainer": TRAINER, "seed": 0}
    values |= {"logger": LoggerSettings(), "training": training_identity(open_data(DATA), PROTOCOL, TRAINER)}
    price = lambda candidate: {"macs": COSTS[candidate.architecture["name"]], "params": 1.0}  # noqa: E731
    return CandidateTrainer(
        Ledger(tmp_path / "records.jsonl"), None, job_values=values, price=price, folder=tmp_path, progress=None
    )


def record(trainer: CandidateTrainer, name: str, *, seconds: float, epochs: int, **changes) -> Record:
    job = trainer.job(candidate(name), epochs)
    values = {"key": job.key, "architecture": job.architecture, "recipe": job.recipe, "training": job.training}
    values |= {"seed": 0, "epochs": epochs, "costs": job.costs, "seconds": seconds}
    return Record(**(values | {"status": "finished", "accuracies": (0.5,) * epochs} | changes))


def test_time_follows_macs_and_epochs_of_the_trainings_of_the_same_kind(trainer):
    trainer.ledger.append(record(trainer, "a", seconds=8.0, epochs=4))  # 2 s an epoch and million MACs
    trainer.ledger.append(record(trainer, "c", seconds=999.0, epochs=4, key="other", training={"data": "other"}))
    elsewhere = {"key": "space", "architecture": {"name": "z"}, "costs": {"macs": 1e6, "params": 1.0}}
    for number in (1, 2):  # so many that their median would be another
        trainer.ledger.append(record(trainer, "b", seconds=999.0, epochs=4, **elsewhere | {"key": f"space{number}"}))
    with pytest.raises(NotKnownError) as missing:
        OnlyKnown(trainer)([candidate(name) for name in COSTS], 3, title="round 1")
    rounds = NarsSettings.model_construct(rounds=4, batch=3)
    confirm = ConfirmSettings(pairs=2, seeds=3)
    plan = plan_of(missing.value, trainer, open_data(DATA), rounds, confirm, offered=in_the_space)
    assert [plan.seconds(job) for job in plan.jobs] == [0.0, 2 * 2 * 3, 2 * 4 * 3]
    assert plan.known == {trainer.key(candidate("a"))}
    assert (plan.number, plan.later) == (1, 9)
    mean = 7 / 3  # million MACs; all of them for the 4 epochs of the protocol
    assert plan.confirmation(2) == (12, pytest.approx(12 * mean * 2 * 4))


def in_the_space(candidate: Candidate) -> bool:
    return candidate.architecture["name"] in COSTS


class CannotTrain(Executor):
    """A machine on which no training can begin."""

    def __init__(self, error: Exception):
        self.error = error
        self._retries = 0

    def close(self) -> None: ...

    def _has_room(self, running: int) -> bool:
        return not running

    def _start(self, job) -> Future:
        future = Future()
        future.set_exception(self.error)
        return future

    def _collect(self, future):
        return future.result()


@pytest.mark.parametrize("error", [UserError("PyTorch sees no GPU here"), LostError("out of memory", final=True)])
def test_what_cannot_be_measured_is_listed_all_the_same(trainer, error):
    trainer.executor = CannotTrain(error)
    with pytest.raises(NotKnownError) as missing:
        OnlyKnown(trainer)([candidate(name) for name in COSTS], 3, title="round 1")
    rounds = NarsSettings.model_construct(rounds=4, batch=3)
    plan = plan_of(missing.value, trainer, open_data(DATA), rounds, ConfirmSettings(), offered=in_the_space)
    assert (len(plan.jobs), plan.seconds_per_mac, plan.measured) == (3, None, str(error))


def test_a_measurement_takes_a_small_batch(make_job, tmp_path):
    job = make_job(tmp_path, protocol={"batch_size": 2048}, trainer={"accelerator": "cpu"})
    assert _short(job, str(tmp_path)).protocol == job.protocol.model_copy(update={"batch_size": 8})
    few = make_job(tmp_path, protocol={"batch_size": 4})
    assert _short(few, str(tmp_path)).protocol == few.protocol


def test_a_known_round_is_handed_out(trainer):
    known = record(trainer, "a", seconds=8.0, epochs=4)
    trainer.ledger.append(known)
    assert list(OnlyKnown(trainer)([candidate("a")], 4, title="round 1")) == [known]
    with pytest.raises(NotKnownError):  # a longer training than is known
        OnlyKnown(trainer)([candidate("a")], 5, title="round 1")


def test_the_time_of_an_image_is_measured(make_job, tmp_path):
    started = time.monotonic()
    seconds = seconds_per_image(make_job(tmp_path, protocol={"steps_per_epoch": 2}))
    assert 0 < seconds * 8 * (STEPS - WARM_UP) <= time.monotonic() - started
    assert not list(tmp_path.iterdir())
    with pytest.raises(RuntimeError, match="the training ended after"):
        seconds_per_image(make_job(tmp_path, recipe={"lr": 1e30}))


def test_images_of_an_epoch_are_those_trained_and_a_third_of_those_validated():
    data = open_data(DATA)
    assert (data.train_size, data.val_size) == (1437, 360)
    for steps, trained in ((None, 1437), (40, 1437), (10, 640)):
        protocol = ProtocolSettings(epochs=1, batch_size=64, steps_per_epoch=steps)
        assert _images_per_epoch(protocol, data) == trained + 120
