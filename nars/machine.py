"""What this process may use of the machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def cores() -> int:
    """Cores that this process may use, at least 1: no more than its affinity and the limit of its container allow, a
    part of a core counts as one."""
    from joblib import cpu_count

    return cpu_count()


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
