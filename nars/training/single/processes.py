"""The processes of a training on several devices: ranks are given here, not read from the environment.

The first process is the one that was asked for the training. It starts the others, which run the same job and nothing
else, and ends them whatever happens to it.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import ClusterEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import distributed

from nars.errors import UserError
from nars.machine import limited_threads

GRACE_SECONDS = 10  # from the end of one process to that of all, whatever they wait for
CAUSES = (UserError, MemoryError, torch.OutOfMemoryError)  # errors that say by themselves what went wrong


@dataclass(frozen=True, kw_only=True)
class Part:
    """Process `rank`, from 0, of the `world_size` processes of a training, which meet at `port` of this machine."""

    rank: int = 0
    world_size: int = 1
    port: int = 0


def first_of(devices: int) -> Part:
    """The first process of a training on `devices` devices."""
    return Part(world_size=devices, port=_free_port()) if devices > 1 else Part()


class OurProcesses(ClusterEnvironment):
    """Tells Lightning which process this is and where all meet, so that it does not look for a scheduler."""

    def __init__(self, part: Part):
        self.part = part

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return self.part.port

    @staticmethod
    def detect() -> bool:
        return True

    def world_size(self) -> int:
        return self.part.world_size

    def set_world_size(self, size: int) -> None:
        """Nothing: it is known."""

    def global_rank(self) -> int:
        return self.part.rank

    def set_global_rank(self, rank: int) -> None:
        """Nothing: it is known."""

    def local_rank(self) -> int:
        return self.part.rank

    def node_rank(self) -> int:
        return 0


@contextmanager
def the_others(run: Callable[[Part], None], part: Part) -> Iterator[None]:
    """In the first process: have the others run `run(part)`, each as its own part, while the block runs.

    What one of them raises is raised here. When the block is left, all have ended.
    """
    if part.world_size == 1:
        yield
    elif part.rank > 0:
        yield
        distributed.destroy_process_group()
    else:
        with _Others(run, part) as others:
            yield
            distributed.destroy_process_group()  # by all; the next training has a group of its own
            others.join()


class _Others:
    """The other processes of a training, seen from the first."""

    def __init__(self, run: Callable[[Part], None], part: Part):
        context = get_context("spawn")
        self.processes: dict[int, BaseProcess] = {}
        self.reports: dict[int, Connection] = {}
        self.left = threading.Event()
        for rank in range(1, part.world_size):
            self.reports[rank], theirs = context.Pipe(duplex=False)
            process = context.Process(target=_run_part, args=(run, replace(part, rank=rank), theirs))
            process.start()
            self.processes[rank] = process
            theirs.close()

    def __enter__(self) -> "_Others":
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind, error: BaseException | None, trace) -> None:
        self.left.set()
        asked = isinstance(error, Exception) and not isinstance(error, CAUSES)
        cause = self._cause() if asked else None
        for process in self.processes.values():
            process.kill()
            process.join()
        if cause is not None:
            raise cause from error

    def join(self) -> None:
        """Wait until they have ended, as they do when the training is done."""
        for process in self.processes.values():
            process.join(GRACE_SECONDS)

    def _cause(self) -> Exception | None:
        """Why the first process failed, if another one did before it: it waits for all of them in every step."""
        ends = {report: rank for rank, report in self.reports.items()}
        found: list[Exception] = []
        deadline = time.monotonic() + GRACE_SECONDS
        while ends and not isinstance(next(iter(found), None), CAUSES):
            ready = connection.wait(list(ends), timeout=deadline - time.monotonic())
            if not ready:
                break
            for report in ready:
                error = self._end_of(ends.pop(report))
                if error is not None:
                    found.insert(0 if isinstance(error, CAUSES) else len(found), error)
        return next(iter(found), None)

    def _end_of(self, rank: int) -> Exception | None:
        """What process `rank`, which has ended, raised; how it ended, if it could not say; None if it had finished."""
        try:
            return self.reports[rank].recv()
        except EOFError:
            self.processes[rank].join()
            code = self.processes[rank].exitcode
            if code == 0:
                return None
            return RuntimeError(f"another process of the training (rank {rank}) ended with exit code {code}")

    def _watch(self) -> None:
        """End the program if a process has failed and the first one does not come back from waiting for it."""
        running = {process.sentinel: rank for rank, process in self.processes.items()}
        while running and not self.left.is_set():
            for sentinel in connection.wait(list(running), timeout=1):
                rank = running.pop(sentinel)
                self.processes[rank].join()
                if self.processes[rank].exitcode and not self.left.wait(GRACE_SECONDS):
                    print(f"error: {self._end_of(rank)}", file=sys.stderr, flush=True)
                    os._exit(1)


def _run_part(run: Callable[[Part], None], part: Part, report: Connection) -> None:
    """What another process of a training does: `run(part)`, and say what it raised. It speaks to nobody else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first one's to handle
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    logging.disable()
    warnings.simplefilter("ignore")
    try:
        with limited_threads(part.world_size):
            run(part)
    except CAUSES as error:
        report.send(error)
        sys.exit(1)
    except Exception:
        report.send(RuntimeError(f"in another process of the training (rank {part.rank}): {traceback.format_exc()}"))
        sys.exit(1)


def _end_with_the_first() -> None:
    """One of several processes that waits for a killed one would wait for half an hour."""
    connection.wait([parent_process().sentinel])
    os._exit(1)


class StopsAtOnce(pl.Callback):
    """SIGTERM ends the first of several processes, which ends the others: when Lightning, in its handler, sends the
    others a message, these may be waiting for another one, for ever."""

    def on_train_start(self, trainer, module) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _stop if trainer.is_global_zero else signal.SIG_IGN)


def _stop(*_) -> None:
    raise SIGTERMException


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
