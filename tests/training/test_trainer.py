"""CandidateTrainer: trains what the ledger does not know, once, and keeps every record."""

import json
import multiprocessing
import os
import time
from concurrent.futures import Future

import pytest

from nars.records import Ledger, Record
from nars.training.executor import Executor, LostError
from nars.training.job import TrainingJob, checkpoint_path
from nars.training.trainer import CandidateTrainer
from nars.training.worker import train_job

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


class Here(Executor):
    """Trains in this process, one after the other: a worker process needs seconds to import what trains."""

    def __init__(self, run=train_or_fail, retries: int = 0):
        super().__init__(retries=retries)
        self.run = run

    def close(self):
        pass

    def _has_room(self, running):
        return running == 0

    def _start(self, job):
        future = Future()
        try:
            future.set_result(self.run(job))
        except OSError as error:
            future.set_exception(error)
        return future

    def _collect(self, future):
        try:
            return future.result()
        except OSError as error:
            raise LostError(f"OSError: {error}") from error


@pytest.mark.slow
def test_trainings_are_kept_and_never_repeated(job_values, candidate, tmp_path):
    path, progress = tmp_path / "records.jsonl", Told()

    def trainer() -> CandidateTrainer:
        return CandidateTrainer(
            Ledger(path),
            Here(),
            job_values=job_values,
            price=lambda c: {"macs": 100.0, "params": 1e9 * c.recipe["lr"]},
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
        assert (record.key, record.costs) == (train.key(c), {"macs": 100.0, "params": 1e9 * c.recipe["lr"]})
        curve = (tmp_path / "trainings" / record.key / "epochs.jsonl").read_text().splitlines()
        assert [json.loads(line)["accuracy"] for line in curve] == list(record.accuracies)
    assert not list(tmp_path.rglob("*.ckpt"))  # what is in the ledger needs no checkpoint
    assert records[faulty.name].status == "failed"
    assert records[faulty.name].reason == "OSError: no such device"
    assert progress.said[0] == ("start", "round 1", 6)
    assert progress.said[-1] == ("stop",)
    best = max(max(records[c.name].accuracies) for c in (first, second))
    assert progress.said[-2] == ("update", 6, f"3/3 candidates, best accuracy {best:.3f}")
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

    # A search that counts other classes trains nothing either, and is told its own costs.
    other = trainer()
    other.price = lambda c: {"macs": 50.0, "latency": 2.5}
    assert {(r.accuracies, *r.costs.items()) for r in other([first, second], 2, title="other classes")} == {
        (records[c.name].accuracies, ("macs", 50.0), ("latency", 2.5)) for c in (first, second)
    }
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
            price=lambda c: {"macs": 1.0, "params": 1.0},
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
    assert key(candidate(), split_file="another", trainer=None) == keys[0]


EPOCHS = 2
CANDIDATES = 6


def pretend(job: TrainingJob, log) -> Record:
    """A record as `train_job` makes it, in a fraction of a second; a line in the log says who began which."""
    with open(log, "a") as file:
        file.write(f"{os.getpid()} {job.key}\n")
    time.sleep(0.2)
    values = job.candidate.to_dict() | {"key": job.key, "training": job.training, "seed": job.seed}
    costs = {"costs": job.costs, "seconds": 0.2}
    if job.recipe["lr"] == FAULTY_LR:
        raise OSError("no such device")
    return Record(**values, **costs, epochs=job.epochs, status="finished", accuracies=(0.5,) * job.epochs)


def search(folder, job_values, candidates, results, retries=0) -> None:
    """What one search does in a round; its records and counts go to `results`."""
    told = Told()
    trainer = CandidateTrainer(
        Ledger(folder / "records.jsonl"),
        Here(lambda job: pretend(job, folder / "log"), retries),
        job_values=job_values,
        price=lambda c: {"macs": 100.0, "params": 200.0},
        folder=folder / "trainings",
        progress=told,
    )
    records = {record.key: record.status for record in trainer(candidates, EPOCHS, title="round")}
    results.put((os.getpid(), records, trainer.trained, trainer.reused, told.said))


def start_searches(number: int, *arguments) -> tuple:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=search, args=(*arguments, results)) for _ in range(number)]
    for process in processes:
        process.start()
    return processes, results


def begun(folder) -> list[str]:
    return [line.split()[1] for line in (folder / "log").read_text().splitlines()]


def test_two_searches_at_the_same_time_train_every_candidate_once(job_values, candidate, tmp_path):
    candidates = [candidate(lr=0.02 + i / 1000) for i in range(CANDIDATES - 1)] + [candidate(lr=FAULTY_LR)]
    processes, results = start_searches(2, tmp_path, job_values, candidates)
    (_, first, *counts), (_, second, *others) = (results.get(timeout=60) for _ in processes)
    assert first == second
    assert sorted(first.values()) == ["failed"] + ["finished"] * (CANDIDATES - 1)
    assert len(begun(tmp_path)) == len(set(begun(tmp_path))) == CANDIDATES
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len({line["key"] for line in lines}) == len(lines) == CANDIDATES
    # Both worked, and what one trained the other reused.
    trained, reused = zip(counts[:2], others[:2], strict=True)
    assert sum(trained) == CANDIDATES - 1
    assert min(trained) >= 1
    assert sum(reused) >= CANDIDATES - 1
    notes = [said[2] for said in counts[2] + others[2] if said[0] == "update"]
    assert any("another search trains some (process " in note for note in notes)
    assert not list((tmp_path / "trainings").rglob("claim"))


def test_what_a_killed_search_had_claimed_is_trained_by_the_other(job_values, candidate, tmp_path):
    candidates = [candidate(lr=0.02 + i / 1000) for i in range(CANDIDATES)]
    (victim, other), results = start_searches(2, tmp_path, job_values, candidates)
    log = tmp_path / "log"
    deadline = time.monotonic() + 60
    while not log.exists() or f"{victim.pid} " not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    victim.kill()
    victim.join()
    pid, records, trained, reused, _ = results.get(timeout=60)
    assert pid == other.pid
    assert len(records) == trained + reused == CANDIDATES
    assert len(begun(tmp_path)) <= CANDIDATES + 1
    keys = [json.loads(line)["key"] for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert len(keys) == len(set(keys)) == CANDIDATES


def test_state_that_cannot_be_removed_ends_nothing(job_values, candidate, tmp_path):
    def leave(job):
        checkpoint_path(job.folder).mkdir(parents=True)  # in the place of a file
        return pretend(job, tmp_path / "log")

    trainer = CandidateTrainer(
        Ledger(tmp_path / "records.jsonl"),
        Here(leave),
        job_values=job_values,
        price=lambda c: {"macs": 100.0, "params": 200.0},
        folder=tmp_path / "trainings",
        progress=Told(),
    )
    assert [record.status for record in trainer([candidate()], 1, title="a")] == ["finished"]


def test_a_record_says_how_often_its_training_was_begun(job_values, candidate, tmp_path):
    calls = []

    def fail_once(job):
        calls.append(job.key)
        if len(calls) == 1:
            raise OSError("stale file handle")
        return pretend(job, tmp_path / "log")

    trainer = CandidateTrainer(
        Ledger(tmp_path / "records.jsonl"),
        Here(fail_once, retries=1),
        job_values=job_values,
        price=lambda c: {"macs": 100.0, "params": 200.0},
        folder=tmp_path / "trainings",
        progress=Told(),
    )
    (again,), (once,) = trainer([candidate()], 1, title="a"), trainer([candidate(lr=0.02)], 1, title="b")
    assert (again.status, again.tries, once.tries) == ("finished", 2, None)
    assert [record.tries for record in Ledger(tmp_path / "records.jsonl")] == [2, None]


def test_a_search_that_lost_its_claim_records_nothing_twice(job_values, candidate, tmp_path):
    path = tmp_path / "records.jsonl"

    def while_another_records(job):
        record = pretend(job, tmp_path / "log")
        Ledger(path).append(record.model_copy(update={"seconds": 9.0}))
        return record

    trainer = CandidateTrainer(
        Ledger(path),
        Here(while_another_records),
        job_values=job_values,
        price=lambda c: {"macs": 100.0, "params": 200.0},
        folder=tmp_path / "trainings",
        progress=Told(),
    )
    (record,) = trainer([candidate()], 1, title="a")
    assert record.seconds == 9.0
    assert len(path.read_text().splitlines()) == 1
