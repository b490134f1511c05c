"""CPU time of functions, taken in turns, so that a busy machine is busy for all of them; memory of a process tree."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import psutil


def cpu_milliseconds(
    ways: Mapping[str, Callable[[int], object]], indices: Sequence[int], rounds: int
) -> dict[str, float]:
    """CPU milliseconds of one call with an index: each way's median over rounds in which the ways take turns."""
    taken = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            begin = time.process_time()
            for index in indices:
                way(index)
            taken[name].append((time.process_time() - begin) / len(indices))
    return {name: 1000 * float(np.median(seconds[1:])) for name, seconds in taken.items()}  # the first warms up


def tree() -> list[psutil.Process]:
    """This process and those that it started."""
    process = psutil.Process()
    return [process, *process.children(recursive=True)]


def tree_cpu_seconds() -> float:
    """CPU seconds that the tree's living processes have taken."""
    return sum(sum(process.cpu_times()[:2]) for process in tree())


def tree_memory() -> tuple[float, float]:
    """MiB of the whole tree: proportional set size without files that are mapped, and those mapped files."""
    anonymous = mapped = 0
    for process in tree():
        for region in process.memory_maps(grouped=True):
            if region.path.endswith(".arrow"):
                mapped += region.pss
            else:
                anonymous += region.pss
    return anonymous / 2**20, mapped / 2**20
