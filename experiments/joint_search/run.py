"""python -m experiments.joint_search.run"""

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from experiments.hpo_tables import FCNET, MLP_INPUTS, load
from experiments.joint_search import front
from experiments.joint_search.methods import ABLATIONS, METHODS, SMALL_BATCHES
from experiments.joint_search.problem import Problem
from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread

BUDGET = 240
SHOWN = (24, 48, 96, 144, 240)
LIMIT = 0.25  # "limited" problems keep the quarter of the networks with the fewest parameters
TASKS = (*FCNET, *MLP_INPUTS)
ABLATED = FCNET[:2]
PROBLEMS = (*TASKS, *(f"{task} limited" for task in FCNET))
FIGURE = Path(__file__).with_name("regret.png")


@lru_cache(maxsize=1)
def open_problem(name: str) -> Problem:
    """The problem of a name in `PROBLEMS`."""
    task, _, limited = name.partition(" ")
    return Problem(load(task), limit_quantile=LIMIT if limited else None)


def measure(problem_name: str, method: str, seed: int) -> dict:
    """Regret of the best of the first 1 ... `BUDGET` trained candidates, and seconds."""
    use_one_thread()
    problem = open_problem(problem_name)
    start = time.process_time()
    rows = (METHODS | ABLATIONS | SMALL_BATCHES)[method](problem, BUDGET, seed)
    seconds = time.process_time() - start
    assert len(set(rows.tolist())) == len(rows) <= BUDGET
    regret = np.minimum.accumulate(problem.regret[rows])
    regret = np.concatenate([regret, np.full(BUDGET - len(rows), regret[-1])])  # a small part of a space may run out
    line = {"problem": problem_name, "method": method, "seed": seed, "seconds": round(seconds, 2)}
    return line | {"regret": regret.round(6).tolist()}


def measure_all(runs: list[tuple[str, str, int]], results: Path, workers: int) -> list[dict]:
    """Every run (problem, method, seed) that is not yet in `results` (JSON lines) is made and appended."""
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    known = {(line["problem"], line["method"], line["seed"]) for line in lines}
    with ProcessPoolExecutor(workers) as pool:
        futures = [pool.submit(measure, *run) for run in runs if run not in known]
        for i, future in enumerate(as_completed(futures), start=1):
            lines.append(future.result())
            with results.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(f"\r{i} of {len(futures)}", end="", flush=True)
    return [line for line in lines if (line["problem"], line["method"], line["seed"]) in set(runs)]


def regrets(lines: list[dict], problem: str, method: str) -> np.ndarray:
    """Regret (seeds, BUDGET)."""
    return np.array([line["regret"] for line in lines if line["problem"] == problem and line["method"] == method])


def medians(lines: list[dict], problems, methods, evaluations: int) -> str:
    """Median and quartiles over seeds, a row per problem; the lowest median of the whole searches in bold."""
    rows = []
    for problem in problems:
        found = {m: np.percentile(regrets(lines, problem, m)[:, evaluations - 1], (25, 50, 75)) for m in methods}
        best = min(found[m][1] for m in methods if m in METHODS)
        cells = []
        for method in methods:
            low, middle, high = found[method]
            text = f"{middle:.4f} ({low:.3f}-{high:.3f})"
            cells.append(f"**{text}**" if middle <= best else text)
        rows.append([problem, *cells])
    return markdown_table(["", *methods], rows)


def wins(lines: list[dict], problems, evaluations: int, *, ours: str = "NARS") -> str:
    """On how many problems none of the peers has a lower median than `ours`, and where random search has."""
    peers = [method for method in METHODS if method != "NARS"]
    at = {(p, m): np.median(regrets(lines, p, m)[:, evaluations - 1]) for p in problems for m in (ours, *peers)}
    lowest = [p for p in problems if at[p, ours] <= min(at[p, peer] for peer in peers)]
    worse = [p for p in problems if at[p, ours] > at[p, "random"]]
    return (
        f"At {evaluations} candidates {ours} has the lowest median regret (or shares it) on {len(lowest)} of "
        f"{len(problems)} problems; worse than random on {', '.join(worse) or 'none'}."
    )


def draw(lines: list[dict], problems) -> None:
    """Median regret against trained candidates, a panel per problem."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(4, 4, figsize=(15, 12), layout="constrained", sharex=True)
    for axis, problem in zip(axes.flat, problems, strict=True):
        for method in METHODS:
            low, middle, high = np.percentile(regrets(lines, problem, method), (25, 50, 75), axis=0)
            evaluations = np.arange(1, BUDGET + 1)
            (line,) = axis.plot(evaluations, middle + 1e-4, label=method, linewidth=2.5 if method == "NARS" else 1.2)
            axis.fill_between(evaluations, low + 1e-4, high + 1e-4, alpha=0.12, color=line.get_color(), linewidth=0)
        axis.set(title=problem, yscale="log", ylim=(8e-5, 1))
    axes[-1, 0].set(xlabel="trained candidates", ylabel="regret + 0.0001")
    axes[0, -1].legend(fontsize=8)
    figure.savefig(FIGURE, dpi=60)


def report(lines: list[dict], seeds: int, macro: Path | None) -> str:
    """What the README shows."""
    parts = [f"Normalised regret, median (quartiles) over {seeds} seeds; the lowest median of a row in bold."]
    for evaluations in SHOWN:
        parts += [f"### {evaluations} candidates", medians(lines, PROBLEMS, list(METHODS), evaluations)]
    for evaluations in (96, 240):
        parts += [
            wins(lines, TASKS, evaluations),
            wins(lines, PROBLEMS, evaluations).replace("problems", "problems with the limited ones", 1),
        ]
    parts += ["### Smaller batches"]
    for evaluations in (96, 240):
        parts += [f"At {evaluations} candidates:", medians(lines, TASKS, [*SMALL_BATCHES, *METHODS], evaluations)]
        parts += [wins(lines, TASKS, evaluations, ours=name) for name in SMALL_BATCHES]
    parts += ["### What the parts bring"]
    for evaluations in (48, 96, 240):
        parts += [f"At {evaluations} candidates:", medians(lines, ABLATED, ["NARS", *ABLATIONS], evaluations)]
    if macro is not None:
        parts += ["### All constraints at once", front.report(macro, seeds)]
    return "\n\n".join([*parts, f"![Regret against trained candidates]({FIGURE.name})"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of methods, whose tables are printed; all if not given")
    parser.add_argument("--nasbench-macro", type=Path, help="the table as CSV, for all constraints at once")
    parser.add_argument("--results", type=Path, default=Path("joint_search.jsonl"), help="measured so far")
    arguments = parser.parse_args()
    runs = [*product(PROBLEMS, METHODS, range(arguments.seeds)), *product(ABLATED, ABLATIONS, range(arguments.seeds))]
    runs += product(TASKS, SMALL_BATCHES, range(arguments.seeds))
    runs = [run for run in runs if not arguments.only or run[1] in arguments.only]
    lines = measure_all(runs, arguments.results, arguments.workers)
    if arguments.only:
        print("\n\n".join(medians(lines, PROBLEMS, arguments.only, evaluations) for evaluations in SHOWN))
    else:
        draw(lines, PROBLEMS)
        write_found(__file__, report(lines, arguments.seeds, arguments.nasbench_macro))
