"""Candidates in, records out: what the search calls to learn the accuracies of candidates."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from nars.records import Ledger, Record, training_key
from nars.spaces.candidate import Candidate
from nars.training.executor import LocalExecutor
from nars.training.run import TrainingJob, forget_state


class Progress(Protocol):
    """What is told how far the trainings are."""

    def start(self, title: str, total: int) -> None: ...
    def update(self, done: float, note: str) -> None: ...
    def stop(self) -> None: ...


class CandidateTrainer:
    """Trains candidates that the ledger does not answer yet; appends every record before it hands it out.

    `job_values` are the fields of `TrainingJob` that all candidates share; `price` gives (macs, params) of one.
    Counts what was `trained`, `reused`, and the seconds that training took.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: LocalExecutor,
        *,
        job_values: Mapping,
        price: Callable[[Candidate], tuple[float, float]],
        folder: Path,
        progress: Progress,
    ):
        self.ledger = ledger
        self.executor = executor
        self.job_values = dict(job_values)
        self.price = price
        self.folder = folder
        self.progress = progress
        self.trained = 0
        self.reused = 0
        self.seconds = 0.0

    def __call__(self, candidates: Sequence[Candidate], epochs: int, *, title: str) -> Iterator[Record]:
        """One record per distinct candidate, those known first, then each as it finishes."""
        jobs = []
        for job in {job.key: job for job in (self._job(candidate, epochs) for candidate in candidates)}.values():
            record = self.ledger.find(job.key, epochs)
            if record is None:
                jobs.append(job)
            else:
                self.reused += 1
                yield record
        if jobs:
            yield from self._train(jobs, epochs, title)

    def key(self, candidate: Candidate) -> str:
        """Key of the candidate's record."""
        return training_key(candidate, self.job_values["training"], self.job_values["seed"])

    def _job(self, candidate: Candidate, epochs: int) -> TrainingJob:
        macs, params = self.price(candidate)
        key = self.key(candidate)
        return TrainingJob(
            **self.job_values,
            **candidate.to_dict(),
            key=key,
            folder=str(self.folder / key),
            epochs=epochs,
            macs=macs,
            params=params,
        )

    def _train(self, jobs: list[TrainingJob], epochs: int, title: str) -> Iterator[Record]:
        for job in jobs:
            (Path(job.folder) / "epochs.jsonl").unlink(missing_ok=True)
        self.progress.start(title, total=len(jobs) * epochs)
        finished = 0

        def show() -> None:
            curves = [_curve(Path(job.folder) / "epochs.jsonl") for job in jobs]
            best = max((max(curve) for curve in curves if curve), default=None)
            note = f"{finished}/{len(jobs)} candidates" + (f", best accuracy {best:.3f}" if best is not None else "")
            self.progress.update(sum(map(len, curves)), note)

        try:
            for job, outcome in self.executor.map(jobs, show):
                record = outcome if isinstance(outcome, Record) else _failed(job, outcome)
                self.ledger.append(record)
                if record.status != "failed":
                    forget_state(job)
                finished += 1
                self.trained += record.status != "failed"
                self.seconds += record.seconds
                show()
                yield record
        finally:
            self.progress.stop()


def _curve(path: Path) -> list[float]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    return [json.loads(line)["accuracy"] for line in lines if line.endswith("}")]


def _failed(job: TrainingJob, reason: str) -> Record:
    return Record(
        key=job.key,
        **job.candidate.to_dict(),
        training=job.training,
        seed=job.seed,
        epochs=job.epochs,
        status="failed",
        accuracies=(),
        macs=job.macs,
        params=job.params,
        seconds=0.0,
        reason=reason,
    )
