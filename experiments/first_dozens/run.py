"""python -m experiments.first_dozens.run"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from experiments.first_dozens.peers import botorch, gp_sampler, hebo, smac3
from experiments.first_dozens.tried import process_alone
from experiments.joint_search.methods import METHODS, nars
from experiments.joint_search.problem import Problem
from experiments.joint_search.run import PROBLEMS, TASKS, open_problem
from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread

SHOWN = (8, 12, 16, 24, 48, 96)
BY_ONE, OURS = "NARS, 8 then 1", "NARS, 8 then 4"  # one by one, as the others are; in batches


@dataclass(frozen=True, kw_only=True)
class Way:
    """A search (problem, budget, seed) -> rows, how many candidates it is followed over, whether it takes a limit."""

    search: Callable
    budget: int
    limits: bool = True


WAYS = {
    BY_ONE: Way(search=partial(nars, first=8, batch=1), budget=48),
    OURS: Way(search=partial(nars, first=8, batch=4), budget=96),
    "TPE": Way(search=METHODS["TPE"], budget=96),
    "evolution": Way(search=METHODS["regularised evolution"], budget=96),
    "NSGA-II": Way(search=METHODS["NSGA-II"], budget=96),
    "random": Way(search=METHODS["random"], budget=96),
    "GPSampler": Way(search=gp_sampler, budget=96),
    "SMAC3": Way(search=smac3, budget=96, limits=False),
    "BoTorch": Way(search=botorch, budget=48, limits=False),
    "HEBO": Way(search=hebo, budget=24, limits=False),
    "NARS, 24 then 24": Way(search=partial(nars, batch=24), budget=96),
}
USUAL = ("TPE", "evolution", "NSGA-II", "random")
LIMITED = tuple(problem for problem in PROBLEMS if problem not in TASKS)
# Tasks on which other ways to choose were tried.
CHOSEN = ("naval_propulsion", "slice_localization", "car", "kc1", "vehicle", "australian")
TRIED = {  # a process alone; what differs from NARS
    "process alone": {},
    "standardised targets": {"targets": "standardised"},
    "own deviations": {"wide": False},
    "standardised, own deviations": {"targets": "standardised", "wide": False},
    "the same, one by one": {"targets": "standardised", "wide": False, "batch": 1},
    "noisy improvement": {"choose": "noisy_improvement"},
    "Thompson sampling": {"choose": "sampled", "wide": False},
    "best predicted": {"choose": "mean"},
}
VARIANTS = {name: Way(search=partial(process_alone, **changes), budget=24) for name, changes in TRIED.items()}


def measure(problem: Problem, way: str, seed: int, budget: int) -> dict:
    """Regret of the best of the first 1 ... budget candidates, and CPU seconds."""
    start = time.process_time()
    rows = (WAYS | VARIANTS)[way].search(problem, budget, seed)[:budget]
    seconds = round(time.process_time() - start, 2)
    regret = np.minimum.accumulate(problem.regret[rows]).round(6).tolist()
    return {"task": problem.name, "way": way, "seed": seed, "seconds": seconds, "regret": regret}


def at(lines: list[dict], task: str, way: str, n: int) -> np.ndarray:
    """Regrets (seeds,) after n candidates; none where a way was not followed so far. Of a seed's runs the shortest that
    is long enough: what SMAC3 draws first depends on how long it may search."""
    some = [line for line in lines if (line["task"], line["way"]) == (task, way) and len(line["regret"]) >= n]
    some.sort(key=lambda line: -len(line["regret"]))
    return np.array(list({line["seed"]: line["regret"][n - 1] for line in some}.values()))


def measured(
    lines: list[dict], n: int, offered: Sequence[str], tasks: Sequence[str]
) -> tuple[dict[tuple[str, str], float], list[str], list[str]]:
    """Medians by (task, way) after n candidates, those tasks that `OURS` was measured on, and of the ways offered those
    that were measured on all of these."""
    tasks = [task for task in tasks if len(at(lines, task, OURS, n))]
    ways = [way for way in offered if all(len(at(lines, task, way, n)) for task in tasks)]
    medians = {(task, way): np.median(at(lines, task, way, n)).round(4) for task in tasks for way in ways}
    return medians, tasks, ways


def table(lines: list[dict], n: int, offered: Sequence[str], tasks: Sequence[str] = TASKS) -> str:
    """Median (quartiles) by task and way after n candidates, the lowest medians in bold; and who has them how often."""
    medians, tasks, ways = measured(lines, n, offered, tasks)
    least = {task: min(medians[task, way] for way in ways) for task in tasks}
    rows = []
    for task in tasks:
        cells = []
        for way in ways:
            low, middle, high = np.percentile(at(lines, task, way, n), (25, 50, 75))
            text = f"{middle:.3f} ({low:.3f}-{high:.3f})"
            cells.append(f"**{text}**" if medians[task, way] <= least[task] else text)
        rows.append([task, *cells])
    lowest = {way: sum(medians[task, way] <= least[task] for task in tasks) for way in ways}
    rows += [["lowest or shared", *(f"{lowest[way]} of {len(tasks)}" for way in ways)]]
    rows += [["mean of medians", *(f"{np.mean([medians[task, way] for task in tasks]):.3f}" for way in ways)]]
    seeds = {way: sorted({len(at(lines, task, way, n)) for task in tasks}) for way in ways}
    rows += [["seeds", *(" to ".join(map(str, dict.fromkeys((some[0], some[-1])))) for some in seeds.values())]]
    return markdown_table(["", *ways], rows)


def ahead(lines: list[dict], ours: str, tasks: Sequence[str] = TASKS) -> str:
    """On how many tasks `ours` has a median as low as each other way's, all `USUAL` ones', and all others'."""
    others, rows = [way for way in WAYS if not way.startswith("NARS")], []
    for n in SHOWN:
        medians, some, ways = measured(lines, n, list(WAYS), tasks)
        groups = [[way] for way in others] + [list(USUAL), [way for way in others if way in ways]]
        if some and ours in ways:
            counts = [
                sum(medians[task, ours] <= min(medians[task, way] for way in group) for task in some)
                if set(group) <= set(ways)
                else "-"
                for group in groups
            ]
            rows.append([n, len(some), *counts])
    return markdown_table(["candidates", "tasks", *others, ", ".join(USUAL), "all measured"], rows)


def report(lines: list[dict]) -> str:
    """What the README shows."""
    parts = ["Normalised regret, median (quartiles) over seeds; the lowest median of a row in bold."]
    for ours in (BY_ONE, OURS):
        parts += [f"### On how many tasks the median of {ours}, is the lower one or the same", ahead(lines, ours)]
    for tasks, of in ((TASKS, ""), (LIMITED, ", limited")):
        for n in (n for n in SHOWN if any(len(at(lines, task, OURS, n)) for task in tasks)):
            parts += [f"### {n} candidates{of}", table(lines, n, list(WAYS), tasks)]
    if any(len(at(lines, task, OURS, 24)) for task in CHOSEN):
        parts += ["### What was tried, 24 candidates", table(lines, 24, [BY_ONE, OURS, *VARIANTS], CHOSEN)]
    rows = []
    for way in WAYS:
        runs = [line for line in lines if line["way"] == way]
        if runs:
            longest = max(len(line["regret"]) for line in runs)
            seconds = [line["seconds"] for line in runs if len(line["regret"]) == longest]
            rows.append([way, f"{np.median(seconds):.1f}", longest])
    return "\n\n".join([*parts, "### Seconds", markdown_table(["way", "CPU seconds of a run", "candidates"], rows)])


def main() -> None:
    """Measure what is missing, and write the tables into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=max(SHOWN), help="candidates, where a way is followed so far")
    parser.add_argument("--tasks", nargs="*", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--only", nargs="*", choices=[*WAYS, *VARIANTS], help="ways; all if not given")
    parser.add_argument("--results", type=Path, default=Path("first_dozens.jsonl"), help="measured so far")
    arguments = parser.parse_args()
    use_one_thread()
    texts = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    lines = [json.loads(text) for text in texts]
    known = {}
    for line in lines:
        run = line["task"], line["seed"], line["way"]
        known[run] = max(known.get(run, 0), len(line["regret"]))
    everything = WAYS | VARIANTS
    for task, seed, way in product(arguments.tasks, range(arguments.seeds), arguments.only or everything):
        search = everything[way]
        asked = (way in WAYS or task in CHOSEN) and (search.limits or task in TASKS)
        budget = min(arguments.budget, search.budget)
        if asked and known.get((task, seed, way), 0) < budget:
            lines.append(measure(open_problem(task), way, seed, budget))
            with arguments.results.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    write_found(__file__, report(lines))


if __name__ == "__main__":
    main()
