"""python -m experiments.predictor_pretraining.run --table nasbench_macro_cifar10.csv"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from experiments.predictor_pretraining.benchmarks import Benchmark, benchmarks
from experiments.predictor_pretraining.methods import OURS, PEERS
from experiments.tables import markdown_table, write_found

SIZES = (24, 48, 96, 192, 400)
METHODS = {**OURS, **PEERS}
BY_STAGE = ("default", "paper", "GP, statistics")  # the methods that more statistics may help
FIGURE = Path(__file__).with_name("rank_correlation.png")
COLUMNS = 4  # of panels


def measure(method: Callable, table: Benchmark, size: int, seed: int) -> dict:
    """Rank correlation with the accuracies of all unseen rows, share of them inside 1 and 2 deviations, seconds."""
    rows = np.random.default_rng(seed).permutation(len(table.x))[:size]
    start = time.perf_counter()
    predicted = method(table, rows, seed)
    seconds = time.perf_counter() - start
    unseen = np.ones(len(table.x), dtype=bool)
    unseen[rows] = False
    mean, truth = predicted.mean[unseen], table.accuracies[unseen]
    inside = None
    if predicted.std is not None:
        error = np.abs(mean - truth) / np.maximum(predicted.std[unseen], 1e-12)
        inside = [float((error <= 1).mean()), float((error <= 2).mean())]
    return {
        "kendall_tau": float(kendalltau(mean, truth).statistic),
        "spearman": float(spearmanr(mean, truth).statistic),
        "inside": inside,
        "seconds": seconds,
    }


def measure_all(tables: dict[str, Callable[[], Benchmark]], seeds: int, results: Path) -> list[dict]:
    """Everything not yet in `results` (JSON lines) is measured and appended; all rows of it."""
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    known = {(line["table"], line["method"], line["size"], line["seed"]) for line in lines}
    for table_name, load in tables.items():
        table = load()
        for seed in range(seeds):
            for name in methods_of(table_name):
                for size in SIZES:
                    if (table_name, name, size, seed) in known:
                        continue
                    line = {"table": table_name, "method": name, "size": size, "seed": seed}
                    line |= measure(METHODS[name], table, size, seed)
                    lines.append(line)
                    with results.open("a") as file:
                        file.write(json.dumps(line) + "\n")
            print(f"{table_name}: seed {seed} measured", flush=True)
    return [line for line in lines if line["seed"] < seeds]


def methods_of(table: str) -> list[str]:
    """Names of the methods that are measured on a table."""
    return [name for name in METHODS if name in BY_STAGE or not table.endswith("by stage")]


def pick(lines: list[dict], key: str, **where) -> np.ndarray:
    """The values of `key` of the lines that match."""
    return np.array([line[key] for line in lines if all(line[k] == v for k, v in where.items())])


def correlations(lines: list[dict], table: str, key: str) -> str:
    """Mean and spread over seeds of every method; the best peer of each size in italics, better ones in bold."""
    values = {n: [pick(lines, key, table=table, method=n, size=s) for s in SIZES] for n in methods_of(table)}
    best = [max(values[peer][i].mean() for peer in PEERS if peer in values) for i in range(len(SIZES))]
    rows = []
    for name, sizes in values.items():
        cells = []
        for value, peer in zip(sizes, best, strict=True):
            text = f"{value.mean():.3f} ± {value.std():.3f}"
            mark = "*" if value.mean() == peer else "**" if value.mean() > peer else ""
            cells.append(mark + text + mark)
        rows.append([name, *cells])
    return markdown_table(["", *map(str, SIZES)], rows)


def calibration(lines: list[dict], tables: list[str]) -> str:
    """Share of unseen accuracies inside 1 and 2 deviations."""
    rows = []
    for table in tables:
        for name in ("default", "paper", "GP, statistics"):
            inside = [pick(lines, "inside", table=table, method=name, size=s).mean(axis=0) for s in SIZES]
            rows.append([table, name, *(f"{one:.2f} / {two:.2f}" for one, two in inside)])
    return markdown_table(["table", "", *map(str, SIZES)], rows)


def against_best_peer(lines: list[dict], tables: list[str]) -> str:
    """The default's Kendall tau beside the best peer's, a row per table; and on how many tables it is ahead."""
    rows, ahead = [], np.zeros(len(SIZES), dtype=int)
    for table in tables:
        means = {n: [pick(lines, "kendall_tau", table=table, method=n, size=s).mean() for s in SIZES] for n in METHODS}
        cells = []
        for i, ours in enumerate(means["default"]):
            peer = max(PEERS, key=lambda name, i=i: means[name][i])
            ahead[i] += ours > means[peer][i]
            text = f"{ours:.3f}"
            cells.append(f"{f'**{text}**' if ours > means[peer][i] else text} / {means[peer][i]:.3f} {peer}")
        rows.append([table, *cells])
    counts = ", ".join(f"{n} with {size}" for n, size in zip(ahead, SIZES, strict=True))
    title = f"Of {len(tables)} tables, the default is ahead of every peer (bold) on: {counts} records."
    return f"{title}\n\n{markdown_table(['default / best peer', *map(str, SIZES)], rows)}"


def details(lines: list[dict], table: str) -> str:
    """Both correlations of every method on a table, folded up."""
    both = f"{correlations(lines, table, 'kendall_tau')}\n\n{correlations(lines, table, 'spearman')}"
    return f"<details><summary>{table}</summary>\n\n{both}\n\n</details>"


def draw(lines: list[dict], tables: list[str]) -> None:
    """Kendall tau against records, a panel per table."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = -(-len(tables) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(3.6 * COLUMNS, 3 * rows), squeeze=False, layout="constrained")
    shown = ["default", "default, not pretrained", "paper", "paper, not pretrained", *PEERS]
    for axis, table in zip(axes.flat, tables, strict=False):
        for name in (name for name in shown if name in methods_of(table)):
            means = [pick(lines, "kendall_tau", table=table, method=name, size=s).mean() for s in SIZES]
            width, color = (2.5 if name == "default" else 1.2), f"C{shown.index(name)}"
            axis.plot(SIZES, means, ":" if name in PEERS else "-", label=name, color=color, linewidth=width)
        axis.set(title=table, xscale="log", xticks=SIZES, xticklabels=SIZES)
        axis.minorticks_off()
    axes[-1, 0].set(xlabel="records", ylabel="Kendall tau, unseen rows")
    for axis in axes.flat[len(tables) :]:
        axis.axis("off")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="lower right", fontsize=9)
    figure.savefig(FIGURE, dpi=70)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--table", type=Path, required=True, help="NAS-Bench-Macro as CSV: op0..op7, mean_acc, params, flops"
    )
    parser.add_argument("--only", nargs="*", help="names of tables; all if not given")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path("predictor_pretraining.jsonl"), help="measured so far")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tables = {n: t for n, t in benchmarks(arguments.table).items() if not arguments.only or n in arguments.only}
    lines = measure_all(tables, arguments.seeds, arguments.results)
    draw(lines, list(tables))
    parts = [
        f"Kendall tau on all unseen rows, mean of {arguments.seeds} seeds.",
        against_best_peer(lines, [table for table in tables if methods_of(table) == list(METHODS)]),
        f"![Kendall tau against records]({FIGURE.name})",
        "All methods, Kendall tau and (second) Spearman against training records, mean ± deviation over seeds; the "
        "best peer in italics, what is better than it in bold:",
        *(details(lines, table) for table in tables),
        "### Share of unseen accuracies inside 1 / 2 deviations",
        calibration(lines, list(tables)),
    ]
    write_found(__file__, "\n\n".join(parts))
