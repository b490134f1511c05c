"""The processes of a training: what one of them ends with is said once, in the first, and none is left behind."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from nars.errors import UserError
from nars.machine import cores
from nars.training.single.processes import Part, first_of, the_others

ROOT = Path(__file__).parents[3]


def end(what: str, folder: Path, part: Part) -> None:
    """What rank 1 does, while the others wait for it."""
    (folder / str(part.rank)).write_text(str(os.getpid()))
    if part.rank > 1:
        time.sleep(600)
    if what == "threads":
        raise UserError(f"{torch.get_num_threads()} threads")
    if what == "user error":
        raise UserError("image 7 is broken")
    if what == "gpu memory":
        raise torch.OutOfMemoryError("CUDA out of memory")
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_the_others(what: str, folder: Path, world_size: int) -> None:
    """The first process, which learns from its connection that rank 1 is gone."""
    with the_others(partial(end, what, folder), Part(world_size=world_size, port=1)):
        while not all((folder / str(rank)).exists() for rank in range(1, world_size)):
            time.sleep(0.1)
        raise RuntimeError("connection closed by peer")


def alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "world_size", "error", "message"),
    [
        ("gpu memory", 3, torch.OutOfMemoryError, "CUDA out of memory"),
        ("threads", 2, UserError, f"{max(1, cores() // 2)} threads"),
        ("killed", 2, RuntimeError, "another process of the training (rank 1) ended with exit code -9"),
    ],
)
def test_what_ends_another_process_is_what_the_training_ends_with(
    tmp_path, monkeypatch, what, world_size, error, message
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with pytest.raises(error) as raised:
        wait_for_the_others(what, tmp_path, world_size)
    assert str(raised.value) == message
    pids = [path.read_text() for path in tmp_path.iterdir()]
    assert len(pids) == world_size - 1
    assert not any(map(alive, pids))


@pytest.mark.slow
def test_a_first_process_that_waits_in_vain_is_ended_with_a_line(tmp_path):
    """As in a collective operation on GPUs, which does not end when one that it waits for is gone."""
    code = """
import sys, time
from functools import partial
from pathlib import Path
from nars.training.single.processes import Part, the_others
from tests.training.single.test_processes import end

if __name__ == "__main__":
    with the_others(partial(end, "user error", Path(sys.argv[1])), Part(world_size=2, port=1)):
        time.sleep(600)
"""
    (tmp_path / "main.py").write_text(code)
    (tmp_path / "ranks").mkdir()
    done = subprocess.run(
        [sys.executable, tmp_path / "main.py", tmp_path / "ranks"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert (done.returncode, done.stderr) == (1, "error: image 7 is broken\n")


def test_one_device_needs_no_other_process():
    part = first_of(1)
    assert part == Part(rank=0, world_size=1, port=0)
    with the_others(partial(end, "never called", Path()), part):
        pass
    ports = {first_of(2).port for _ in range(5)}
    assert all(1024 <= port < 2**16 for port in ports)
    assert first_of(3).world_size == 3
