"""How far an answer can be trusted, in plain sentences."""

import math

from nars.costs.constraint import Constraint
from nars.reporting.facts.describe import counted, duration
from nars.reporting.facts.supernets import supernet_sentences
from nars.search.tau_interval import kendall_interval
from nars.study.answers import Run
from nars.study.summary import Agreement, LedgerSummary, SearchSummary, Work

FEW = 20  # below so many held-out candidates a rank correlation says little


def trust_sentences(run: Run) -> list[str]:
    """What was trained and reused, what the predicted accuracy is, how well the predictor ranked, what to mind."""
    sentences = [_work(run.summary), _failures(run.summary), *prediction_sentences(run.summary), outside_sentence(run)]
    sentences.append(latency_sentence(run.summary))
    return [sentence for sentence in sentences if sentence is not None]


def prediction_sentences(summary: SearchSummary) -> list[str]:
    """What the predicted accuracy is, and how well the predictor ranked: the same for all runs that share rounds."""
    epoch = summary.early_stop.epoch
    if summary.in_supernet:
        return supernet_sentences(summary)
    if summary.ledger is not None:
        return [
            f"The predicted accuracy is the one after epoch {epoch}, which nine in ten of these trainings reach.",
            _cross_validated(summary.held_out_ranking),
        ]
    return [
        f"The predicted accuracy is the one after epoch {epoch} of this protocol.",
        _ranking(summary.held_out_ranking),
    ]


def _work(summary: SearchSummary) -> str | None:
    work = summary.work
    if work is None:
        return None
    if summary.ledger is not None:
        return _answered(summary.ledger, work)
    data = summary.settings["data"]["name"]
    diverged = f" {work.diverged} diverged." if work.diverged else ""
    return (
        f"Trained {counted(work.trained, 'candidate')} on {data} ({duration(work.training_seconds)} of training) and "
        f"reused {work.reused} from the ledger.{diverged}"
    )


def _answered(ledger: LedgerSummary, work: Work) -> str:
    diverged = f", of which {work.diverged} diverged and count 0" if work.diverged else ""
    left_out = f" Left out: {', '.join(ledger.left_out)}." if ledger.left_out else ""
    source = f"{ledger.records} records of {ledger.file} ({ledger.data}){diverged}"
    return f"Answered from {source}: nothing was trained.{left_out}"


def _failures(summary: SearchSummary) -> str | None:
    work = summary.work
    if work is None or not work.failed:
        return None
    keys = {c.key for r in summary.rounds for c in r.candidates}
    if summary.confirmation is not None:
        keys |= summary.confirmation.keys
    total = len(keys)
    return (
        f"{work.failed} of {total} trainings failed and count for nothing; the first: {work.failure}. "
        "The same command tries them again."
    )


def _ranking(agreement: Agreement) -> str:
    n, tau = agreement.candidates, agreement.kendall_tau
    if tau is None and n == 0:
        return "No candidate was predicted before it was trained, so nothing is known of the predictor's ranking."
    if tau is None:
        return f"Its ranking of {n} candidates before they were trained has no defined Kendall tau."
    return f"It ranked {n} candidates before they were trained with {_tau(agreement)}"


def _cross_validated(agreement: Agreement) -> str:
    n = agreement.candidates
    if agreement.kendall_tau is None:
        return f"Cross-validated on {n} records, its ranking has no defined Kendall tau."
    return f"Cross-validated on {n} records, it ranked those that it had not seen with {_tau(agreement)}"


def _tau(agreement: Agreement) -> str:
    """Ends the sentence, with the interval of the true value; beneath two standard deviations of what chance gives
    (Kendall 1938), with a warning."""
    n, tau = agreement.candidates, agreement.kendall_tau
    doubt = ""
    if n < FEW:
        doubt = "; so few say little: take the answer as a first guess"
    elif tau < 2 * math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1))):
        doubt = "; that may be chance: take the answer as a first guess"
    low, high = (round(end, 2) + 0.0 for end in kendall_interval(tau, n))  # no -0.00
    return f"Kendall tau {tau:.2f} (1 perfect, 0 chance; 95 % interval {low:.2f} to {high:.2f}){doubt}."


def latency_sentence(summary: SearchSummary) -> str | None:
    """Whose latency was a cost, and how far its sums and predictions are to be trusted; None if none was."""
    known = summary.latency
    if known is None:
        return None
    words = f"Latency is that of {known.device}, summed over blocks"
    if known.sum_error is not None:
        words += f", which predicts whole networks with a mean error of {known.sum_error:.1%}"
    if known.predicted:
        words += (
            f"; {known.predicted:,} of the {known.blocks:,} blocks were not measured but predicted, with a mean error "
            f"of {known.prediction_error:.1%}"
        )
    return f"{words}."


def outside_sentence(run: Run) -> str | None:
    """Which answers lie outside the costs of the trained candidates; None if none does, or there were none."""
    if run.summary.in_supernet:
        return None
    window = Constraint.of(run.summary.window)
    outside = [rank for rank, answer in enumerate(run.answers, start=1) if not window.kept_by(answer["costs"])]
    if not outside:
        return None
    which = "The best pair lies" if 1 in outside else f"{len(outside)} of the {len(run.answers)} pairs lie"
    return f"{which} outside the costs of the trained candidates ({window.label}): extrapolated, trust it less."
