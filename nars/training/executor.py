"""Trainings in long-lived worker processes of this machine."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from multiprocessing import connection, get_context, parent_process

from pebble import ProcessExpired, ProcessPool

from nars.errors import UserError
from nars.records import Record
from nars.settings import ExecutorSettings

POLL_SECONDS = 0.5


class LocalExecutor:
    """`workers` processes, each with its threads pinned, alive until `close`. A context manager.

    A worker that dies takes only its own training with it, which is tried again up to `retries` times.
    """

    def __init__(self, settings: ExecutorSettings, run: Callable[[object], Record]):
        self.settings = settings
        self.workers = settings.workers or default_workers(settings.threads_per_worker)
        self._run = run
        self._pool: ProcessPool | None = None

    def __enter__(self) -> "LocalExecutor":
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def map(self, jobs: list, on_poll: Callable[[], None]) -> Iterator[tuple[object, Record | str]]:
        """(job, record) of every job as each finishes, in any order; a reason in place of the record of a lost one.

        `on_poll` is called about twice a second while waiting. UserError from a job is raised here at once.
        """
        pending = {self._schedule(job): (job, 0) for job in jobs}
        while pending:
            done, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            on_poll()
            for future in done:
                job, tries = pending.pop(future)
                try:
                    yield job, future.result()
                except ProcessExpired as error:
                    if tries < self.settings.retries:
                        pending[self._schedule(job)] = (job, tries + 1)
                    else:
                        yield job, f"its worker died {tries + 1} times (exit code {error.exitcode})"
                except UserError:
                    raise
                except Exception as error:  # a fault of one training must not end the search
                    yield job, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"

    def close(self) -> None:
        """Stop the workers at once, whatever they are doing."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def _schedule(self, job):
        if self._pool is None:
            context = get_context("spawn")
            self._pool = ProcessPool(
                max_workers=self.workers,
                context=context,
                initializer=_start_worker,
                initargs=(self.settings.threads_per_worker, visible_gpus(), context.Value("i", 0)),
            )
        return self._pool.submit(self._run, None, job)


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return tuple(named.split(",")) if named else tuple(map(str, range(torch.cuda.device_count())))


def default_workers(threads_per_worker: int) -> int:
    """One worker per GPU, or per `threads_per_worker` cores that this process may use."""
    return len(visible_gpus()) or max(1, _cores() // threads_per_worker)


def _cores() -> int:
    """Cores that this process may use; all of them where the system cannot tell (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start_worker(threads: int, gpus: tuple[str, ...], started) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_end_with_driver, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if gpus:
        with started.get_lock():
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[started.value % len(gpus)]
            started.value += 1

    import torch

    torch.set_num_threads(threads)


def _end_with_driver() -> None:
    """A worker whose driver was killed must not train on."""
    connection.wait([parent_process().sentinel])
    os._exit(1)
