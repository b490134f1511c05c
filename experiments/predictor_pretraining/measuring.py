"""Rank correlations with unseen rows of a table, kept as JSON lines: a study that was stopped goes on."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from experiments.predictor_pretraining.benchmarks import Benchmark

ASKED = 4000  # unseen rows of a table that are predicted, at most: the same for all methods
BEST = 100  # one in so many is among the best predicted, as what a search answers is


def measure(method: Callable, table: Benchmark, size: int, seed: int) -> dict:
    """Kendall's tau with the accuracies of unseen rows, share of them, and of the best predicted, inside 1 and 2
    deviations, seconds."""
    order = np.random.default_rng(seed).permutation(len(table.x))
    rows, asked = order[:size], order[size : size + ASKED]
    start = time.perf_counter()
    predicted = method(table, rows, seed, asked)
    seconds = time.perf_counter() - start
    truth, inside, of_best = table.accuracies[asked], None, None
    if predicted.std is not None:
        error = np.abs(predicted.mean - truth) / np.maximum(predicted.std, 1e-12)
        best = np.argsort(-predicted.mean, kind="stable")[: max(1, len(asked) // BEST)]
        inside, of_best = ([float((e <= 1).mean()), float((e <= 2).mean())] for e in (error, error[best]))
    tau = float(kendalltau(predicted.mean, truth).statistic)
    return {"kendall_tau": tau, "inside": inside, "inside_of_best": of_best, "seconds": seconds}


class Results:
    """What is measured, in a file; a line for each method, table, number of records and seed."""

    def __init__(self, file: Path):
        self.file = file
        self.lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def add(self, methods: dict[str, Callable], table: Benchmark, sizes: Sequence[int], seed: int) -> None:
        """Measure what is not known yet."""
        known = {(line["table"], line["method"], line["size"], line["seed"]) for line in self.lines}
        for name, method in methods.items():
            for size in sizes:
                if (table.name, name, size, seed) not in known:
                    where = {"table": table.name, "method": name, "size": size, "seed": seed}
                    self.lines.append(where | measure(method, table, size, seed))
                    with self.file.open("a") as file:
                        file.write(json.dumps(self.lines[-1]) + "\n")
        print(f"{table.name}: seed {seed} measured", flush=True)

    def of(self, key: str, method: str, table: str, size: int, *, beside: Iterable[str] = ()) -> np.ndarray:
        """The values of `key`, one for each seed that was measured of `method` and of all methods `beside` it; files of
        before a key was measured have none of it."""
        found = {(line["method"], line["seed"]): line[key] for line in self._lines(table, size) if key in line}
        seeds = [seed for name, seed in found if name == method and all((other, seed) in found for other in beside)]
        return np.array([found[method, seed] for seed in sorted(seeds)])

    def _lines(self, table: str, size: int) -> Iterator[dict]:
        return (line for line in self.lines if (line["table"], line["size"]) == (table, size))
