"""What is said of a search inside a supernet."""

from nars.costs.table import LIMITED, in_words
from nars.reporting.facts.describe import duration
from nars.study.summary import SearchSummary


def steered_costs(summary: SearchSummary) -> list[str]:
    """Names of the costs that a search had upper limits on; without any, its cost axis."""
    limited = [name for name in LIMITED if summary.settings["constraint"].get(f"max_{name}") is not None]
    return limited or [summary.cost_axis]


def supernet_sentences(summary: SearchSummary) -> list[str]:
    """How decided theta became (the mean probability of its most probable choices), what its networks cost, and what
    the predicted accuracies are."""
    supernet = summary.supernet
    if supernet is None or not supernet.epochs:
        return []
    last, names = supernet.epochs[-1], steered_costs(summary)
    expected, argmax = (
        in_words({name: cost for name, cost in supernet.named(costs).items() if name in names})
        for costs in (last.expected, last.argmax)
    )
    return [
        f"The supernet took {duration(supernet.seconds)} for {len(supernet.epochs)} epochs. Theta is "
        f"{last.decided:.0%} decided: its most probable network has {argmax}, those that it draws have {expected} on "
        "average.",
        "Predicted accuracies are those inside the supernet: they rank networks, no more.",
    ]
