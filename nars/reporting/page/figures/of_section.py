"""All figures of a section."""

from collections.abc import Callable

import plotly.graph_objects as go

from nars.reporting.facts.courses import limited_beside
from nars.reporting.facts.sections import Section
from nars.reporting.page.figures.accuracy import accuracy_against_cost, predicted_against_measured
from nars.reporting.page.figures.candidates import recipes
from nars.reporting.page.figures.curves import learning_curves
from nars.reporting.page.figures.evolution import evolution
from nars.reporting.page.figures.predictor import importance, slices
from nars.reporting.page.figures.supernets import supernet, theta
from nars.reporting.page.figures.timeline import timeline


def figures_of(section: Section) -> dict[str, go.Figure]:
    """The figures that a section has data for, by name."""
    makers: dict[str, Callable[[Section], go.Figure | None]] = {
        "costs": accuracy_against_cost,
        "predictions": predicted_against_measured,
        "curves": learning_curves,
        "recipes": recipes,
        "importance": importance,
        "slices": slices,
        "theta": theta,
        "supernet": supernet,
        "evolution": evolution,
        "timeline": timeline,
    }
    made = {name: make(section) for name, make in makers.items()}
    made |= {f"costs-{cost.name}": accuracy_against_cost(section, cost) for cost in limited_beside(section)}
    return {name: figure for name, figure in made.items() if figure is not None}
