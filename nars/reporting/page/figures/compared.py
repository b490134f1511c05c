"""Several searches in one figure."""

from collections.abc import Sequence

import plotly.graph_objects as go

from nars.costs.table import COSTS
from nars.reporting.facts.courses import Course
from nars.reporting.facts.describe import recipe_line
from nars.reporting.facts.sweeps import Sweep
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ANSWER, GREY, ROUND_COLORS, blank, color_of

MOST_NAMED = 16  # lines in a legend; of more, a line says its name where it is pointed at
DASHES = ("solid", "dash", "dot", "dashdot")


def front_of_searches(sweep: Sweep) -> go.Figure:
    """The best pair of every search of a sweep over its cost, and the front of them."""
    figure, axis = blank(380), COSTS[sweep.axis]
    front = sorted((row.best.costs[axis.name], row.accuracy) for row in sweep.rows if sweep.on_front(row))
    line = {"color": GREY, "width": 2, "shape": "hv", "dash": "dot"}
    figure.add_scatter(x=[m for m, _ in front], y=[a for _, a in front], mode="lines", name="front", line=line)
    above, below = [row.bar[1] - row.accuracy for row in sweep.rows], [row.accuracy - row.bar[0] for row in sweep.rows]
    shown = [row.best.costs[axis.name] for row in sweep.rows if axis.name in row.best.costs]
    figure.add_scatter(
        x=[row.best.costs.get(axis.name) for row in sweep.rows],
        y=[row.accuracy for row in sweep.rows],
        error_y={"array": above, "arrayminus": below, "thickness": 1, "width": 3},
        mode="markers",
        name="best pair" if sweep.job == "search" else sweep.job,
        marker={"color": ANSWER, "size": 10, "symbol": "star"},
        text=[f"{escaped(row.name)}<br>{escaped(recipe_line(row.best.recipe))}" for row in sweep.rows],
        hovertemplate=f"{sweep.accuracy} %{{y:.3f}}<br>%{{x:.4s}} {axis.label}<br>%{{text}}<extra></extra>",
    )
    figure.update_xaxes(title=axis.label, tickformat=".3~s", nticks=6, range=_wide(shown))
    figure.update_yaxes(title=f"{sweep.accuracy} {sweep.metric}")
    return figure


def _wide(values: Sequence[float]) -> list[float] | None:
    """A range for values that lie so close together that their ticks would read the same; None for others."""
    if not values or max(values) > 1.1 * min(values):
        return None
    return [0.8 * min(values), 1.2 * max(values)]


def best_so_far(courses: Sequence[Course]) -> go.Figure | None:
    """The highest accuracy measured within the limit against the number of trainings, one line for each search."""
    lines = [course for course in courses if course.incumbent is not None]
    if not lines:
        return None
    legend = 1 < len(courses) <= MOST_NAMED
    figure = blank(360 + 22 * len(lines) * legend, showlegend=legend)
    for i, course in enumerate(lines):
        name = escaped(course.name)
        dash = DASHES[i // len(ROUND_COLORS) % len(DASHES)]
        figure.add_scatter(
            x=list(range(1, len(course.best) + 1)),
            y=course.best,
            mode="lines",
            name=name,
            line={"color": color_of(i + 1), "width": 2, "shape": "hv", "dash": dash},
            hovertemplate=f"after %{{x}} trainings: %{{y:.3f}}<extra>{name}</extra>",
        )
    figure.update_layout(legend={"orientation": "v", "y": 1.02})
    figure.update_xaxes(title="trainings", rangemode="tozero")
    figure.update_yaxes(title="best accuracy measured")
    return figure
