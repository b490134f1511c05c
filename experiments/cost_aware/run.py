"""python -m experiments.cost_aware.run"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np

from experiments.joint_search.methods import nars
from experiments.joint_search.run import TASKS, open_problem
from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread

MOST = 72  # candidates of a search
SHOWN = (12, 24, 48)  # times the mean seconds of a training
WAYS = ("expected_improvement", "improvement_per_second")


def measure(task: str, way: str, seed: int) -> dict:
    """Regrets of the best that was trained within `SHOWN` times the mean seconds of a training, the largest of all
    where there is none, and how many were trained within them."""
    problem = open_problem(task)
    rows = nars(problem, MOST, seed, choose=way, first=8, batch=4, head="process")
    spent = problem.seconds[rows].cumsum()
    trained = [int((spent <= n * problem.seconds.mean()).sum()) for n in SHOWN]
    regret = [float(problem.regret[rows[:n]].min()) if n else float(problem.regret.max()) for n in trained]
    return {"task": task, "way": way, "seed": seed, "trained": trained, "regret": regret}


def table(lines: list[dict], i: int, tasks: list[str]) -> str:
    """Median regret (quartiles) over seeds, and the median number of candidates, after `SHOWN[i]` mean trainings."""
    rows, medians = [], {}
    for task in tasks:
        cells = []
        for way in WAYS:
            of = [line for line in lines if (line["task"], line["way"]) == (task, way)]
            low, medians[task, way], high = np.percentile([line["regret"][i] for line in of], (25, 50, 75))
            trained = np.median([line["trained"][i] for line in of])
            cells.append(f"{medians[task, way]:.3f} ({low:.3f}-{high:.3f}) of {trained:.0f}")
        rows.append([task, *cells])
    means = [f"{np.mean([medians[task, way] for task in tasks]):.3f}" for way in WAYS]
    lowest = [sum(medians[t, way] <= min(medians[t, w] for w in WAYS) for t in tasks) for way in WAYS]
    rows += [["mean of medians", *means], ["lowest or shared", *(f"{n} of {len(tasks)}" for n in lowest)]]
    return markdown_table(["", *WAYS], rows)


def main() -> None:
    """Measure what is missing, and write the tables into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=TASKS)
    parser.add_argument("--results", type=Path, default=Path("cost_aware.jsonl"), help="measured so far")
    arguments = parser.parse_args()
    use_one_thread()
    texts = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    lines = [json.loads(text) for text in texts]
    known = {(line["task"], line["way"], line["seed"]) for line in lines}
    for task, seed, way in product(arguments.tasks, range(arguments.seeds), WAYS):
        if (task, way, seed) not in known:
            lines.append(measure(task, way, seed))
            with arguments.results.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    measured = {(line["task"], line["way"]) for line in lines}
    tasks = [task for task in TASKS if all((task, way) in measured for way in WAYS)]
    parts = [f"{len({line['seed'] for line in lines})} seeds; regret (quartiles) of so many candidates."]
    parts += [f"### The seconds of {n} mean trainings\n\n{table(lines, i, tasks)}" for i, n in enumerate(SHOWN)]
    write_found(__file__, "\n\n".join(parts))


if __name__ == "__main__":
    main()
