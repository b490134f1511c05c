"""Worker processes: real ones, which die, fail and are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.settings import ExecutorSettings
from nars.training.executor import LocalExecutor

ROOT = Path(__file__).parents[2]


def work(job: tuple):
    """What the workers are given: (what, detail)."""
    what, detail = job
    if what == "square":
        return detail * detail
    if what == "threads":
        import torch

        return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "die once" and not detail.exists():
        detail.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "fail":
        raise ArithmeticError(detail)
    if what == "user error":
        raise UserError(detail)
    if what == "sleep":
        Path(detail).write_text(str(os.getpid()))
        time.sleep(600)
    return os.getpid()


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_that_die_take_nothing_else_with_them(tmp_path):
    polls = []
    settings = ExecutorSettings(name="local", workers=2, retries=1)
    with LocalExecutor(settings, work) as executor:
        jobs = [("die", None), *(("square", i) for i in range(10)), ("die once", tmp_path / "mark"), ("fail", "boom")]
        jobs += [("threads", None)]
        outcomes = dict(executor.map(jobs, lambda: polls.append(1)))
        assert outcomes.keys() == set(jobs)
        assert [outcomes["square", i] for i in range(10)] == [i * i for i in range(10)]
        assert outcomes["die", None] == "its worker died 2 times (exit code -9)"
        assert isinstance(outcomes["die once", tmp_path / "mark"], int)
        assert outcomes["fail", "boom"] == "ArithmeticError: boom"
        assert outcomes["threads", None] == (1, "1")
        assert polls
        # The same workers take the next jobs; a UserError is for the person at the keyboard.
        ((_, pid),) = executor.map([("pid", None)], lambda: None)
        assert pid != os.getpid()
        assert running(pid)
        with pytest.raises(UserError, match="data is broken"):
            list(executor.map([("user error", "data is broken")], lambda: None))
        next(iter(executor.map([("square", 3)], lambda: None)))
    wait_until(lambda: not running(pid))


@pytest.mark.slow
def test_workers_end_with_a_killed_driver(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys\n"
        "from nars.settings import ExecutorSettings\n"
        "from nars.training.executor import LocalExecutor\n"
        "from test_executor import work\n"
        "if __name__ == '__main__':\n"
        "    executor = LocalExecutor(ExecutorSettings(name='local', workers=1), work)\n"
        "    list(executor.map([('sleep', sys.argv[1])], lambda: None))\n"
    )
    mark = tmp_path / "worker"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    driver = subprocess.Popen([sys.executable, script, mark], env=environment)
    try:
        wait_until(lambda: mark.exists() and mark.read_text())
        worker = int(mark.read_text())
        assert running(worker)
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not running(worker))
