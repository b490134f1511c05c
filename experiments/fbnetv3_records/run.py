"""python -m experiments.fbnetv3_records.run"""

import csv
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from experiments.tables import markdown_table, write_found
from nars.costs.table import cell
from nars.records import Ledger, Record
from nars.reporting.facts.describe import architecture_strip, recipe_line
from nars.study.ledgers import ledger_file

HERE = Path(__file__).parent
BATCH = 10  # candidates of a round, trained side by side
EPOCHS, EPOCH_IMAGES, VAL_IMAGES = 8, 12_000, 2_000
USAGE = HERE / "gpu.csv"  # every 15 s; `looking`: whether cuDNN looked for its fastest algorithms


def accuracy_of(record: Record) -> float:
    """After the last epoch."""
    return record.accuracies[-1]


def training_rows(records: Sequence[Record]) -> list[list]:
    """A row per training, the best first."""
    rows = []
    for number, record in enumerate(records):
        curve = [f"{record.accuracies[epoch - 1]:.4f}" for epoch in (EPOCHS, 6, 4)]
        costs = [cell(record.costs, name) for name in ("macs", "params")]
        words = [architecture_strip(record.architecture).replace("|", "/"), recipe_line(record.recipe)]
        rows.append([*curve, number // BATCH + 1, *costs, *words, f"{record.seconds:.0f}"])
    return sorted(rows, reverse=True)


def fact_rows(records: Sequence[Record]) -> list[list]:
    """Rank correlation of the accuracy with what architectures and recipes are, the clearest first."""
    facts = {name: [record.costs[name] for record in records] for name in ("macs", "params")}
    facts["resolution"] = [record.architecture["resolution"] for record in records]
    facts["blocks"] = [sum(stage["depth"] for stage in record.architecture["stages"]) for record in records]
    for key in records[0].recipe:
        facts[key] = [record.recipe[key] == "sgd" if key == "optimizer" else record.recipe[key] for record in records]
    found = {name: kendalltau(values, list(map(accuracy_of, records))) for name, values in facts.items()}
    names = {"macs": "MACs", "params": "parameters", "optimizer": "optimizer is SGD"}
    ordered = sorted(found.items(), key=lambda item: item[1].pvalue)
    return [[names.get(name, name), f"{tau.statistic:.2f}", f"{tau.pvalue:.3f}"] for name, tau in ordered]


def group_rows(records: Sequence[Record]) -> list[list]:
    """Accuracies by optimizer, with and without the average of the weights, the best first."""
    groups: dict[tuple[str, bool], list[float]] = {}
    for record in records:
        groups.setdefault((record.recipe["optimizer"], record.recipe["ema"]), []).append(accuracy_of(record))
    rows = []
    for (optimizer, ema), found in groups.items():
        spread = f"{min(found):.4f} to {max(found):.4f}"
        rows.append([f"{np.mean(found):.4f}", spread, len(found), optimizer, "EMA" if ema else "no EMA"])
    return sorted(rows, reverse=True)


def round_rows(records: Sequence[Record]) -> list[list]:
    """How long the trainings of a round took, and how many images they trained on in a second, all together."""
    rows = []
    for first in range(0, len(records), BATCH):
        mine = records[first : first + BATCH]
        began = min(record.started for record in mine)
        ended = max(record.started + timedelta(seconds=record.seconds) for record in mine)
        wall, seconds = (ended - began).total_seconds(), [record.seconds for record in mine]
        images = sum(record.epochs for record in mine) * EPOCH_IMAGES
        spread = f"{min(seconds):.0f} to {max(seconds):.0f}"
        rows.append([first // BATCH + 1, f"{wall:.0f}", spread, f"{images / wall:,.0f}"])
    return rows


def usage_rows() -> list[list]:
    """What the GPU did in each round after the first epochs, while no training had ended."""
    with USAGE.open() as file:
        lines = [{key: float(value) for key, value in line.items()} for line in csv.DictReader(file)]
    rounds: dict[tuple, list[tuple]] = {}
    for before, after in pairwise(lines):
        all_train = before["recorded"] == after["recorded"] and before["recorded"] % BATCH == 0
        if all_train and before["epochs"] - EPOCHS * before["recorded"] >= BATCH - 1:
            rounds.setdefault((before["recorded"] // BATCH + 1, before["looking"]), []).append((before, after))
    rows = []
    for (number, looking), pairs in rounds.items():
        epochs, seconds = (sum(after[key] - before[key] for before, after in pairs) for key in ("epochs", "seconds"))
        busy, memory, watts = (
            np.median([after[key] for _, after in pairs]) for key in ("utilization_percent", "memory_mib", "watts")
        )
        rate = f"{epochs / seconds * EPOCH_IMAGES:,.0f}"
        looks = "yes" if looking else "no"
        rows.append(
            [f"{number:.0f}", looks, f"{seconds:.0f}", rate, f"{busy:.0f}", f"{memory / 1024:.1f}", f"{watts:.0f}"]
        )
    return rows


def main() -> None:
    """The tables."""
    records = list(Ledger(ledger_file(str(HERE))))
    accuracies = np.array(list(map(accuracy_of, records)))
    drawn = np.sqrt(np.mean(accuracies * (1 - accuracies)) / VAL_IMAGES)
    words = (
        f"{len(records)} trainings of {EPOCHS} epochs, one seed. Standard deviation of their accuracies: "
        f"{accuracies.std(ddof=1):.4f}; of one accuracy, if the {VAL_IMAGES:,} images were drawn again: {drawn:.4f}, "
        "to which the seed adds."
    )
    header = ["epoch 8", "epoch 6", "epoch 4", "round", "MACs", "params", "stages (width x depth)", "recipe", "s"]
    rounds = ["round", "s", "s of each training", "images per second, all together"]
    usage = ["round", "cuDNN looks", "s", "images per second, all together", "GPU busy, %", "GiB", "W"]
    parts = [
        words,
        markdown_table(header, training_rows(records)),
        "### What goes with accuracy: Kendall tau over all, and how often chance gives one so far from 0",
        markdown_table(["", "tau", "p"], fact_rows(records)),
        markdown_table(["mean accuracy", "range", "trainings", "optimizer", ""], group_rows(records)),
        "### Ten trainings side by side on one GPU",
        markdown_table(rounds, round_rows(records)),
        "After the first epochs of a round, while all ten train (medians of what was read every 15 s):",
        markdown_table(usage, usage_rows()),
    ]
    write_found(__file__, "\n\n".join(parts))


if __name__ == "__main__":
    main()
