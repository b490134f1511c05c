"""Jobs of scripts, alone or in a sweep (`-m`): there the others go on when one fails, and all are put together."""

import atexit
import gc
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, read_write

from nars.configuration import one_line_errors, return_to_start, user_errors
from nars.errors import UserError
from nars.files import new_folder
from nars.shell import literal
from nars.streams import complain, end_if_reader_is_gone
from nars.study.outcomes import Outcome, Result, forget_outcomes, outcome_files, write_outcome

UNCOLLECTED = (
    50_000  # objects that wait for the collector: composing makes so many that it would take a fifth of a sweep
)
MAX_COMPOSED = 100  # jobs of a sweep whose configurations are kept between their check and their turn


def run_job(job: Callable[[], Result | None]) -> float | None:
    """Run the job of a script inside its `hydra.main` function; returns its accuracy, if any, for sweepers to optimise.

    Errors end a single run in one line. In a sweep they are that job's outcome, an accuracy of 0, and the others go on.
    """
    if not in_sweep():
        with one_line_errors():
            return_to_start()
            result = job()
        return result.accuracy if result else None
    from nars.console import open_console

    return_to_start()
    hydra = HydraConfig.get()
    number, overrides = int(hydra.job.num), tuple(hydra.overrides.task)
    open_console().print(f"job {number}: {shlex.join(overrides)}", soft_wrap=True)
    outcome = Outcome(number=number, overrides=overrides, error="it did not end: stopped, or its process was lost")
    write_outcome(Path(hydra.sweep.dir), outcome)  # for the case that it is
    result, error = _caught(job)
    write_outcome(Path(hydra.sweep.dir), outcome.model_copy(update={"result": result, "error": error}))
    return result.accuracy if result else 0.0


def in_sweep() -> bool:
    """Whether this process runs a job of a sweep."""
    return HydraConfig.get().mode == RunMode.MULTIRUN


def _caught(job: Callable[[], Result | None]) -> tuple[Result | None, str | None]:
    """The job's result, and what went wrong, which is printed."""
    try:
        with user_errors():
            return job(), None
    except UserError as error:
        message = str(error)
    except Exception as error:
        end_if_reader_is_gone()
        traceback.print_exc()
        message = f"{type(error).__name__}: {error}"
    complain(f"error: {message}")
    return None, message


class SweepSummary(Callback):
    """Hydra's callback that ends a sweep with a table and, of searches, a page over all its jobs.

    The exit code is 1 if some jobs failed. A sweep that is stopped ends with what it has.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs) -> None:
        """See Hydra's `Callback`."""
        gc.set_threshold(UNCOLLECTED)
        if config.hydra.runtime.choices["hydra/launcher"] == "basic":  # others send the loader to other processes
            compose_once(GlobalHydra.instance().config_loader())
        folder = _own_folder(config)
        forget_outcomes(folder)
        atexit.register(_show_stopped, folder)  # Hydra does not call what follows when a launcher raises

    def on_multirun_end(self, config: DictConfig, **kwargs) -> None:
        """See Hydra's `Callback`."""
        atexit.unregister(_show_stopped)
        if not _show(Path(config.hydra.sweep.dir)):
            sys.exit(1)


def compose_once(loader: ConfigLoader) -> None:
    """Let the sweeps of `loader` compose each job once: Hydra does it to check all jobs before the first, and again for
    each. Holds for `MAX_COMPOSED` jobs, since a configuration takes a megabyte."""
    compose, composed = loader.load_sweep_config, {}

    def composed_once(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        job = tuple(sweep_overrides)
        checked = composed.get(job)
        config = checked or compose(master_config, sweep_overrides)
        if job in composed or len(composed) < MAX_COMPOSED:
            composed[job] = None if job in composed else config  # a job changes its own: nobody is handed one twice
        return config

    loader.load_sweep_config = composed_once


def _own_folder(config: DictConfig) -> Path:
    """The folder of a sweep: the one that the command names, else one that no other sweep has."""
    folder = Path(config.hydra.sweep.dir)
    overrides = config.hydra.overrides.hydra
    if any(override.removeprefix("++").startswith("hydra.sweep.dir=") for override in overrides):
        return folder
    try:
        own = new_folder(folder)
    except OSError:  # Hydra, which makes it next, says why it cannot
        return folder
    if own != folder:  # another sweep was started in the same second
        with read_write(config.hydra):
            config.hydra.sweep.dir = str(own)
            overrides.append(f"hydra.sweep.dir={literal(str(own))}")  # for its jobs, which are composed anew
    return own


def _show_stopped(folder: Path) -> None:
    if outcome_files(folder):
        _show(folder)


def _show(folder: Path) -> bool:
    """`show_outcomes`, whatever happens; False if that cannot be done."""
    from nars.reporting.screen.sweeps import show_outcomes

    try:
        with user_errors():
            return show_outcomes(folder)
    except UserError as error:
        complain(f"error: {error}")
    except Exception:  # a page that cannot be made must not hide what the jobs gave
        traceback.print_exc()
    return False
