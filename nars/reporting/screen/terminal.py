"""The words and tables of the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nars.costs.constraint import Constraint
from nars.costs.table import COSTS, cell, in_words, known
from nars.reporting.facts.describe import architecture_strip, counted, differences, duration, limits, recipe_line
from nars.reporting.facts.headline import PAIRS, headline, measured_words, predicted_words
from nars.reporting.facts.measured import with_measurements
from nars.reporting.facts.trust import trust_sentences
from nars.search.early_stop import EarlyStop
from nars.search.rounds import History, Round, predicted_against_measured, rank_agreement
from nars.shell import command, override
from nars.study.answers import Run
from nars.study.folder import read_study
from nars.study.next_step import train_command

if TYPE_CHECKING:
    from nars.methods.dry_run import Plan  # imports torch

ROWS = 5  # answers shown; the report has all of them


def print_passed_over(console: Console, passed_over: str) -> None:
    """What lies among the images and is none, in one line; nothing if there is nothing."""
    if passed_over:
        console.print(passed_over, soft_wrap=True)


def print_round(console: Console, done: Round, history: History, constraint: Constraint) -> None:
    """What a round gave, in one or two lines; its best within the limits of the search."""
    trained = [r for r in done.records if r.status != "failed"]
    accuracies = [r.accuracy_at(history.epoch) for r in trained]
    notes = [f"{sum(r.status == status for r in done.records)} {status}" for status in ("diverged", "failed")]
    notes = [note for note in notes if not note.startswith("0 ")]
    console.print(
        f"round {done.number}: {_gave(accuracies, history.epoch)}" + (f" ({', '.join(notes)})" if notes else "")
    )
    if accuracies and constraint.label != "none":
        kept = [a for a, record in zip(accuracies, trained, strict=True) if constraint.kept_by(record.costs)]
        best = f"best {max(kept):.3f} of {len(kept)}" if kept else "no candidate"
        console.print(f"  {best} {limits(constraint.label)}")
    pairs = predicted_against_measured(done)
    if pairs:
        agreement = rank_agreement(*map(_column(pairs), (0, 1)))
        tau = f"Kendall tau {_shown(agreement['kendall_tau'])}, " if len(pairs) > 1 else ""
        console.print(f"  predicted before training: {tau}mean error {agreement['mean_absolute_error']:.3f}")
    if done.number == history.early_stop.round:
        _print_early_stop(console, history.early_stop)


def _gave(accuracies: Sequence[float], epoch: int) -> str:
    if not accuracies:
        return "no candidate was trained"
    reached = " to ".join(dict.fromkeys(f"{accuracy:.3f}" for accuracy in (min(accuracies), max(accuracies))))
    return f"{counted(len(accuracies), 'candidate')}, accuracy after epoch {epoch} {reached}"


def _print_early_stop(console: Console, stop: EarlyStop) -> None:
    """Where later trainings stop, or why they run to the end."""
    if stop.correlations:
        shown = ", ".join(map(_shown, stop.correlations))
        console.print(f"  rank correlation with the final accuracy by epoch: {shown}")
    if stop.why_not is None:
        console.print(f"  later trainings stop at epoch {stop.epoch}")
    else:
        console.print(f"  later trainings run to the end: {stop.why_not}")


def _column(pairs: Sequence[tuple[float, float]]):
    import numpy as np

    return lambda i: np.array([pair[i] for pair in pairs])


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def print_plan(console: Console, plan: "Plan") -> None:
    """What a dry run says: the candidates of the next round, and how long it and the rounds after it would take."""
    console.print(_plan_table(plan))
    if plan.seconds_per_mac is None:
        new = sum(job.key not in plan.known for job in plan.jobs)
        console.print(
            f"{_stage(plan)} would train {counted(new, 'candidate')} for {counted(plan.epochs, 'epoch')} and reuse "
            f"{len(plan.known)}, and the rounds after it {plan.later} more; how long is unknown here: {plan.measured}"
        )
        return
    new = [plan.seconds(job) for job in plan.jobs if job.key not in plan.known]
    lines = [
        f"{_stage(plan)} would train {counted(len(new), 'candidate')} for {counted(plan.epochs, 'epoch')} and reuse "
        f"{len(plan.known)}: {duration(sum(new))} of training ({plan.measured})."
    ]
    stages = [(sum(new), len(new))]
    if plan.later:
        later = plan.later * sum(new) / len(new)
        stages.append((later, plan.batch))
        lines.append(f"The rounds after it would train {plan.later} more: at most {duration(later)}.")
    if plan.number is not None:
        pairs = plan.confirm.pairs or PAIRS
        trainings, seconds = plan.confirmation(pairs)
        takes = f"{trainings} trainings at most, {duration(seconds)}"
        if plan.confirm.pairs:
            lines.append(f"Then the answer is confirmed (confirm.pairs={pairs}): {takes}.")
            stages.append((seconds, trainings))
        else:
            lines.append(f"The answer is not confirmed: confirm.pairs={pairs} would take {takes}.")
    if plan.workers:
        most = min(plan.workers, max(trainings for _, trainings in stages))
        takes = duration(plan.wall_seconds(*stages))
        lines.append(f"With {most} at a time at most (executor.workers={plan.workers}) all that takes about {takes}.")
    console.print(" ".join(lines))


def _plan_table(plan: "Plan") -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    costs = known(*(job.costs for job in plan.jobs))
    for name in ("candidate", *(COSTS[name].label for name in costs), "training"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stages (width x depth) and recipe")
    for job in plan.jobs:
        words = Text(architecture_strip(job.architecture) + "\n" + recipe_line(job.recipe))
        unknown = "unknown here" if plan.seconds_per_mac is None else None
        takes = "reused" if job.key in plan.known else unknown or duration(plan.seconds(job))
        table.add_row(job.candidate.name, *(cell(job.costs, name) for name in costs), takes, words)
    return table


def _stage(plan: "Plan") -> str:
    return "The confirmation of the answer" if plan.number is None else f"Round {plan.number}"


def print_answer_line(console: Console, run: Run) -> None:
    """The best pair in one line, for one of many searches."""
    best, work = run.answers[0], run.summary.work
    trained = f" (trained {work.trained}, reused {work.reused})" if work else ""
    console.print(
        f"{limits(run.summary.constraint)}: {_accuracy(best)}, {in_words(best['costs'])}"
        f"{trained}: {run.answer_file(1)}",
        soft_wrap=True,
    )


def _accuracy(answer: Mapping) -> str:
    measured = f"measured {measured_words(answer)}, " if "measured_accuracy" in answer else ""
    return f"{measured}predicted {predicted_words(answer)}"


def print_answer(console: Console, run: Run, report: Path) -> None:
    """The last screen: what was found and measured, how far to trust it, files, the next command; at most 25 lines of
    80 columns."""
    study = read_study(run.study)
    console.print(" ".join(headline(run, study)))
    console.print(_answers(with_measurements(run, study)))
    console.print(" ".join(trust_sentences(run)))
    export = command("export.py", "weights=...")
    console.print(f"Report: {report}; once trained, {export} makes ONNX and other files", soft_wrap=True)
    detect = command("detect.py", override("candidate", run.answer_file(1)))
    console.print(f"Train a detector on it: {detect}", soft_wrap=True)
    console.print(f"Train the best pair on: {train_command(run, 1)}", soft_wrap=True)


def _answers(run: Run) -> Table:
    """The best pair in full, the next ones by what they do otherwise."""
    classes = run.answers[0].get("num_classes")  # answers of older versions do not say
    counted = f", {classes:,} classes" if classes else ""
    title = f"Best architecture-recipe pairs {limits(run.summary.constraint)}{counted}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    costs = known(*(answer["costs"] for answer in run.answers))
    measured = ["measured"] if any("measured_accuracy" in answer for answer in run.answers) else []
    for name in ("#", *measured, "predicted", *(COSTS[name].label for name in costs)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stages (width x depth) and recipe, differences", overflow="fold")
    best = run.answers[0]
    for rank, answer in enumerate(run.answers[:ROWS], start=1):
        if rank == 1:
            words = Text(architecture_strip(answer["architecture"]) + "\n" + recipe_line(answer["recipe"]))
        else:
            words = Text(", ".join(differences(answer, best)), no_wrap=True, overflow="ellipsis")
        accuracies = [measured_words(answer).partition(" ")[0] for _ in measured]
        accuracies.append(f"{answer['predicted_accuracy']:.3f}")
        table.add_row(str(rank), *accuracies, *(cell(answer["costs"], name) for name in costs), words)
    return table


def print_encoder_check(console: Console, check: Mapping[str, Mapping[str, float]] | None) -> None:
    """How well a pretrained encoder knows each statistic, `Predictor.check`; nothing where nothing was pretrained."""
    for name, of in (check or {}).items():
        console.print(
            f"  {name}: Kendall tau {of['kendall_tau']:.3f}, mean error {of['mean_relative_error']:.2%} on the 20 % of "
            "architectures held out",
            soft_wrap=True,
        )
