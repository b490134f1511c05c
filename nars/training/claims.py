"""Claims: which process trains what, so that searches of one study at the same time train every candidate once."""

import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import SoftFileLease, Timeout

LEASE_SECONDS = 60.0


class Claims:
    """The trainings that this process has claimed in a folder, each by a file `<key>/claim` that a thread keeps fresh.

    A claim whose process is gone from this machine, or that was not refreshed for `lease_seconds`, can be taken over.
    A file with a heartbeat rather than a lock of the system, because it also holds between the machines of a cluster,
    on shared file systems that lock only within one. The price: a process that stood still for longer than the lease
    (suspended) may find that another has taken its training over.
    """

    def __init__(self, folder: Path, *, lease_seconds: float = LEASE_SECONDS):
        self.folder = folder
        self.lease_seconds = lease_seconds
        self._leases: dict[str, SoftFileLease] = {}

    def take(self, key: str) -> bool:
        """Claim a training; False while another process has it."""
        (self.folder / key).mkdir(parents=True, exist_ok=True)
        try:
            self._lease(key).acquire(blocking=False)
        except Timeout:
            _spoil_if_empty(self.folder / key / "claim")
            return False
        return True

    def release(self, key: str) -> None:
        """Let go of a claim."""
        self._leases.pop(key).release()

    def release_all(self) -> None:
        """Let go of all claims."""
        for key in list(self._leases):
            self.release(key)

    def holder(self, key: str) -> str | None:
        """Who claims a training, for people; None if nobody does."""
        owner = self._lease(key).owner
        return None if owner is None else f"process {owner.pid} on {owner.hostname.partition('?')[0]}"

    def is_of_this_machine(self, key: str) -> bool:
        """Whether a process of this machine, and of this container, has claimed a training: it still exists, for else
        `take` would have had the claim."""
        owner = self._lease(key).owner
        return owner is not None and owner.hostname == _this_machine()

    def heartbeat(self, key: str) -> int | None:
        """When the claim on a training was last refreshed, in nanoseconds of the file system's clock; None if there is
        none."""
        try:
            return (self.folder / key / "claim").stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _lease(self, key: str) -> SoftFileLease:
        if key not in self._leases:
            self._leases[key] = SoftFileLease(self.folder / key / "claim", lease_duration=self.lease_seconds)
        return self._leases[key]


@cache
def _this_machine() -> str:
    """What the library writes into a claim of this process."""
    with tempfile.TemporaryDirectory() as folder, SoftFileLease(Path(folder) / "claim") as lease:
        return lease.owner.hostname


def _spoil_if_empty(path: Path) -> None:
    """Let a claim be taken over whose process was killed between making the file and writing its name into it.

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
