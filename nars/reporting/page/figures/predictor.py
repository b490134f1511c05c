"""What the predictor has learned: how much each dimension matters to it."""

import plotly.graph_objects as go

from nars.reporting.facts.sections import Section
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ROUND_COLORS, blank


def importance(section: Section) -> go.Figure | None:
    """How much the predicted accuracy changes, on average, when one dimension is shuffled."""
    changes = section.summary.importance if section.summary else {}
    if not changes:
        return None
    recipe = set(section.summary.settings["recipe_space"]) - {"name"}
    order = sorted(changes, key=changes.get)
    figure = blank(90 + 17 * len(order), barmode="overlay")
    for name, color, members in (
        ("recipe", ROUND_COLORS[1], [key for key in order if key in recipe]),
        ("architecture", ROUND_COLORS[0], [key for key in order if key not in recipe]),
    ):
        if members:
            figure.add_bar(
                x=[100 * changes[key] for key in members],
                y=[escaped(key) for key in members],
                orientation="h",
                name=name,
                marker={"color": color},
                hovertemplate="%{y}: %{x:.3f} points<extra></extra>",
            )
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=[escaped(key) for key in order],
        tickmode="linear",
        automargin=True,
        ticklabelstandoff=4,
        showgrid=False,
    )
    figure.update_xaxes(title="mean change, percentage points", rangemode="tozero")
    return figure
