"""python -m experiments.early_stop.run"""

import argparse
from collections.abc import Callable

import numpy as np

from experiments.ledgers import SHIPPED, opened
from experiments.tables import markdown_table, write_found
from nars.search.early_stop import correlation_by_epoch, early_stop, kendall_tau

BATCHES = (4, 8, 12, 16, 24, 32, 48)
CORRELATION = 0.92  # paper


def ours(curves: np.ndarray) -> int:
    """The epoch from which on the ranking stays that of the end, whatever the number of candidates."""
    return early_stop(curves, CORRELATION, fewest=2, noise_level=0.0).epoch


def first(curves: np.ndarray) -> int:
    """The first epoch whose ranking agrees with the end (paper, recalled)."""
    correlations = correlation_by_epoch(curves)
    agree = [epoch for epoch, c in enumerate(correlations, start=1) if c is not None and c >= CORRELATION]
    return agree[0] if agree else curves.shape[1]


RULES = {"from which on it agrees (ours)": ours, "first that agrees (paper)": first}


def measure(curves: np.ndarray, batch: int, rule: Callable[[np.ndarray], int], draws: int) -> list[float]:
    """Means over random first batches: the epoch where later trainings stop, the share of their time that is saved, and
    of the candidates (n, epochs) that are not in the batch the rank correlation of then with the end, and how much
    worse than the best the one is that looks best then."""
    rng, epochs = np.random.default_rng(0), curves.shape[1]
    found = []
    for _ in range(draws):
        order = rng.permutation(len(curves))
        stop, others = rule(curves[order[:batch]]), curves[order[batch:]]
        then, end = others[:, stop - 1], others[:, -1]
        tau = kendall_tau(then, end)
        found.append([stop, 1 - stop / epochs, np.nan if tau is None else tau, end.max() - end[then.argmax()]])
    return list(np.nanmean(found, axis=0))


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", default=SHIPPED, help="a ledger or the folder of a study")
    parser.add_argument("--draws", type=int, default=300)
    arguments = parser.parse_args()
    _, known = opened(arguments.records)
    seed = known.records[0].seed
    full = [r for r in known.records if r.status == "finished" and r.seed == seed and r.known_epochs >= known.epoch]
    curves = np.array([record.accuracies[: known.epoch] for record in full])
    rows = []
    for batch in (n for n in BATCHES if n <= len(curves) // 2):
        for name, rule in RULES.items():
            stop, saved, tau, loss = measure(curves, batch, rule, arguments.draws)
            rows.append([batch, name, f"{stop:.2f}", f"{100 * saved:.0f} %", f"{tau:.2f}", f"{100 * loss:.2f}"])
    by_epoch = [f"{kendall_tau(curves[:, epoch], curves[:, -1]):.2f}" for epoch in range(curves.shape[1])]
    header = ["first batch", "epoch", "mean", "time saved", "tau with the end", "points lost by the best"]
    words = (
        f"{len(curves)} trainings of {known.epoch} epochs; tau of all with the end, by epoch: {', '.join(by_epoch)}."
    )
    write_found(__file__, f"{words}\n\n{markdown_table(header, rows)}")


if __name__ == "__main__":
    main()
