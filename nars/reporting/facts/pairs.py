"""A pair as words by name, for one next to another: what is known of it, and all that was chosen."""

from collections.abc import Mapping

from nars.costs.table import COSTS, cell, known
from nars.reporting.facts.describe import dimensions
from nars.reporting.facts.headline import measured_words, predicted_words
from nars.reporting.facts.sections import Section, Trained


def answer_in_words(answer: Mapping, name: str) -> dict:
    """A pair of an answer: its `name`, the `facts` (accuracies and costs), and the `choices` by dimension."""
    accuracies = {"measured": measured_words(answer), "predicted": predicted_words(answer)}
    return _in_words(name, accuracies, answer["costs"], answer)


def trained_in_words(section: Section, trained: Trained) -> dict:
    """The same of a candidate that was trained."""
    record = trained.record
    accuracy = "failed" if record.status == "failed" else f"{section.accuracy(trained):.3f}"
    predicted = "-" if trained.predicted is None else f"{trained.predicted:.3f}"
    accuracies = {"measured": accuracy, "predicted": predicted}
    return _in_words(record.candidate.name, accuracies, record.costs, record.candidate.to_dict())


def _in_words(name: str, accuracies: Mapping[str, str], costs: Mapping[str, float], candidate: Mapping) -> dict:
    facts = {**accuracies, **{COSTS[cost].label: cell(costs, cost) for cost in known(costs)}}
    return {"name": name, "facts": facts, "choices": dimensions(candidate)}
