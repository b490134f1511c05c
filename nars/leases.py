"""Turns of several processes at one thing: a file with a heartbeat beside it, not a lock of the system.

A file, because it also holds between the machines of a cluster, on shared file systems that lock only within one
machine, or that lock nothing and say otherwise. The price: a process that stood still for longer than the lease
(suspended) may find that another has taken its turn.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from nars.errors import UserError

LEASE_SECONDS = 60.0
POLL_SECONDS = 0.02


def lease(path: Path, *, seconds: float = LEASE_SECONDS) -> SoftFileLease:
    """The lease whose file is `path`: it can be taken over from a process that is gone from this machine, or that did
    not refresh the file for `seconds`."""
    return SoftFileLease(path, lease_duration=seconds, poll_interval=POLL_SECONDS)


@contextmanager
def turn(path: Path, *, wait_seconds: float | None = None) -> Iterator[None]:
    """Hold the lease `path` inside the `with` block; waits for whoever has it.

    UserError after `wait_seconds` (None: never), OSError where the file cannot be made.
    """
    mine = lease(path)
    started = time.monotonic()
    while not try_to_take(mine, wait_seconds=1.0):
        if wait_seconds is not None and time.monotonic() - started > wait_seconds:
            raise UserError(
                f"{path}: {holder_of(mine) or 'a process'} has held it for {wait_seconds:g} s; end that process, or "
                "remove this file if there is none, then run the same command again"
            )
    try:
        yield
    finally:
        mine.release()


def try_to_take(wanted: SoftFileLease, *, wait_seconds: float = 0.0) -> bool:
    """Take a lease; False if another process still has it after `wait_seconds`."""
    try:
        wanted.acquire(timeout=wait_seconds)
    except Timeout:
        _spoil_if_empty(Path(wanted.lock_file))
        return False
    return True


def holder_of(wanted: SoftFileLease) -> str | None:
    """Who has a lease, for people; None if nobody has it."""
    owner = wanted.owner
    return None if owner is None else f"process {owner.pid} on {owner.hostname.partition('?')[0]}"


def _spoil_if_empty(path: Path) -> None:
    """Let a lease be taken over whose process was killed between making the file and writing its name into it.

    The library takes an empty file for one that old versions of it hold, for ever; a file that it cannot read it takes
    over after seconds without change. A process that was only slow writes its name over the line.
    """
    with suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)  # appends: what was written meanwhile stays whole
        try:
            if os.fstat(file).st_size == 0:
                os.write(file, b"\n")
        finally:
            os.close(file)
