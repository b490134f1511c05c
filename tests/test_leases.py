"""Turns between processes; those of trainings are tested in `tests/training/test_claims.py`."""

import multiprocessing
import os
import re
import signal

import pytest

from nars.errors import UserError
from nars.leases import turn


def hold(path, taken, let_go) -> None:
    with turn(path):
        taken.set()
        let_go.wait(60)


@pytest.fixture
def holder(tmp_path):
    """A process whose turn it is at tmp_path/claim, and the event that ends the turn."""
    context = multiprocessing.get_context("fork")
    taken, let_go = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "claim", taken, let_go))
    process.start()
    assert taken.wait(30)
    yield process, let_go
    process.kill()
    process.join()


def test_a_turn_is_waited_for_as_long_as_one_wants(holder, tmp_path):
    process, let_go = holder
    path = tmp_path / "claim"
    given_up = f"{re.escape(str(path))}: process {process.pid} on .* has held it for 0.1 s; end that process, or remove"
    with pytest.raises(UserError, match=given_up), turn(path, wait_seconds=0.1):
        pass
    let_go.set()
    with turn(path):
        assert f"pid={os.getpid()}" in path.read_text()
    assert not path.exists()


def test_the_turn_of_a_killed_process_is_over(holder, tmp_path):
    process, _ = holder
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with turn(tmp_path / "claim", wait_seconds=5):
        pass
