"""A report that keeps up with a search."""

import time
from collections.abc import Callable
from contextlib import suppress

from nars.errors import UserError
from nars.reporting.screen.progress import ProgressDisplay

SECONDS = 60.0


class LiveReport:
    """What is told how far long work is: shows it, and calls `write(live=True)` at its begin and now and then while it
    lasts."""

    def __init__(self, display: ProgressDisplay, write: Callable[..., None], *, seconds: float = SECONDS):
        self.display, self.write, self.seconds = display, write, seconds
        self.live = False  # whether what was written last says that the search goes on

    def start(self, title: str, total: int) -> None:
        """See `ProgressDisplay`."""
        self.display.start(title, total)
        self.refresh()

    def update(self, done: float, note: str = "") -> None:
        """See `ProgressDisplay`."""
        self.display.update(done, note)
        if time.monotonic() >= self._next:
            self.refresh()

    def stop(self) -> None:
        """See `ProgressDisplay`."""
        self.display.stop()

    def refresh(self) -> None:
        """Write it now."""
        self.live = True  # first: what stops the search may come at any time
        self.write(live=True)
        self._next = time.monotonic() + self.seconds  # after writing: a large report takes a while

    def settle(self) -> None:
        """Where the last one says that the search goes on, write one that does not; a disk that refuses it is said
        elsewhere."""
        if self.live:
            with suppress(OSError, UserError):
                self.write(live=False)
            self.live = False
