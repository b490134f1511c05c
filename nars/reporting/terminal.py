"""The words and tables of the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from nars.costs.constraint import short_number
from nars.search.rounds import History, Round, predicted_against_measured, rank_agreement

FEW = 20  # below so many held-out candidates a rank correlation says little


def architecture_strip(architecture: dict) -> str:
    """One line: resolution, stem, and width x depth of each stage; other spaces' choices as key=value."""
    if "stages" not in architecture:
        return " ".join(f"{key}={value}" for key, value in architecture.items())
    stages = " ".join(f"{s['width']}x{s['depth']}" for s in architecture["stages"])
    return f"{architecture['resolution']}px {architecture['stem_width']} | {stages}"


def recipe_line(recipe: dict) -> str:
    """One line: the recipe's values in short."""
    short = {"stochastic_depth": "depth-drop", "weight_decay": "wd"}
    parts = []
    for key, value in recipe.items():
        if key == "optimizer":
            parts.insert(0, str(value))
        elif isinstance(value, bool):
            parts.append(key if value else f"no {key}")
        else:
            parts.append(f"{short.get(key, key)} {value:g}" if isinstance(value, float) else f"{key} {value}")
    return ", ".join(parts)


def print_round(console: Console, done: Round, history: History) -> None:
    """What a round gave, in one or two lines."""
    trained = [r for r in done.records if r.status != "failed"]
    accuracies = [r.accuracy_at(history.epoch) for r in trained]
    notes = [f"{sum(r.status == status for r in done.records)} {status}" for status in ("diverged", "failed")]
    notes = [note for note in notes if not note.startswith("0 ")]
    console.print(
        f"round {done.number}: {len(trained)} candidates, accuracy after epoch {history.epoch} "
        f"{min(accuracies):.3f} to {max(accuracies):.3f}" + (f" ({', '.join(notes)})" if notes else "")
    )
    pairs = predicted_against_measured(done, history.epoch)
    if pairs:
        agreement = rank_agreement(*map(_column(pairs), (0, 1)))
        console.print(
            f"  predicted before training: Kendall tau {_shown(agreement['kendall_tau'])}, "
            f"mean error {agreement['mean_absolute_error']:.3f}"
        )
    elif history.correlations:
        shown = ", ".join(_shown(c) for c in history.correlations)
        console.print(
            f"  rank correlation with the final accuracy by epoch: {shown} -> later trainings stop at epoch "
            f"{history.epoch}"
        )


def _column(pairs: Sequence[tuple[float, float]]):
    import numpy as np

    return lambda i: np.array([pair[i] for pair in pairs])


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def print_answers(console: Console, answers: Sequence[dict], label: str) -> None:
    """The ranked pairs as a table."""
    table = Table(title=f"Best architecture-recipe pairs with {label}", title_justify="left", expand=False)
    for name, style in (("#", "right"), ("predicted", "right"), ("MACs", "right"), ("params", "right")):
        table.add_column(name, justify=style, no_wrap=True)
    table.add_column("architecture (width x depth of each stage) and recipe", overflow="fold")
    for i, answer in enumerate(answers, start=1):
        table.add_row(
            str(i),
            f"{answer['predicted_accuracy']:.3f} ± {answer['predicted_std']:.3f}",
            short_number(answer["macs"]),
            short_number(answer["params"]),
            architecture_strip(answer["architecture"]) + "\n" + recipe_line(answer["recipe"]),
        )
    console.print(table)


def failures_sentence(history: History) -> str | None:
    """How many trainings failed, the first reason and what to do; None if none did."""
    records = [record for r in history.rounds for record in r.records]
    failed = [record for record in records if record.status == "failed"]
    if not failed:
        return None
    return (
        f"{len(failed)} of {len(records)} trainings failed and count for nothing; the first: {failed[0].reason}. "
        "The same command tries them again."
    )


def trust_sentence(*, trained: int, reused: int, seconds: float, data: str, epoch: int, agreement: dict) -> str:
    """What was trained, what was reused, and how far the answer can be trusted."""
    n, tau = agreement["candidates"], agreement["kendall_tau"]
    work = f"Trained {trained} candidates on {data} ({seconds:.0f} s of training) and reused {reused} from the ledger."
    if tau is None:
        trust = "No candidate was predicted before it was trained, so nothing is known of the predictor's ranking."
        if n:
            trust = f"Its ranking of {n} candidates before they were trained has no defined Kendall tau."
    else:
        trust = f"It ranked {n} candidates before they were trained with Kendall tau {tau:.2f} (1 perfect, 0 chance)"
        trust += "; so few say little: take the answer as a first guess." if n < FEW else "."
    return f"{work} The predicted accuracy is the one after epoch {epoch} of this protocol. {trust}"
