"""What this process may use of the machine."""

import os


def cores() -> int:
    """Cores that this process may use, at least 1: no more than its affinity and the limit of its container allow, a
    part of a core counts as one."""
    from joblib import cpu_count

    return cpu_count()


def limit_threads(processes: int = 1) -> None:
    """Let PyTorch use no more threads than there are cores for each of `processes`; OMP_NUM_THREADS, if given, stays.

    PyTorch and Lightning count the cores of the machine, of which a container may use few: more threads than cores
    stop one another.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    threads = max(1, min(torch.get_num_threads(), cores() // processes))
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # for the others, which the first one starts
