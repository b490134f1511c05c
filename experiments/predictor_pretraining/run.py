"""python -m experiments.predictor_pretraining.run --table nasbench_macro_cifar10.csv"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from experiments.predictor_pretraining.benchmarks import Benchmark, benchmarks
from experiments.predictor_pretraining.measuring import ASKED, Results
from experiments.predictor_pretraining.methods import DRAWN, OURS, PARTS, VARIANTS
from experiments.predictor_pretraining.peers import PEERS
from experiments.tables import markdown_table, write_found

SIZES = (48, 96, 192, 400)
METHODS = {**OURS, **PEERS}
FIGURE = Path(__file__).with_name("rank_correlation.png")
COLUMNS = 3  # of panels
CHOOSING_SIZES, CHOOSING_SEEDS = (48, 192), 2
DRAWS = 10  # of the records on which the blend is compared with its parts
CHOOSING = {  # the table of each family by which settings are chosen
    "NAS-Bench-Macro": "nasbench_macro, ordered",
    "NAS-Bench-201": "nasbench_201 imagenet",
    "FCNet": "protein_structure",
    "HPOBench-MLP": "segment",
}
WITH_DEVIATIONS = ("default", "paper", "GP", "SingleTaskGP")
Tables = dict[str, dict[str, Callable[[], Benchmark]]]


def measure_all(tables: Tables, results: Results, sizes: Sequence[int], seeds: int) -> None:
    """The shipped predictors and their peers on all tables, seed by seed, so that a study that is stopped has all."""
    for seed in range(seeds):
        for family in tables.values():
            for load in family.values():
                results.add(METHODS, load(), sizes, seed)


def measure_variants(tables: Tables, results: Results) -> None:
    """One thing changed at a time, on one table of each family."""
    for seed in range(CHOOSING_SEEDS):
        for family, loads in tables.items():
            table = loads[CHOOSING[family]]()
            for thing, choices in VARIANTS.items():
                methods = {
                    ("default" if choice == next(iter(choices)) else f"{thing}: {choice}"): m
                    for choice, m in choices.items()
                }
                results.add(methods, table, CHOOSING_SIZES, seed)


def measure_parts(tables: Tables, results: Results, sizes: Sequence[int]) -> None:
    """The blend and its parts on many draws of the records, all from one pretraining."""
    for family in tables.values():
        for load in family.values():
            table = load()
            for seed in range(DRAWS):
                results.add(PARTS, table, sizes, seed)


def values(results: Results, key: str, table: str, method: str) -> list[np.ndarray]:
    """For each number of records one value for each seed that was measured of all methods."""
    return [results.of(key, method, table, size, beside=METHODS) for size in SIZES]


def means(results: Results, table: str, method: str) -> np.ndarray:
    """Kendall's tau, mean over seeds, for each number of records; nan where nothing was measured."""
    return np.array([v.mean() if len(v) else np.nan for v in values(results, "kendall_tau", table, method)])


def against_best_peer(results: Results, tables: Iterable[str]) -> str:
    """The default's Kendall tau beside the best peer's, a row per table; and how often it is ahead."""
    rows, ahead, cases = [], 0, 0
    for table in tables:
        ours, peers = means(results, table, "default"), {name: means(results, table, name) for name in PEERS}
        cells = []
        for i, value in enumerate(ours):
            best = max(peers, key=lambda name, i=i: np.nan_to_num(peers[name][i]))
            if np.isnan(value):
                cells.append("")
                continue
            cases, ahead = cases + 1, ahead + (value > peers[best][i])
            text = f"**{value:.3f}**" if value > peers[best][i] else f"{value:.3f}"
            cells.append(f"{text} / {peers[best][i]:.3f} {best}")
        rows.append([table, *cells])
    title = f"The default is ahead of every peer (bold) in {ahead} of {cases} cases of a table and a number of records."
    return f"{title}\n\n{markdown_table(['default / best peer', *map(str, SIZES)], rows)}"


def details(results: Results, table: str) -> str:
    """Kendall tau of every method on a table, mean and deviation over seeds, folded up."""
    rows = []
    for name in METHODS:
        found = values(results, "kendall_tau", table, name)
        rows.append([name, *(f"{v.mean():.3f} ± {v.std():.3f}" if len(v) else "" for v in found)])
    rows.append(["*seeds*", *(len(v) for v in values(results, "kendall_tau", table, "default"))])
    return folded(table, markdown_table(["", *map(str, SIZES)], rows))


def folded(title: str, text: str) -> str:
    """A text that is shown when its title is clicked."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def calibration(results: Results, tables: Iterable[str]) -> str:
    """Share of unseen accuracies inside 1 and 2 deviations, a row for each table and method."""
    rows = []
    for table in tables:
        for name in WITH_DEVIATIONS:
            inside = values(results, "inside", table, name)
            rows.append([table, name, *("{:.2f} / {:.2f}".format(*v.mean(axis=0)) if len(v) else "" for v in inside)])
    return markdown_table(["table", "", *map(str, SIZES)], rows)


def blend_and_parts(results: Results, tables: Iterable[str]) -> str:
    """The blend's Kendall tau, mean over draws, how far it is ahead of the better of its parts, and what its deviations
    hold, of all rows and of the best predicted; a row per table."""
    rows = []
    for table in tables:
        cells = [_blend_and_parts(results, table, size) for size in SIZES]
        if any(cells):
            rows.append([table, *cells])
    what = "blend (ahead of the better part ± standard error; inside 1 / 2; the same of the best predicted hundredth)"
    return markdown_table([what, *map(str, SIZES)], rows)


def _blend_and_parts(results: Results, table: str, size: int) -> str:
    blend, *parts = (results.of("kendall_tau", name, table, size, beside=PARTS) for name in PARTS)
    if len(blend) < DRAWS:
        return ""
    better = max(parts, key=np.mean)
    ahead = blend - better
    inside, of_best = (
        results.of(key, DRAWN.format("default"), table, size).mean(axis=0) for key in ("inside", "inside_of_best")
    )
    error = ahead.std(ddof=1) / len(ahead) ** 0.5
    whose = "networks" if better is parts[0] else "processes"
    held = f"{inside[0]:.2f} / {inside[1]:.2f}; {of_best[0]:.2f} / {of_best[1]:.2f}"
    return f"{blend.mean():.3f} ({ahead.mean():+.3f} ± {error:.3f} {whose}; {held})"


def chosen_without(results: Results, tables: Iterable[str]) -> str:
    """What each choice of a thing reaches on one table of each family that was measured whole, and what the other
    families would have chosen for it."""
    parts = []
    for thing, choices in VARIANTS.items():
        names = {choice: "default" if i == 0 else f"{thing}: {choice}" for i, choice in enumerate(choices)}
        reached = {table: [_reached(results, table, name) for name in names.values()] for table in tables}
        reached = {table: values for table, values in reached.items() if not np.isnan(values).any()}
        if len(reached) < 2:
            continue
        rows = [[choice, *(f"{v[i]:.3f}" for v in reached.values())] for i, choice in enumerate(names)]
        others = [np.mean([v for other, v in reached.items() if other != table], axis=0) for table in reached]
        rows.append(["*chosen by the other families*", *(list(names)[np.argmax(values)] for values in others)])
        parts.append(f"**{thing}**\n\n{markdown_table(['', *reached], rows)}")
    return "\n\n".join(parts)


def _reached(results: Results, table: str, method: str) -> float:
    found = [results.of("kendall_tau", method, table, size)[:CHOOSING_SEEDS] for size in CHOOSING_SIZES]
    return float(np.concatenate(found).mean()) if all(map(len, found)) else float("nan")


def draw(results: Results, tables: list[str]) -> None:
    """Kendall tau against records, a panel per table."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rows = -(-len(tables) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(3.6 * COLUMNS, 3 * rows), squeeze=False, layout="constrained")
    for axis, table in zip(axes.flat, tables, strict=False):
        for i, name in enumerate(METHODS):
            style = {"linestyle": ":" if name in PEERS else "-", "linewidth": 2.5 if name == "default" else 1.2}
            axis.plot(SIZES, means(results, table, name), label=name, color=f"C{i}", **style)
        axis.set(title=table, xscale="log", xticks=SIZES, xticklabels=SIZES)
        axis.minorticks_off()
    axes[-1, 0].set(xlabel="records", ylabel="Kendall tau, unseen rows")
    for axis in axes.flat[len(tables) :]:
        axis.axis("off")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right", fontsize=9)
    figure.savefig(FIGURE, dpi=70)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--table", type=Path, required=True, help="NAS-Bench-Macro as CSV: op0..op7, mean_acc, params, flops"
    )
    parser.add_argument("--only", nargs="*", help="names of tables; all if not given")
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES, choices=SIZES, help="numbers of records")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("predictor_pretraining.jsonl"), help="measured so far")
    parser.add_argument("--part", choices=("all", "variants", "tables", "parts", "write"), default="all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    families = benchmarks(arguments.table)
    only = arguments.only or [table for tables in families.values() for table in tables]
    shown = {family: {n: t for n, t in tables.items() if n in only} for family, tables in families.items()}
    results = Results(arguments.results)
    if arguments.part in ("all", "variants"):
        measure_variants({family: tables for family, tables in shown.items() if CHOOSING[family] in tables}, results)
    if arguments.part in ("all", "tables"):
        measure_all(shown, results, arguments.sizes, arguments.seeds)
    if arguments.part in ("all", "parts"):
        measure_parts(shown, results, arguments.sizes)
    if arguments.part in ("all", "write"):
        names = [name for tables in shown.values() for name in tables]
        draw(results, names)
        parts = [
            f"Kendall tau on {ASKED:,} unseen rows, mean of the seeds that were measured of all methods.",
            against_best_peer(results, names),
            f"![Kendall tau against records]({FIGURE.name})",
            *(details(results, name) for name in names),
            folded("share of unseen accuracies inside 1 / 2 deviations", calibration(results, names)),
        ]
        title = f"Kendall tau, mean of {DRAWS} draws of the records after one pretraining."
        parts += ["### The blend beside its parts", title, blend_and_parts(results, names)]
        variants = chosen_without(results, CHOOSING.values())
        if variants:
            counts = " and ".join(map(str, CHOOSING_SIZES))
            title = f"Kendall tau, mean of {counts} records and up to {CHOOSING_SEEDS} seeds."
            parts += ["### One thing changed at a time", title, variants]
        write_found(__file__, "\n\n".join(parts))
