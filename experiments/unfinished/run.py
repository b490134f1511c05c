"""python -m experiments.unfinished.run"""

import argparse

import numpy as np

from experiments.ledgers import SHIPPED, opened
from experiments.predictor_pretraining.methods import settings_of
from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread
from nars.predictor.predictor import Predictor
from nars.problem import Problem
from nars.search.early_stop import kendall_tau

FULL = 24  # trainings to the end: what they cost in epochs is what the other ways may cost, too
START, BATCH, SAMPLES = 8, 4, 256
SHOWN = (24, 48)  # times the median seconds of a training


def process(problem: Problem, seed: int) -> Predictor:
    """A Gaussian process of the features alone."""
    return Predictor(
        settings_of("default", head="process", pretrained=False),
        architecture_columns=problem.space.architecture.columns,
        recipe_columns=problem.space.recipe.columns,
        statistics=(),
        specification=problem.space.specification,
        seed=seed,
    )


def ranked(problem: Problem, x: np.ndarray, curves: np.ndarray, seed: int) -> dict[str, float]:
    """Kendall tau of predictions with the end of the trainings that are in no way's share, by way."""
    order, half = np.random.default_rng(seed).permutation(len(x)), curves.shape[1] // 2
    then, end = curves[:, half - 1], curves[:, -1]
    held = order[2 * FULL :]

    def mixed(full: int, halves: int) -> tuple[np.ndarray, np.ndarray]:
        """The first ones to the end, the next to half, where a line through the former says how they would have
        ended."""
        rows = order[: full + halves]
        guessed = np.polyval(np.polyfit(then[rows[:full]], end[rows[:full]], 1), then[rows])
        return rows, np.where(np.arange(len(rows)) < full, end[rows], guessed)

    two_thirds = 2 * FULL // 3
    ways = {
        f"{FULL} to the end": mixed(FULL, 0),
        f"{two_thirds} to the end, {2 * (FULL - two_thirds)} to half": mixed(two_thirds, 2 * (FULL - two_thirds)),
        f"{2 * FULL} to half, learned as they are": (order[: 2 * FULL], then[order[: 2 * FULL]]),
        f"{FULL} to the end and, for nothing, {FULL} to half": mixed(FULL, FULL),
    }
    found = {}
    for way, (rows, accuracies) in ways.items():
        scorer = process(problem, seed)
        scorer.fit(x[rows], accuracies)
        found[way] = kendall_tau(scorer.predict(x[held]), end[held])
    return found


def searched(problem: Problem, x: np.ndarray, end: np.ndarray, seconds: np.ndarray, price: np.ndarray, seed: int):
    """Best accuracy after `SHOWN` times the median seconds, of a search that takes the greatest expected improvement
    for its `price` (n,)."""
    rows = np.random.default_rng(seed).permutation(len(x))[:START]
    limits = np.array(SHOWN) * np.median(seconds)
    while seconds[rows].sum() < limits.max() and len(rows) < len(x):
        scorer = process(problem, seed)
        scorer.fit(x[rows], end[rows])
        gains = scorer.draws(x, SAMPLES, seed=seed + len(rows)) - end[rows].max()
        reached = np.zeros(SAMPLES)
        for _ in range(min(BATCH, len(x) - len(rows))):
            promise = np.maximum(gains - reached[:, None], 0).mean(axis=0) / price
            promise[rows] = -np.inf
            rows = np.append(rows, promise.argmax())
            reached = np.maximum(reached, gains[:, rows[-1]])
    spent = seconds[rows].cumsum()
    return [end[rows[spent <= limit]].max() for limit in limits]


def main() -> None:
    """The tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", default=SHIPPED, help="a ledger or the folder of a study")
    parser.add_argument("--draws", type=int, default=20)
    arguments = parser.parse_args()
    use_one_thread()
    problem, known = opened(arguments.records)
    first = known.records[0].seed
    of = [i for i, r in enumerate(known.records) if r.status == "finished" and r.seed == first]
    x = problem.space.encode(known.points[of])
    curves = np.array([known.records[i].accuracies[: known.epoch] for i in of])
    seconds = np.array([known.records[i].seconds for i in of])

    taus = [ranked(problem, x, curves, seed) for seed in range(arguments.draws)]
    spread = {way: np.std([tau[way] for tau in taus]) for way in taus[0]}
    rows = [[way, f"{np.mean([tau[way] for tau in taus]):.3f}", f"{spread[way]:.3f}"] for way in taus[0]]
    parts = [f"{len(x)} trainings of {curves.shape[1]} epochs; {arguments.draws} draws."]
    parts += [markdown_table(["learned from", "Kendall tau with the end, mean", "deviation over draws"], rows)]

    rows = []
    for way, price in {"improvement": np.ones(len(x)), "improvement a second": seconds}.items():
        best = [searched(problem, x, curves[:, -1], seconds, price, seed) for seed in range(arguments.draws)]
        rows.append([way, *(f"{m:.4f} ({d:.4f})" for m, d in zip(np.mean(best, 0), np.std(best, 0), strict=True))])
    low, middle, high = np.percentile(seconds, (25, 50, 75))
    taken = f"Seconds of a training: median {middle:.0f}, quartiles {low:.0f} and {high:.0f}."
    parts += [f"{taken} Best of all: {curves[:, -1].max():.4f}."]
    header = ["greatest expected", *(f"best accuracy (deviation) after {n} x {middle:.0f} s" for n in SHOWN)]
    write_found(__file__, "\n\n".join([*parts, markdown_table(header, rows)]))


if __name__ == "__main__":
    main()
