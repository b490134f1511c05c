"""Which way of choosing batches serves all constraints at once? On NAS-Bench-Macro, all 6,561 networks trained."""

from pathlib import Path

import numpy as np

from experiments.predictor_pretraining.benchmarks import OPERATIONS, Benchmark, nasbench_macro
from experiments.predictor_pretraining.methods import Ours, settings_of
from experiments.tables import markdown_table
from nars.search.pool import Pool
from nars.search.strategies import Nars, Random, Strategy
from nars.settings import NarsSettings

BATCH = 24
BUDGETS = (48, 96, 144, 192)
QUANTILES = np.linspace(0.05, 1, 20)
WAYS = {
    "expected improvement, a bin per candidate": {"choose": "expected_improvement"},
    "best predicted, a bin per candidate (paper)": {"choose": "best_per_bin"},
    "expected improvement, one bin": {"choose": "expected_improvement", "cost_bins": 1},
    "best predicted, one bin": {"choose": "best_per_bin", "cost_bins": 1},
    "random": None,
}


def report(path: Path, seeds: int) -> str:
    """Distance in points of accuracy to the best network under a limit, mean over 20 limits and all seeds."""
    table = nasbench_macro(path)
    predictor = Ours(settings_of("default", head="process"))
    rows = []
    for way, choice in WAYS.items():
        gaps = np.mean([_gaps(table, _trained(table, predictor, choice, seed)) for seed in range(seeds)], axis=0)
        rows.append([way, *(f"{100 * gap:.3f}" for gap in gaps)])
    return markdown_table(["", *(f"{budget} trained" for budget in BUDGETS)], rows)


def _trained(table: Benchmark, method: Ours, choice: dict | None, seed: int) -> np.ndarray:
    """Rows in the order in which they were trained."""
    order = np.random.default_rng(seed).permutation(len(table.x))
    points = table.x.reshape(len(table.x), len(OPERATIONS), -1).argmax(axis=2).astype(np.int16)[order]
    pool, accuracies = Pool(points, table.statistics[order, 1]), table.accuracies[order]
    scorer = method.predictor(table, seed)
    strategy: Strategy = Random(pool, seed=seed)
    if choice is not None:
        strategy = Nars(NarsSettings(name="nars", **choice), OPERATIONS, pool, scorer, seed=seed)
    rows = np.empty(0, dtype=int)
    while len(rows) < max(BUDGETS):
        rows = np.concatenate([rows, pool.rows(strategy.choose(BATCH, points[rows], accuracies[rows]))])
        scorer.fit(OPERATIONS.encode(points[rows]), accuracies[rows])
    return order[rows]


def _gaps(table: Benchmark, rows: np.ndarray) -> np.ndarray:
    """For each budget the mean over limits; a limit that nothing trained keeps counts the whole accuracy."""
    macs, gaps = table.statistics[:, 1], []
    for limit in np.quantile(macs, QUANTILES):
        best = table.accuracies[macs <= limit].max()
        gaps.append([best - _best(table, rows[:budget], limit) for budget in BUDGETS])
    return np.mean(gaps, axis=0)


def _best(table: Benchmark, rows: np.ndarray, limit: float) -> float:
    return table.accuracies[rows][table.statistics[rows, 1] <= limit].max(initial=0.0)
