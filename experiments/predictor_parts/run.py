"""python -m experiments.predictor_parts.run"""

import argparse
import json
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from experiments.ledgers import SHIPPED, opened
from experiments.predictor_pretraining.methods import settings_of
from experiments.tables import markdown_table, write_found
from nars.methods.cross_validation import FOLDS, folds_of
from nars.methods.encoder import STATISTICS
from nars.predictor.predictor import Predictor
from nars.problem import Problem
from nars.search.early_stop import kendall_tau
from nars.seeds import Stage, stage_seed

PRETRAIN = {"pool_size": 2000, "epochs": 160, "batch_size": 256, "lr": 5e-3}  # a tenth of the default's steps


def squared_loss(network, x: Tensor, targets: Tensor, taken: Tensor) -> Tensor:
    """`nars.predictor.network.accuracy_loss` with squares for Huber's losses."""
    losses = functional.mse_loss(network(x).T, targets, reduction="none") * taken / 2
    return (losses.sum(dim=0) / taken.sum(dim=0).clamp_min(1)).sum()


@dataclass(frozen=True, kw_only=True)
class Part:
    """A predictor: its settings in conf/predictor with changes, its loss, which halves of a pair it sees."""

    settings: str
    changes: dict = field(default_factory=dict)
    fit: dict = field(default_factory=dict)
    squared: bool = False
    sees: tuple[bool, bool] = (True, True)


NOT_PRETRAINED = {"pretrained": False}
ARCHITECTURE, RECIPE = (True, False), (False, True)
PARTS = {
    "default": Part(settings="default"),
    "default, not pretrained": Part(settings="default", changes=NOT_PRETRAINED),
    "default, architecture alone": Part(settings="default", sees=ARCHITECTURE),
    "default, recipe alone": Part(settings="default", changes=NOT_PRETRAINED, sees=RECIPE),
    "paper": Part(settings="paper"),
    "paper, not pretrained": Part(settings="paper", changes=NOT_PRETRAINED),
    "paper, squared loss": Part(settings="paper", squared=True),
    "paper, one phase": Part(settings="paper", fit={"frozen_epochs": 1, "whole_epochs": 99}),
    "paper, one phase at lr 0.01": Part(
        settings="paper", fit={"frozen_epochs": 1, "whole_epochs": 99, "whole_lr": 0.01}
    ),
    "paper, architecture alone": Part(settings="paper", sees=ARCHITECTURE),
    "paper, recipe alone": Part(settings="paper", changes=NOT_PRETRAINED, sees=RECIPE),
}


def predictor(part: Part, problem: Problem, seed: int) -> tuple[Predictor, np.ndarray]:
    """Pretrained if it is told so; and which columns of encoded points it sees."""
    space, settings = problem.space, settings_of(part.settings, **part.changes, fit=part.fit, pretrain=PRETRAIN)
    halves = (space.architecture.columns, space.recipe.columns)
    architecture, recipe = (columns if seen else () for columns, seen in zip(halves, part.sees, strict=True))
    made = Predictor(
        settings,
        architecture_columns=architecture,
        recipe_columns=recipe,
        statistics=STATISTICS,
        specification=space.specification,
        seed=seed,
    )
    if settings.pretrained:
        points = space.sample(settings.pretrain.pool_size, stage_seed(seed, Stage.PRETRAINING_POOL))
        labels = problem.price(points)[:, [problem.costs.index(name) for name in STATISTICS]]
        made.pretrain(space.architecture.encode(space.split(points)[0]), labels)
    return made, np.repeat(part.sees, [len(columns) for columns in halves])


def measure(part: Part, problem: Problem, points: np.ndarray, accuracies: np.ndarray, seed: int) -> float:
    """Kendall tau of points (n, d), each predicted by a fit to the folds that it is not in."""
    made, columns = predictor(part, problem, seed)
    x = problem.space.encode(points)[:, columns]
    folds, predicted = folds_of(points, accuracies, np.random.default_rng(seed)), np.empty(len(x))
    with patch("nars.predictor.fitting.accuracy_loss", squared_loss) if part.squared else nullcontext():
        for fold in range(FOLDS):
            held = folds == fold
            made.fit(x[~held], accuracies[~held])
            predicted[held] = made.predict(x[held])
    return kendall_tau(predicted, accuracies)


def measure_all(records: str, seeds: int, results: Path) -> tuple[int, dict[tuple[str, int], float]]:
    """Number of records, and the tau of every part and seed; what is in `results` is not measured again."""
    problem, known = opened(records)
    accuracies = np.array([record.accuracy_at(known.epoch) for record in known.records])
    lines = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    taus = {(line["part"], line["seed"]): line["tau"] for line in lines if line["records"] == len(accuracies)}
    for seed in range(seeds):
        for name, part in PARTS.items():
            if (name, seed) not in taus:
                taus[name, seed] = measure(part, problem, known.points, accuracies, seed)
                line = {"part": name, "seed": seed, "records": len(accuracies), "tau": taus[name, seed]}
                with results.open("a") as file:
                    file.write(f"{json.dumps(line)}\n")
    return len(accuracies), taus


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", default=SHIPPED, help="a ledger or the folder of a study")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path("predictor_parts.jsonl"), help="measured so far")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size, taus = measure_all(arguments.records, arguments.seeds, arguments.results)
    rows = []
    for name in PARTS:
        mine = [taus[name, seed] for seed in range(arguments.seeds)]
        rows.append([name, f"{np.mean(mine):.3f}", f"{min(mine):.3f} to {max(mine):.3f}"])
    title = f"{size} records, {FOLDS} folds. Seeds: {arguments.seeds}."
    write_found(__file__, f"{title}\n\n{markdown_table(['', 'Kendall tau, mean', 'least to greatest'], rows)}")
