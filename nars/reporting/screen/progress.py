"""How far long work is: a rich bar on a terminal, a plain line now and then elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nars.reporting.facts.describe import duration

SECONDS_BETWEEN_LINES = 15


class ProgressDisplay:
    """One piece of work at a time: `start`, `update` with what is done, `stop`."""

    def __init__(self, console: Console):
        self.console = console
        self._bar: Progress | None = None

    def start(self, title: str, total: int) -> None:
        """Begin to show `title`, out of `total` steps."""
        self._title, self._total, self._done, self._note = title, total, 0.0, ""
        self._started = self._begun = self._moved = time.monotonic()
        self._known: float | None = None
        self._next_line = self._started + SECONDS_BETWEEN_LINES
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}", markup=False),  # rich's own forgets steps of 30 s ago
                TextColumn("{task.fields[note]}", markup=False),
            )
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task(title, total=total, left="", note="")
            self._bar.start()
        else:
            self.console.print(f"{title} ...")

    def update(self, done: float, note: str = "") -> None:
        """`done` of the total steps, and a few words on how it goes."""
        if self._known is None:
            self._known, self._begun = done, time.monotonic()  # of an earlier run: it says nothing of the speed
        if done != self._done:
            self._moved = time.monotonic()
        self._done, self._note = done, note
        if self._bar is not None:
            self._bar.update(self._task, completed=done, left=self._left_words(), note=note)
        elif time.monotonic() >= self._next_line:
            self._print_line()
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def stop(self) -> None:
        """End with a line that stays."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._print_line()

    def _print_line(self) -> None:
        seconds = time.monotonic() - self._started
        words = [f"  {self._title}: {self._done:.0f}/{self._total} in {seconds:.0f} s", self._left_words(), self._note]
        self.console.print("  ".join(filter(None, words)))

    def _left_words(self) -> str:
        """How long the rest takes at the speed so far; nothing before a step is done, and at the end."""
        left = time_left(
            self._done,
            self._total,
            known=self._known or 0.0,
            took=self._moved - self._begun,
            since=time.monotonic() - self._moved,
        )
        return f"about {duration(left)} left" if left else ""


def time_left(done: float, total: float, *, known: float, took: float, since: float) -> float | None:
    """Seconds until `total` steps are done, of which `done` are, all but the first `known` of them within `took`
    seconds that ended `since` seconds ago; None if no speed is known yet, or all is done."""
    if done <= known or done >= total:
        return None
    return max(0.0, took / (done - known) * (total - done) - since)
