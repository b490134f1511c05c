"""What this process may use, as the system says it."""

import os
import subprocess
import sys

import pytest
import torch

from nars.machine import cores, limited_threads

SAY = "from nars.machine import cores; print(cores())"
THREADS = """
import torch
from nars.machine import limited_threads
def threads(processes):
    with limited_threads(processes):
        return torch.get_num_threads()
torch.set_num_threads(2)
""".strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that pins processes")
def test_cores_are_those_that_a_process_is_pinned_to():
    allowed = os.sched_getaffinity(0)
    assert 1 <= cores() <= len(allowed)
    pinned = f"import os; os.sched_setaffinity(0, [{min(allowed)}]); {SAY}"
    assert subprocess.run([sys.executable, "-c", pinned], capture_output=True, check=True).stdout == b"1\n"


@pytest.mark.skipif(cores() < 2, reason="needs two cores")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "max 100000"}, cores()),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, cores()),
    ],
)
def test_cores_are_no_more_than_the_limit_of_a_container(files, expected):
    """The files of control groups, version 2 and 1."""
    assert said_in_a_container(files, SAY) == str(expected)


@pytest.mark.slow
@pytest.mark.skipif(cores() < 2, reason="needs two cores")
@pytest.mark.parametrize(("limit", "said"), [("100000", "[1, 1, 2]"), ("max", "[2, 1, 2]")])
def test_pytorch_uses_no_more_threads_than_the_container_has_cores(limit, said):
    say = f"{THREADS}\nprint([threads(1), threads(2), torch.get_num_threads()])"
    assert said_in_a_container({"cpu.max": f"{limit} 100000"}, say) == said


@pytest.mark.skipif(cores() < 2, reason="needs two cores")
def test_what_one_training_may_use_is_no_limit_to_the_next(monkeypatch):
    """Of a sweep's, say, which are trained in one process."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before, environment = torch.get_num_threads(), dict(os.environ)
    torch.set_num_threads(2)
    try:
        used = []
        for processes in (cores(), 1):
            with limited_threads(processes):
                used.append(torch.get_num_threads())
        assert used == [1, 2]
        assert dict(os.environ) == environment
    finally:
        torch.set_num_threads(before)


def test_the_number_of_threads_that_is_given_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with limited_threads(100):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def said_in_a_container(files: dict[str, str], program: str) -> str:
    """What a program prints that sees these files of its control group; skips where that cannot be arranged."""
    group = "/sys/fs/cgroup"
    write = [f"mkdir -p $(dirname {group}/{name}) && echo '{text}' > {group}/{name}" for name, text in files.items()]
    script = " && ".join([f"mount -t tmpfs tmpfs {group}", *write, f"'{sys.executable}' -c '{program}'"])
    environment = {name: text for name, text in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = ["unshare", "--mount", "sh", "-c", script]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs unshare (Linux)")
    if "permitted" in done.stderr or "denied" in done.stderr:
        pytest.skip(f"needs root: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
