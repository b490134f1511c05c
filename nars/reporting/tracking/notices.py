"""What the terminal says about Weights & Biases."""

import shlex
from pathlib import Path

from rich.console import Console

from nars.settings import LoggerSettings
from nars.wandb_run import forget_problems, problem


def upload_line(study: Path) -> str | None:
    """The command that uploads the study's offline runs; None if all are uploaded."""
    files = study.glob("wandb/offline-run-*/*.wandb")
    if all(file.with_name(f"{file.name}.synced").exists() for file in files):
        return None
    return f"Upload to W&B: wandb sync {shlex.quote(str(study))}/wandb/offline-run-*"


class Notices:
    """Says once why W&B runs of a study are offline or incomplete, and at the end how to upload offline ones."""

    def __init__(self, settings: LoggerSettings, study: Path, console: Console):
        self.wanted, self.study, self.console, self._said = settings.wandb is not None, study, console, False
        if self.wanted:
            forget_problems(study)

    def say_problem(self) -> None:
        """The first problem, in one line, unless it was said before."""
        if self.wanted and not self._said and (reason := problem(self.study)) is not None:
            self._said = True
            self._print(f"W&B failed ({reason}); the work goes on, its runs stay offline or end here")

    def say_end(self) -> None:
        """What is to be done with offline runs, if there are any."""
        self.say_problem()
        if self.wanted and (line := upload_line(self.study)):
            self._print(line)

    def _print(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)
