"""Threads of the studies: what they say of speed, they say of one core."""

import os

import torch
from threadpoolctl import threadpool_limits

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def use_one_thread() -> None:
    """Let NumPy, SciPy and PyTorch compute on one thread from here on, here and in processes that are started; the
    environment does not matter."""
    os.environ |= dict.fromkeys(VARIABLES, "1")  # for libraries that are loaded later, and for other processes
    threadpool_limits(1)
    torch.set_num_threads(1)


def check_one_thread(wall: float, cpu: float) -> None:
    """Stop a study whose process took more CPU seconds than one thread can have in so many wall seconds."""
    assert cpu <= 1.05 * wall + 0.05, f"{cpu:.2f} CPU seconds in {wall:.2f} s: more than one thread computed"
