"""How far an answer can be trusted, in plain sentences."""

import numpy as np

from nars.costs.constraint import COSTS, Constraint
from nars.reporting.study import Run
from nars.reporting.summary import Agreement, SearchSummary
from nars.settings import WindowSettings, parse

FEW = 20  # below so many held-out candidates a rank correlation says little


def trust_sentences(run: Run) -> list[str]:
    """What was trained and reused, what the predicted accuracy is, how well the predictor ranked, what to mind."""
    summary = run.summary
    data = summary.settings["data"]["name"]
    sentences = []
    if summary.work is not None:
        work = summary.work
        sentences.append(
            f"Trained {work.trained} candidates on {data} ({work.training_seconds:.0f} s of training) and reused "
            f"{work.reused} from the ledger" + (f"; {work.diverged} diverged." if work.diverged else ".")
        )
        if work.failed:
            total = sum(len(r.candidates) for r in summary.rounds)
            sentences.append(
                f"{work.failed} of {total} trainings failed and count for nothing; the first: {work.failure}. "
                "The same command tries them again."
            )
    ranking = _ranking(summary.held_out_ranking)
    sentences.append(
        f"The predicted accuracy is the one after epoch {summary.early_stop.epoch} of this protocol. {ranking}"
    )
    outside = _outside_the_window(run)
    return [*sentences, *([outside] if outside else [])]


def _ranking(agreement: Agreement) -> str:
    n, tau = agreement.candidates, agreement.kendall_tau
    if tau is None and n == 0:
        return "No candidate was predicted before it was trained, so nothing is known of the predictor's ranking."
    if tau is None:
        return f"Its ranking of {n} candidates before they were trained has no defined Kendall tau."
    few = "; so few say little: take the answer as a first guess." if n < FEW else "."
    return f"It ranked {n} candidates before they were trained with Kendall tau {tau:.2f} (1 perfect, 0 chance){few}"


def window_of(summary: SearchSummary) -> Constraint:
    """Between which costs candidates were trained."""
    return Constraint.of(parse(WindowSettings, summary.settings["strategy"]["window"], where="strategy.window"))


def _outside_the_window(run: Run) -> str | None:
    window = window_of(run.summary)
    outside = [
        rank
        for rank, answer in enumerate(run.answers, start=1)
        if not window.feasible(np.array([[answer[cost] for cost in COSTS]]))[0]
    ]
    if not outside:
        return None
    which = "The best pair lies" if 1 in outside else f"{len(outside)} of the {len(run.answers)} pairs lie"
    return f"{which} outside the costs of the trained candidates ({window.label}): extrapolated, trust it less."
