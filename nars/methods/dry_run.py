"""What a search would train next, and how long that would take."""

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, median_low

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from nars.data import ImageData
from nars.errors import UserError
from nars.methods.confirm import Reference
from nars.records import Record
from nars.settings import ConfirmSettings, ProtocolSettings, RoundsSettings
from nars.spaces.candidate import Candidate
from nars.training.devices import device_of
from nars.training.job import TrainingJob
from nars.training.single.run import run_training
from nars.training.trainer import CandidateTrainer

WARM_UP, STEPS = 3, 10  # optimizer steps before the clock starts, and until it stops
SMALL_BATCH = (8, 64)  # images in a batch at most, on a CPU and on a GPU
BACKWARD = 3  # an image costs so many times as much to train on as to validate with


class NotKnownError(Exception):
    """Round `number`, or the confirmation (None), of which not all `trainings`, pairs of candidate and seed, are in the
    ledger; a seed may be None, that of all jobs."""

    def __init__(self, number: int | None, trainings: Sequence[tuple[Candidate, int | None]], epochs: int):
        super().__init__(number)
        self.number = number
        self.trainings = trainings
        self.epochs = epochs


class OnlyKnown:
    """In place of training: hands out the records of the ledger; NotKnownError where one is missing."""

    def __init__(self, trainer: CandidateTrainer):
        self.trainer = trainer
        self.rounds = 0

    def __call__(
        self, candidates: Sequence[Candidate], epochs: int, *, title: str, seeds: Sequence[int] = ()
    ) -> Iterable[Record]:
        """See `nars.search.rounds.Evaluate`; with seeds, those of a confirmation."""
        self.rounds += 1
        trainings = [(candidate, seed) for candidate in candidates for seed in (seeds or [None])]
        records = [self.trainer.ledger.find(self.trainer.key(*training), epochs) for training in trainings]
        if None in records:
            raise NotKnownError(None if seeds else self.rounds, trainings, epochs)
        return records


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Round `number`, or the confirmation of the answer (None): jobs of all its candidates, keys of those that the
    ledger knows, seconds of an epoch by MACs, None where they are unknown.

    `measured` says where these come from, or why they are unknown; `later` is how many trainings the rounds after it
    ask for, `batch` each; `confirm` what comes after these, with its epochs, beside a reference of `reference_macs`,
    None without one; `workers` is how many train at a time, None where a cluster decides.
    """

    number: int | None
    jobs: tuple[TrainingJob, ...]
    known: frozenset[str]
    epochs: int
    seconds_per_mac: float | None
    measured: str
    later: int
    batch: int
    confirm: ConfirmSettings
    reference_macs: float | None
    workers: int | None

    def seconds(self, job: TrainingJob) -> float:
        """What is left of a training in one worker, if the time of an epoch is known."""
        return 0.0 if job.key in self.known else job.costs["macs"] * self.seconds_per_mac * self.epochs

    def wall_seconds(self, *stages: tuple[float, int]) -> float:
        """How long stages take one after the other, each of so many seconds of training and so many trainings that may
        go on at once: a round waits for its last training."""
        return sum(seconds / min(self.workers, trainings) for seconds, trainings in stages if trainings)

    def confirmation(self, pairs: int) -> tuple[int, float]:
        """How many trainings confirming `pairs` pairs found and as many trained ones takes at most, with the reference,
        and their seconds, if pairs are as large as those of the round."""
        macs = [sum(job.costs["macs"] for job in self.jobs) / len(self.jobs)] * 2 * pairs
        macs += [] if self.reference_macs is None else [self.reference_macs]
        seconds = sum(macs) * self.seconds_per_mac * self.confirm.epochs
        return len(macs) * self.confirm.seeds, seconds * self.confirm.seeds


def plan_of(
    missing: NotKnownError,
    trainer: CandidateTrainer,
    data: ImageData,
    rounds: RoundsSettings,
    confirm: ConfirmSettings,
    *,
    offered: Callable[[Candidate], bool],
    reference: Reference | None = None,
) -> Plan:
    """The plan of a round, or of the confirmation, its time by the trainings of the same kind in the ledger whose
    candidates are `offered` by the space, or measured with one candidate."""
    jobs = tuple(trainer.job(candidate, missing.epochs, seed) for candidate, seed in missing.trainings)
    known = frozenset(job.key for job in jobs if trainer.ledger.find(job.key, missing.epochs))
    rates = [
        record.seconds_per_epoch / record.costs["macs"]
        for record in trainer.ledger
        if record.status == "finished" and record.training == jobs[0].training and offered(record.candidate)
    ]
    if rates:
        rate, measured = median(rates), f"as {len(rates)} trainings in the ledger took"
    else:
        job = sorted(jobs, key=lambda job: job.costs["macs"])[len(jobs) // 2]
        per_image, measured = _measure(job, trainer)
        rate = None if per_image is None else per_image * _images_per_epoch(job.protocol, data) / job.costs["macs"]
    return Plan(
        number=missing.number,
        jobs=jobs,
        known=known,
        epochs=missing.epochs,
        seconds_per_mac=rate,
        measured=measured,
        later=0 if missing.number is None else (rounds.rounds - missing.number) * rounds.batch,
        batch=rounds.batch,
        confirm=confirm.model_copy(update={"epochs": confirm.epochs or jobs[0].protocol.epochs}),
        reference_macs=reference.costs["macs"] if reference else None,
        workers=getattr(trainer.executor, "workers", None),
    )


def _measure(job: TrainingJob, trainer: CandidateTrainer) -> tuple[float | None, str]:
    """Seconds per image and how they are known; None and why not, where the job cannot be trained here."""
    try:
        [completed] = trainer.executor.map([job], lambda: None)
    except UserError as error:  # of a GPU that this machine has not, for one
        return None, str(error)
    if completed.result is None:
        return None, completed.reason
    return completed.result, f"measured just now: {1 / completed.result:.0f} images a second of {job.candidate.name}"


def _images_per_epoch(protocol: ProtocolSettings, data: ImageData) -> float:
    """Trained and, in terms of them, validated."""
    trained = min(data.train_size, protocol.batch_size * (protocol.steps_per_epoch or data.train_size))
    return trained + data.val_size / BACKWARD


def seconds_per_image(job: TrainingJob) -> float:
    """Begin the training of a job, for an executor: seconds per image that it trains on."""
    times: list[float] = []

    def tick(*_) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter())
        if len(times) == STEPS:
            raise _EnoughError

    hook = register_optimizer_step_post_hook(tick)
    with tempfile.TemporaryDirectory() as folder:
        short = _short(job, folder)
        try:
            run_training(short)
        except _EnoughError:
            pass
        finally:
            hook.remove()
    if len(times) <= WARM_UP:
        raise RuntimeError(f"the training ended after {len(times)} steps")
    steps = [after - before for before, after in pairwise(times[WARM_UP - 1 :])]
    return median_low(steps) / short.protocol.batch_size  # where epochs are short, others include a validation


def _short(job: TrainingJob, folder: str) -> TrainingJob:
    most = SMALL_BATCH[device_of(job.trainer.accelerator).type != "cpu"]
    batch_size = min(job.protocol.batch_size, most)  # a large one may not fit where one only asks
    return job.model_copy(
        update={
            "folder": folder,
            "protocol": job.protocol.model_copy(update={"batch_size": batch_size}),
            "epochs": STEPS,
            "trainer": job.trainer.model_copy(update={"checkpoint_every": 0}),
        }
    )


class _EnoughError(Exception):
    """Ends a training that was measured."""
