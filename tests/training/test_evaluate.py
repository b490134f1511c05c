"""CandidateTrainer: trains what the ledger does not know, once, and keeps every record."""

import json
import time

import pytest

from nars.records import Ledger, Record
from nars.training.evaluate import CandidateTrainer
from nars.training.run import TrainingJob, train_job

FAULTY_LR = 0.0123


def train_or_fail(job: TrainingJob) -> Record:
    """`train_job`, which raises for one recipe."""
    if job.recipe["lr"] == FAULTY_LR:
        raise OSError("no such device")
    return train_job(job)


class Told:
    """Keeps what it is told of the progress."""

    def __init__(self):
        self.said = []

    def start(self, title, total):
        self.said.append(("start", title, total))

    def update(self, done, note):
        self.said.append(("update", done, note))

    def stop(self):
        self.said.append(("stop",))


class Here:
    """An executor that trains in this process: a worker needs seconds to import what trains."""

    def map(self, jobs, on_poll):
        for job in reversed(jobs):  # any order
            on_poll()
            try:
                yield job, train_or_fail(job)
            except OSError as error:
                yield job, f"OSError: {error}"


@pytest.mark.slow
def test_trainings_are_kept_and_never_repeated(job_values, candidate, tmp_path):
    path, progress = tmp_path / "records.jsonl", Told()

    def trainer() -> CandidateTrainer:
        return CandidateTrainer(
            Ledger(path),
            Here(),
            job_values=job_values,
            price=lambda c: (100.0, 1e9 * c.recipe["lr"]),
            folder=tmp_path / "trainings",
            progress=progress,
        )

    first, second, faulty = candidate(lr=0.02), candidate(lr=0.03, optimizer="sgd"), candidate(lr=FAULTY_LR)
    train = trainer()
    in_ledger = []
    records = {}
    for record in train([first, second, faulty, first], 2, title="round 1"):
        in_ledger.append(record.key in [r.key for r in Ledger(path)])  # before it is handed out
        records[record.candidate.name] = record
    assert in_ledger == [True] * 3
    assert (train.trained, train.reused) == (2, 0)
    assert train.seconds == pytest.approx(sum(r.seconds for r in records.values()))
    assert train.seconds > 0
    for c, record in ((first, records[first.name]), (second, records[second.name])):
        assert record.status == "finished"
        assert len(record.accuracies) == record.epochs == 2
        assert (record.key, record.macs, record.params) == (train.key(c), 100.0, 1e9 * c.recipe["lr"])
        curve = (tmp_path / "trainings" / record.key / "epochs.jsonl").read_text().splitlines()
        assert [json.loads(line)["accuracy"] for line in curve] == list(record.accuracies)
    assert not list(tmp_path.rglob("*.ckpt"))  # what is in the ledger needs no checkpoint
    assert records[faulty.name].status == "failed"
    assert records[faulty.name].reason == "OSError: no such device"
    assert progress.said[0] == ("start", "round 1", 6)
    assert progress.said[-1] == ("stop",)
    best = max(max(records[c.name].accuracies) for c in (first, second))
    assert progress.said[-2] == ("update", 4, f"3/3 candidates, best accuracy {best:.3f}")
    assert [said[1] for said in progress.said[1:-1]] == sorted(said[1] for said in progress.said[1:-1])

    # The same again, by a new trainer as after a restart: nothing is trained, a shorter training is known too.
    lines = path.read_text()
    for epochs in (2, 1):
        again = trainer()
        started = time.monotonic()
        assert list(again([second, first, second], epochs, title="again")) == [
            records[second.name],
            records[first.name],
        ]
        assert time.monotonic() - started < 1
        assert (again.trained, again.reused, again.seconds) == (0, 2, 0.0)
    assert path.read_text() == lines

    # A longer one is trained, and begins as the shorter one.
    longer = trainer()
    known, new = longer([first, second], 2, title="known"), longer([first], 3, title="longer")
    assert {r.key for r in known} == {train.key(first), train.key(second)}
    (record,) = new
    assert record.accuracies[:2] == records[first.name].accuracies
    assert len(record.accuracies) == 3
    assert (longer.trained, longer.reused) == (1, 2)
    assert Ledger(path).find(train.key(first), 3) == record

    # A failure is tried again.
    (record,) = trainer()([faulty], 2, title="failed before")
    assert record.status == "failed"


def test_keys_tell_trainings_apart(job_values, candidate, tmp_path):
    def key(c, **changed):
        return CandidateTrainer(
            Ledger(tmp_path / "none"),
            Here(),
            job_values=job_values | changed,
            price=lambda c: (1.0, 1.0),
            folder=tmp_path,
            progress=Told(),
        ).key(c)

    keys = [
        key(candidate()),
        key(candidate(lr=0.02)),
        key(candidate(), seed=4),
        key(candidate(), training={"data": "x"}),
    ]
    assert len(set(keys)) == 4
    assert key(candidate(), study="another", trainer=None) == keys[0]
