"""Candidates in, records out: what the search calls to learn the accuracies of candidates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from nars.records import Ledger, Record, curve_so_far, training_key
from nars.spaces.candidate import Candidate
from nars.training.claims import Claims
from nars.training.executor import Completed, Executor
from nars.training.job import TrainingJob, forget_state


class Progress(Protocol):
    """What is told how far the trainings are."""

    def start(self, title: str, total: int) -> None: ...
    def update(self, done: float, note: str) -> None: ...
    def stop(self) -> None: ...


@dataclass(kw_only=True)
class SharedJobs:
    """The trainings of one call by key: all `jobs`, those `open` to be begun, records made `here` and `elsewhere`."""

    jobs: dict[str, TrainingJob]
    epochs: int
    open: dict[str, TrainingJob]
    here: dict[str, Record] = field(default_factory=dict)
    elsewhere: dict[str, Record] = field(default_factory=dict)

    def take_from(self, records: Sequence[Record]) -> None:
        """Take what another process recorded of open jobs, failures too."""
        for record in records:
            if record.key in self.open and (record.status == "failed" or record.answers(self.epochs)):
                self.elsewhere[record.key] = record
                del self.open[record.key]

    def progress(self) -> tuple[int, int, dict[str, float]]:
        """Finished trainings, trained epochs (a finished training counts with all of its), and the best accuracy so far
        of each training that has one, by key."""
        finished = self.here | self.elsewhere
        unfinished = {key: job for key, job in self.jobs.items() if key not in finished}
        running = {
            key: curve_so_far(Path(job.folder) / "epochs.jsonl")[: self.epochs] for key, job in unfinished.items()
        }
        curves = running | {key: record.accuracies for key, record in finished.items()}
        best = {key: max(curve) for key, curve in curves.items() if curve}
        return len(finished), len(finished) * self.epochs + sum(map(len, running.values())), best


class CandidateTrainer:
    """Trains candidates that the ledger does not answer yet; appends every record before it hands it out.

    Several processes may do so with one ledger at the same time: each training is claimed by one of them, and the
    others wait for its record. `job_values` are the fields of `TrainingJob` that all candidates share; `price` gives
    the costs of one by name, `predict` the accuracy that is expected of it, which loggers show, `within` whether costs
    keep the limits of the search, where it has any: the best accuracy that is shown is of those that do. `outside` has
    other values of `TrainingJob` for candidates that these cannot be asked about, by name. Counts what was `trained`,
    `reused`, and the seconds that training took.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        *,
        job_values: Mapping,
        price: Callable[[Candidate], dict[str, float]],
        folder: Path,
        progress: Progress,
        predict: Callable[[Candidate], float | None] = lambda _: None,
        within: Callable[[Mapping[str, float]], bool] | None = None,
        outside: Mapping[str, Mapping] = {},
    ):
        self.ledger = ledger
        self.executor = executor
        self.job_values = dict(job_values)
        self.price = price
        self.predict = predict
        self.within = within
        self.outside = outside
        self.folder = folder
        self.progress = progress
        self.claims = Claims(folder)
        self.trained = 0
        self.reused = 0
        self.seconds = 0.0

    def __call__(
        self, candidates: Sequence[Candidate], epochs: int, *, title: str, seeds: Sequence[int] = ()
    ) -> Iterator[Record]:
        """One record per distinct candidate and seed, those known first, then each as it finishes; no `seeds`: the seed
        of all jobs.

        Costs are those of this search: one that counts another number of classes may have trained the candidate.
        """
        seeds = seeds or (self.job_values["seed"],)
        jobs = {job.key: job for job in (self.job(c, epochs, seed) for c in candidates for seed in seeds)}
        self.ledger.refresh()
        records = {key: self.ledger.find(key, epochs) for key in jobs}
        known = [record for record in records.values() if record is not None]
        self.reused += len(known)
        unknown = {key: job for key, job in jobs.items() if records[key] is None}
        work = SharedJobs(jobs=unknown, open=dict(unknown), epochs=epochs)
        for record in chain(known, self._train(work, title) if unknown else ()):
            yield record.model_copy(update={"costs": jobs[record.key].costs})

    def key(self, candidate: Candidate, seed: int | None = None) -> str:
        """Key of the candidate's record; no `seed`: that of all jobs."""
        values = self.job_values | self.outside.get(candidate.name, {})
        return training_key(candidate, values["training"], values["seed"] if seed is None else seed)

    def job(self, candidate: Candidate, epochs: int, seed: int | None = None) -> TrainingJob:
        """What trains a candidate for so many epochs."""
        key = self.key(candidate, seed)
        own = self.outside.get(candidate.name)
        if own is None:
            own = {"costs": self.price(candidate), "predicted_accuracy": self.predict(candidate)}
        values = self.job_values | own | ({} if seed is None else {"seed": seed})
        return TrainingJob(**values, **candidate.to_dict(), key=key, folder=str(self.folder / key), epochs=epochs)

    def _train(self, work: SharedJobs, title: str) -> Iterator[Record]:
        self.progress.start(title, total=len(work.jobs) * work.epochs)
        try:
            for completed in self.executor.map(self._claimed(work), lambda: self._show(work)):
                record = work.here[completed.job.key] = self._keep(completed, work)
                if record.status != "failed":
                    forget_state(completed.job)
                self.claims.release(record.key)
                self._show(work)
                yield record
        finally:
            self.claims.release_all()
            self.progress.stop()
        self.reused += len(work.elsewhere)
        yield from work.elsewhere.values()

    def _claimed(self, work: SharedJobs) -> Iterator[TrainingJob | None]:
        """Jobs for this process as there is room for them; None while others have claimed all that are left."""
        while work.open:
            key = next((key for key in work.open if self.claims.take(key)), None)
            work.take_from(self.ledger.refresh())  # after the claim: until then another process could finish it
            if key is None:
                yield None
            elif key in work.open:
                yield work.open.pop(key)
            else:
                self.claims.release(key)

    def _keep(self, completed: Completed, work: SharedJobs) -> Record:
        """The record of a job, appended to the ledger."""
        job = completed.job
        work.take_from(self.ledger.refresh())
        known = self.ledger.find(job.key, job.epochs)
        if known is not None:  # this process stood still, lost its claim, and another one was faster
            return known
        record = completed.result or _failed(job, completed.reason)
        if completed.tries > 1:
            record = record.model_copy(update={"tries": completed.tries})
        self.ledger.append(record)
        self.trained += record.status != "failed"
        self.seconds += record.seconds
        # As a restart reads it, with the pace of an earlier, shorter training; a failure replaces nothing.
        return record if record.status == "failed" else self.ledger.get(job.key)

    def _show(self, work: SharedJobs) -> None:
        finished, epochs, best = work.progress()
        notes = [f"{finished}/{len(work.jobs)} candidates"]
        if best:
            notes.append(self._best(work, best))
        holders = {holder for holder in map(self.claims.holder, work.open) if holder is not None}
        if holders:
            notes.append(f"another search trains some ({', '.join(sorted(holders))})")
        self.progress.update(epochs, ", ".join(notes))

    def _best(self, work: SharedJobs, best: Mapping[str, float]) -> str:
        """The best of the accuracies by key, in words."""
        if self.within is None:
            return f"best accuracy {max(best.values()):.3f}"
        inside = [accuracy for key, accuracy in best.items() if self.within(work.jobs[key].costs)]
        if inside:
            return f"best accuracy within the limit {max(inside):.3f}"
        return f"best accuracy {max(best.values()):.3f}, outside the limit"


def _failed(job: TrainingJob, reason: str) -> Record:
    return Record(
        key=job.key,
        **job.candidate.to_dict(),
        training=job.training,
        origin=job.origin,
        seed=job.seed,
        epochs=job.epochs,
        status="failed",
        accuracies=(),
        costs=job.costs,
        seconds=0.0,
        reason=reason,
    )
