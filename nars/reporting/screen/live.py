"""A report that keeps up with a search."""

import time
from collections.abc import Callable

from nars.reporting.screen.progress import ProgressDisplay

SECONDS = 60.0


class LiveReport:
    """What is told how far long work is: shows it, and calls `write` at its begin and now and then
    while it lasts."""

    def __init__(self, display: ProgressDisplay, write: Callable[[], None], *, seconds: float = SECONDS):
        self.display, self.write, self.seconds = display, write, seconds

    def start(self, title: str, total: int) -> None:
        """See `ProgressDisplay`."""
        self.display.start(title, total)
        self._write()

    def update(self, done: float, note: str = "") -> None:
        """See `ProgressDisplay`."""
        self.display.update(done, note)
        if time.monotonic() >= self._next:
            self._write()

    def stop(self) -> None:
        """See `ProgressDisplay`."""
        self.display.stop()

    def _write(self) -> None:
        self.write()
        self._next = time.monotonic() + self.seconds  # after writing: a large report takes a while
