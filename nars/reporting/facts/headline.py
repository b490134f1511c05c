"""What a search has found, in the first sentences: measured, predicted, and next to random pairs."""

from collections.abc import Mapping

from nars.costs.table import in_words
from nars.reporting.facts.describe import duration, limits
from nars.reporting.facts.measured import measured_epochs, measurement, training_of, with_measurements
from nars.study.answers import Run
from nars.study.folder import Study

PAIRS = 3  # to confirm, where none are and people are told what it would take


def headline(run: Run, study: Study) -> list[str]:
    """The best measured pair of a finished run within the limit, what was predicted of it, and the best of as many
    random pairs as the search has trained, if a search of the study has trained random ones."""
    answers = with_measurements(run, study).answers
    measured = [answer for answer in answers if "measured_accuracy" in answer]
    if not measured:
        return [_unmeasured(run)]
    best = max(measured, key=lambda answer: answer["measured_accuracy"])
    place = answers.index(best) + 1
    first = "Best measured" if place == 1 else f"Best measured is pair {place}"
    sentences = [
        f"{first} {limits(run.summary.constraint)}: accuracy {measured_words(best)} after epoch "
        f"{best['measured_epochs']}; predicted {predicted_words(best)}."
    ]
    return sentences + [words for words in (_confirmation(run), _random(run, study), _reference(run)) if words]


def predicted_words(answer: Mapping) -> str:
    """The predicted accuracy and how far one standard deviation reaches, between 0 and 1: `0.932 (0.78 to 1.00)`."""
    low, high = predicted_bar(answer["predicted_accuracy"], answer["predicted_std"])
    return f"{min(max(answer['predicted_accuracy'], 0), 1):.3f} ({low:.2f} to {high:.2f})"


def predicted_bar(accuracy: float, std: float) -> tuple[float, float]:
    """One standard deviation below and above a predicted accuracy, between 0 and 1."""
    return min(max(accuracy - std, 0.0), 1.0), max(min(accuracy + std, 1.0), 0.0)


def measured_words(answer: Mapping) -> str:
    """The measured accuracy, with the deviation over its seeds if there are several; `-` if nothing was measured."""
    if "measured_accuracy" not in answer:
        return "-"
    seeds = f" ± {answer['measured_std']:.3f}, {answer['measured_seeds']} seeds" if "measured_std" in answer else ""
    return f"{answer['measured_accuracy']:.3f}{seeds}"


def _unmeasured(run: Run) -> str:
    words = "None of these pairs has been trained yet: accuracies are predictions."
    work = run.summary.work
    if run.summary.ledger is not None or work is None or not work.trained:
        return words
    takes = duration(2 * PAIRS * work.training_seconds / work.trained)
    return f"{words} confirm.pairs={PAIRS} trains the best and ranks them by what is measured (at most {takes})."


def _confirmation(run: Run) -> str | None:
    """How far predictions were off the pairs that were trained after them."""
    pairs = run.summary.confirmation.pairs if run.summary.confirmation else ()
    errors = [
        sum(known) / len(known) - pair.predicted
        for pair in pairs
        if not pair.trained_before and (known := [a for a in pair.accuracies if a is not None])
    ]
    if not errors or run.summary.in_supernet:
        return None
    pairs = "The pair found was" if len(errors) == 1 else f"The {len(errors)} pairs found were"
    return f"{pairs} measured {sum(errors) / len(errors):+.3f} off the prediction on average."


def _reference(run: Run) -> str | None:
    """Next to a known network that was trained in the same way."""
    reference = run.summary.confirmation.reference if run.summary.confirmation else None
    if reference is None:
        return None
    known = [accuracy for accuracy in reference.accuracies if accuracy is not None]
    outside = "" if run.constraint.kept_by(reference.costs) else ", outside the limit"
    named = f"The reference {reference.name} ({in_words(reference.costs)}{outside})"
    if not known:
        return f"{named} could not be trained."
    return f"{named}, trained alike: {measured_words(measurement(known, run.summary.confirmation.epochs))}."


def _random(run: Run, study: Study) -> str | None:
    """Next to as many random pairs: those that a search with strategy=random has trained in the same way."""
    others = [other for other in study.runs if other.summary.settings["strategy"]["name"] == "random"]
    if run.summary.settings["strategy"]["name"] == "random" or not others or run.summary.ledger is not None:
        return None
    seed, training, epochs = run.summary.settings["seed"], training_of(run, study), measured_epochs(run)
    others.sort(key=lambda other: other.summary.settings["seed"] != seed)
    mine = {c.key for r in run.summary.rounds for c in r.candidates}
    if run.summary.confirmation:
        mine |= {key for pair in run.summary.confirmation.pairs for key in pair.keys}
    drawn = [c for r in others[0].summary.rounds for c in r.candidates if c.key in study.records][: len(mine)]
    known = [(study.records[c.key], c.costs) for c in drawn]
    inside = [
        record.accuracy_at(epochs)
        for record, costs in known
        if record.training == training and record.answers(epochs) and run.constraint.kept_by(costs)
    ]
    if not inside:
        return None
    return f"Best of {len(drawn)} random pairs, {len(inside)} of them within the limit: {max(inside):.3f}."
