"""Measuring: every block in several passes over many blocks, of which the least counts.

Passes are interleaved, so that a block's measurements lie apart in time and what slows the machine down for a while
meets only some of them.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from nars.costs.shapes import Shape
from nars.latency.backends import PAUSE_SECONDS, Backend, Run
from nars.latency.parts import input_of, module_of

GROUP = 256  # blocks that are in memory at a time
MEASURED_SECONDS = 2e-3  # so long are runs repeated for one measurement
MAX_RUNS = 1000


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A measurement of the entry `number` of what was asked for, in milliseconds."""

    number: int
    ms: float


def measure(
    prepared: Sequence[Callable[[], Run]], passes: Sequence[int], backend: Backend, *, group: int = GROUP
) -> Iterator[Timed]:
    """Measurements, as they are made: of entry i `passes[i]` ones, in passes over `group` entries at a time."""
    for start in range(0, len(prepared), group):
        numbers = range(start, min(start + group, len(prepared)))
        runs = {number: _repeated(prepared[number](), backend) for number in numbers if passes[number]}
        for turn in range(max(passes[number] for number in numbers)):
            for number, run in runs.items():
                if turn < passes[number]:
                    yield Timed(number=number, ms=run())


def _repeated(run: Run, backend: Backend) -> Callable[[], float]:
    """The mean milliseconds of as many runs as make a measurement, after some that warm up."""
    if not backend.quick:
        return lambda: run() * 1e3
    run()
    seconds = min(run() for _ in range(2))
    times = min(MAX_RUNS, max(1, math.ceil(MEASURED_SECONDS / max(seconds, 1e-9))))

    def several() -> float:
        if backend.device.device == "cuda":
            time.sleep(PAUSE_SECONDS)
        return sum(run() for _ in range(times)) / times * 1e3

    return several


def shapes_prepared(shapes: Iterable[Shape], backend: Backend) -> list[Callable[[], Run]]:
    """For each block what makes it ready to run."""
    batch = backend.device.batch
    return [lambda shape=shape: backend.prepare(module_of(shape), input_of(shape, batch)) for shape in shapes]
