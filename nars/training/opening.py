"""From settings to an executor."""

from collections.abc import Callable

from nars.settings import ExecutorSettings
from nars.training.executor import Executor
from nars.training.local_executor import LocalExecutor
from nars.training.ray_executor import RayExecutor

EXECUTORS = {"local": LocalExecutor, "ray": RayExecutor}


def open_executor(settings: ExecutorSettings, run: Callable, *, accelerator: str = "auto") -> Executor:
    """The executor of `settings.name`, which calls `run` with a job; nothing is started before the first job.

    `accelerator` is that of the trainings: "cpu" keeps them away from GPUs. UserError if the executor's library is not
    installed.
    """
    return EXECUTORS[settings.name](settings, run, gpus=() if accelerator == "cpu" else None)
