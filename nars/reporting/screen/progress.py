"""How far long work is: a rich bar on a terminal, a plain line now and then elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 15


class ProgressDisplay:
    """One piece of work at a time: `start`, `update` with what is done, `stop`."""

    def __init__(self, console: Console):
        self.console = console
        self._bar: Progress | None = None

    def start(self, title: str, total: int) -> None:
        """Begin to show `title`, out of `total` steps."""
        self._title, self._total, self._done, self._note = title, total, 0.0, ""
        self._started = time.monotonic()
        self._next_line = self._started + SECONDS_BETWEEN_LINES
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
            )
            self._bar = Progress(*columns, console=self.console, transient=True)
            self._task = self._bar.add_task(title, total=total, note="")
            self._bar.start()
        else:
            self.console.print(f"{title} ...")

    def update(self, done: float, note: str = "") -> None:
        """`done` of the total steps, and a few words on how it goes."""
        self._done, self._note = done, note
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=note)
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
        note = f"  {self._note}" if self._note else ""
        self.console.print(f"  {self._title}: {self._done:.0f}/{self._total} in {seconds:.0f} s{note}")
