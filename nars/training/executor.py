"""Who trains the candidates: jobs in, their results out as they finish; what is lost is tried again."""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

POLL_SECONDS = 0.5


class LostError(Exception):
    """One try of one job gave no result; the message says why.

    `final`: another try would end in the same way, until somebody changes what the message says.
    """

    def __init__(self, reason: str, *, final: bool = False):
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What became of a job after `tries` tries: the `result` that it returned, or the `reason` why there is none, which
    may be `final` (`LostError`)."""

    job: object
    tries: int
    result: object = None
    reason: str | None = None
    final: bool = False


class Executor(ABC):
    """Runs jobs elsewhere. A context manager: leaving it ends whatever still runs.

    `retries`: how often a job that was lost is tried again before it is completed without a result.
    """

    def __init__(self, *, retries: int):
        self._retries = retries

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def map(self, jobs: Iterable, on_poll: Callable[[], None]) -> Iterator[Completed]:
        """Every job as it is completed, in any order.

        A job is taken from `jobs` when there is room for it; None stands for a job that is not there yet, and is asked
        for again. `on_poll` is called about twice a second while waiting. UserError from a job is raised at once.
        """
        running: dict[Future, tuple[object, int]] = {}
        try:
            yield from self._completed(iter(jobs), running, on_poll)
        finally:
            if running:  # left early: what still runs is for nobody
                self.close()

    def _completed(self, jobs: Iterator, running: dict, on_poll: Callable[[], None]) -> Iterator[Completed]:
        again, ended = deque(), False
        while True:
            while self._has_room(len(running)):
                job, tries = again.popleft() if again else (next(jobs, _END), 0)
                if job is None or job is _END:
                    ended = job is _END
                    break
                running[self._start(job)] = (job, tries + 1)
            if ended and not running and not again:
                return
            for future in _some_done(running):
                job, tries = running.pop(future)
                try:
                    yield Completed(job=job, tries=tries, result=self._collect(future))
                except LostError as lost:
                    if tries <= self._retries and not lost.final:
                        again.append((job, tries))
                    else:
                        yield Completed(job=job, tries=tries, reason=str(lost), final=lost.final)
            on_poll()

    @abstractmethod
    def close(self) -> None:
        """End whatever still runs."""

    @abstractmethod
    def _has_room(self, running: int) -> bool:
        """Whether another job can start beside the `running` ones."""

    @abstractmethod
    def _start(self, job) -> Future:
        """Begin one try of a job."""

    @abstractmethod
    def _collect(self, future: Future):
        """The result of a done try; LostError if there is none, UserError if the user can put it right."""


_END = object()


def _some_done(running: dict) -> set:
    """Futures that are done; waits a moment for the first."""
    if not running:
        time.sleep(POLL_SECONDS)
        return set()
    return wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED).done
