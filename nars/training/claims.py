"""Claims: which process trains what, so that searches of one study at the same time train every candidate once."""

import tempfile
from functools import cache
from pathlib import Path

from filelock import SoftFileLease

from nars.leases import LEASE_SECONDS, holder_of, lease, try_to_take


class Claims:
    """The trainings that this process has claimed in a folder, each by a file `<key>/claim` that a thread keeps fresh.

    A claim whose process is gone from this machine, or that was not refreshed for `lease_seconds`, can be taken over
    (`nars.leases`).
    """

    def __init__(self, folder: Path, *, lease_seconds: float = LEASE_SECONDS):
        self.folder = folder
        self.lease_seconds = lease_seconds
        self._leases: dict[str, SoftFileLease] = {}

    def take(self, key: str) -> bool:
        """Claim a training; False while another process has it."""
        (self.folder / key).mkdir(parents=True, exist_ok=True)
        return try_to_take(self._lease(key))

    def release(self, key: str) -> None:
        """Let go of a claim."""
        self._leases.pop(key).release()

    def release_all(self) -> None:
        """Let go of all claims."""
        for key in list(self._leases):
            self.release(key)

    def holder(self, key: str) -> str | None:
        """Who claims a training, for people; None if nobody does."""
        return holder_of(self._lease(key))

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
            self._leases[key] = lease(self.folder / key / "claim", seconds=self.lease_seconds)
        return self._leases[key]


@cache
def _this_machine() -> str:
    """What the library writes into a claim of this process."""
    with tempfile.TemporaryDirectory() as folder, lease(Path(folder) / "claim") as claim:
        return claim.owner.hostname
