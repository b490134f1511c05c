"""Does evolution find the best of all 6,561 networks of NAS-Bench-Macro under a MACs limit, seeing 10 % of them?"""

import csv
from pathlib import Path

import numpy as np

from experiments.tables import markdown_table
from nars.search.evolution import evolve
from nars.settings import EvolutionSettings
from nars.spaces.dimension import Dimension
from nars.spaces.space import Space

LIMITS = (40e6, 50e6, 60e6, 70e6, 80e6)
SPACE = Space("nasbench_macro", [Dimension(name=f"op{i}", choices=("skip", "e3k3", "e6k5")) for i in range(8)])
# Chosen on seeds from 20,000 on. The paper's sizes (100 to start, 24 children of each of 40 survivors) would spend the
# whole budget of 656 points in the first generation.
SETTINGS = EvolutionSettings(
    random=15,
    survivors=10,
    children=4,
    mutations_above=0.15,
    mutations_below=0.15,
    attempts=10,
    patience=60,
    max_evaluated=656,
)


def read_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean accuracy (3,) * 8 in percent and MACs (3,) * 8 of every network."""
    accuracy, macs = np.full((3,) * 8, np.nan), np.full((3,) * 8, np.nan)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            point = tuple(int(row[f"op{i}"]) for i in range(8))
            accuracy[point], macs[point] = float(row["mean_acc"]), float(row["flops"])
    assert np.isfinite(accuracy).all(), f"{path} has not all 6,561 networks"
    return accuracy, macs


def report(path: Path, seeds: int) -> str:
    """The table: for each limit how often the best network was found, and how many were looked at."""
    accuracy, macs = read_table(path)
    rows = []
    for limit in LIMITS:
        best = accuracy[macs <= limit].max()
        runs = [
            evolve(
                lambda points: accuracy[tuple(points.T)],
                lambda points, limit=limit: macs[tuple(points.T)] <= limit,
                SPACE,
                SETTINGS,
                np.random.default_rng(seed),
                np.empty((0, 8)),
            )
            for seed in range(seeds)
        ]
        gaps = best - np.array([run.scores[0] for run in runs])
        looked_at = max(run.evaluated for run in runs)
        rows.append(
            [
                f"{limit / 1e6:.0f}M",
                f"{(macs <= limit).mean():.0%}",
                f"{best:.2f}",
                f"{np.count_nonzero(gaps == 0)} of {seeds}",
                f"{gaps.max():.2f}",
                f"{looked_at} ({looked_at / macs.size:.1%})",
            ]
        )
    header = ["MACs at most", "of the space", "best accuracy, %", "found", "largest gap, points", "looked at, at most"]
    return markdown_table(header, rows)
