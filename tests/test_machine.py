"""What this process may use, as the system says it."""

import os
import subprocess
import sys

import pytest

from nars.machine import cores

SAY = "from nars.machine import cores; print(cores())"


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
    """The files of control groups, version 2 and 1, in a view of the file system of its own."""
    group = "/sys/fs/cgroup"
    write = [f"mkdir -p $(dirname {group}/{name}) && echo '{text}' > {group}/{name}" for name, text in files.items()]
    script = " && ".join([f"mount -t tmpfs tmpfs {group}", *write, f"'{sys.executable}' -c '{SAY}'"])
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode and not done.stdout:
        pytest.skip(f"needs root on Linux: {done.stderr.strip()}")
    assert done.stdout == f"{expected}\n"
