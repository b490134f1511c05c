"""Trainings in long-lived worker processes of this machine, one per slot: a GPU, or some cores."""

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from multiprocessing import (
    connection,
    get_all_start_methods,
    get_context,
    get_start_method,
    parent_process,
    set_start_method,
)

from pebble import ProcessExpired, ProcessPool

from nars.errors import UserError, disk_error
from nars.machine import cores
from nars.settings import LocalExecutorSettings
from nars.training.executor import Executor, LostError

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc", "Cannot allocate memory")
OUT_OF_GPU_MEMORY = re.compile(r"(CUDA|HIP)\b.*out of memory|_STATUS_ALLOC_FAILED")  # PyTorch's words, its libraries'


class LocalExecutor(Executor):
    """Trains in up to `workers` processes, started when there is a job for them and alive until `close`.

    A worker that dies, hangs or runs out of memory takes only its own training with it; a new process gets its slot.
    `gpus` are the GPUs of the workers, as CUDA_VISIBLE_DEVICES names them; None: all that this process may use.
    """

    def __init__(self, settings: LocalExecutorSettings, run: Callable, *, gpus: tuple[str, ...] | None = None):
        super().__init__(retries=settings.retries)
        gpus = visible_gpus() if gpus is None else gpus
        self.settings = settings
        self.workers = settings.workers or default_workers(settings.threads_per_worker, gpus)
        self._run = run
        self._idle = [Slot(settings, gpu) for gpu in reversed(assigned_gpus(gpus, self.workers))]
        self._busy: dict[Future, Slot] = {}

    def close(self) -> None:
        """Stop the workers at once, whatever they are doing."""
        for slot in (*self._idle, *self._busy.values()):
            slot.stop()
        self._idle += self._busy.values()
        self._busy = {}

    def _has_room(self, running: int) -> bool:
        return bool(self._idle)

    def _start(self, job) -> Future:
        slot = self._idle.pop()  # the one used last, which has all imports behind it
        future = slot.submit(self._run, job)
        self._busy[future] = slot
        return future

    def _collect(self, future: Future):
        slot = self._busy.pop(future)
        self._idle.append(slot)
        try:
            return future.result()
        except UserError:
            raise
        except Exception as error:  # a fault of one training must not end the search
            slot.stop()  # what failed may have left memory, or the GPU, in a state that fails again
            raise disk_error(error) or _lost(error, self.settings) from error


class Slot:
    """A place for one worker process at a time, on one GPU or none. A process that ended is replaced."""

    def __init__(self, settings: LocalExecutorSettings, gpu: str | None):
        self.gpu = gpu
        self._settings = settings
        self._pool: ProcessPool | None = None

    def submit(self, run: Callable, job) -> Future:
        """Begin `run(job)` in the slot's process."""
        try:
            return self._submit(run, job)
        except RuntimeError:  # the process was killed while it was idle
            self.stop()
            return self._submit(run, job)

    def stop(self) -> None:
        """End the slot's process at once."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None

    def _submit(self, run: Callable, job) -> Future:
        if self._pool is None:
            settings = self._settings
            self._pool = ProcessPool(
                max_workers=1,
                context=_spawning(),
                initializer=_start_worker,
                initargs=(settings.threads_per_worker, self.gpu, settings.max_memory_gib),
            )
        return self._pool.submit(run, self._settings.max_training_seconds, job)


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Read as CUDA does: the first entry that is no GPU ends the list, so that "-1", "" and "NoDevFiles" mean none, and
    one that is named twice makes it empty. Names are believed on a machine where no GPU is found at all.
    """
    import torch
    from torch.cuda import _parse_visible_devices

    there = torch.cuda.device_count()
    named = _parse_visible_devices() if "CUDA_VISIBLE_DEVICES" in os.environ else range(there)
    return tuple(map(str, named))[: there or None]


def assigned_gpus(gpus: tuple[str, ...], workers: int) -> list[str | None]:
    """The GPU of each worker; workers beyond the number of GPUs share them in turn."""
    return [gpus[i % len(gpus)] if gpus else None for i in range(workers)]


def default_workers(threads_per_worker: int, gpus: tuple[str, ...] | None = None) -> int:
    """One worker per GPU of `gpus` (None: of all that this process may use), without any one per `threads_per_worker`
    cores that it may use."""
    return len(visible_gpus() if gpus is None else gpus) or max(1, cores() // threads_per_worker)


def _spawning():
    """The context that starts workers as new interpreters."""
    if get_start_method(allow_none=True) not in (None, *get_all_start_methods()):
        # In a process of joblib the default is one that new interpreters do not know, and would be handed.
        set_start_method("spawn", force=True)
    return get_context("spawn")


def _lost(error: Exception, settings: LocalExecutorSettings) -> LostError:
    """That a try was lost, and why, in one line."""
    text = (str(error).splitlines() or [""])[0]
    if type(error).__name__ == "OutOfMemoryError" or OUT_OF_GPU_MEMORY.search(text):  # PyTorch's
        what = ". ".join(text.split(". ")[:2]).rstrip(".")  # what was asked for; statistics follow
        return LostError(
            f"out of GPU memory ({what}); lower protocol.batch_size (the learning rate follows), use "
            "trainer.precision=bf16-mixed, or let fewer trainings share a GPU",
            final=True,
        )
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY):
        limit = "" if settings.max_memory_gib is None else f", executor.max_memory_gib={settings.max_memory_gib:g}"
        return LostError(
            f"out of memory{limit} ({text or type(error).__name__}); a smaller protocol.batch_size needs less"
        )
    return LostError(_ending(error, settings) or f"{type(error).__name__}: {text}")


def _ending(error: Exception, settings: LocalExecutorSettings) -> str | None:
    """How a worker process ended; None if it did not."""
    if isinstance(error, ProcessExpired):
        killed = error.exitcode == -getattr(signal, "SIGKILL", 9)  # Windows has no such signal
        cause = "killed, perhaps because memory ran out" if killed else f"exit code {error.exitcode}"
        return f"its worker process died ({cause})"
    if isinstance(error, BrokenExecutor):
        return "its worker process died before it began"
    if isinstance(error, TimeoutError) and error.args == ("Task timeout", settings.max_training_seconds):
        return f"stopped after executor.max_training_seconds={settings.max_training_seconds:g}"
    return None


def _start_worker(threads: int, gpu: str | None, max_memory_gib: float | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    threading.Thread(target=_end_with_driver, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by torch when it is imported
    if "torch" in sys.modules:  # by the script that the driver runs
        sys.modules["torch"].set_num_threads(threads)
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu or ""
    if max_memory_gib is not None:
        import resource  # not on Windows

        # Data, not address space: CUDA and allocators reserve far more addresses than they use memory.
        limit = int(max_memory_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _end_with_driver() -> None:
    """A worker whose driver was killed must not train on."""
    connection.wait([parent_process().sentinel])
    os._exit(1)
