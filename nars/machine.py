"""What this process may use of the machine."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def cores() -> int:
    """Cores that this process may use, at least 1: no more than its affinity and the limit of its container allow, a
    part of a core counts as one."""
    from joblib import cpu_count

    return cpu_count()


def processor() -> str:
    """The processor's name, as far as the system tells."""
    with suppress(OSError):
        if named := re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), flags=re.M):
            return named[1].strip()
    return platform.processor() or platform.machine()


@contextmanager
def limited_threads(processes: int = 1) -> Iterator[None]:
    """Let PyTorch, here, use no more threads than there are cores for each of `processes`; where OMP_NUM_THREADS is
    given, that counts.

    PyTorch and Lightning count the cores of the machine, of which a container may use few: more threads than cores
    stop one another.
    """
    import torch

    before = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, min(before, cores() // processes)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
