"""What the predictor has learned: how much each dimension matters to it, and what it expects along them."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nars.reporting.facts.describe import shown
from nars.reporting.facts.sections import Section
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ROUND_COLORS, blank
from nars.study.summary import Slice

SLICES, COLUMNS = 12, 4


def importance(section: Section) -> go.Figure | None:
    """How much the predicted accuracy changes, on average, when one dimension is shuffled; to the left where larger
    values are worse."""
    changes = section.summary.importance if section.summary else {}
    if not changes:
        return None
    recipe = set(section.summary.settings["recipe_space"]) - {"name"}
    order = sorted(changes, key=changes.get)
    signs = {key: _sign(section.summary.slices.get(key)) for key in order}
    figure = blank(90 + 17 * len(order), barmode="overlay")
    for name, color, members in (
        ("recipe", ROUND_COLORS[1], [key for key in order if key in recipe]),
        ("architecture", ROUND_COLORS[0], [key for key in order if key not in recipe]),
    ):
        if members:
            figure.add_bar(
                x=[100 * signs[key] * changes[key] for key in members],
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
    figure.update_xaxes(title="mean change, percentage points", rangemode="tozero", zeroline=True)
    return figure


def _sign(along: Slice | None) -> int:
    """-1 where the predicted accuracy falls from smaller to larger numbers, 1 where it rises, and for categories."""
    if along is None or not all(isinstance(value, int | float) and type(value) is not bool for value in along.choices):
        return 1
    steps = np.arange(len(along.choices))
    return -1 if (steps - steps.mean()) @ np.array(along.accuracies) < 0 else 1


def slices(section: Section) -> go.Figure | None:
    """The mean predicted accuracy along each of the dimensions that matter most, on one scale."""
    known = section.summary.slices if section.summary else {}
    names = sorted((name for name in known if len(known[name].choices) > 1), key=_importance_of(section))[:SLICES]
    if not names:
        return None
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    titles = [escaped(name) for name in names]
    plots = make_subplots(
        rows=rows, cols=columns, subplot_titles=titles, shared_yaxes="all", vertical_spacing=0.3 / rows
    )
    figure = blank(190 * rows, figure=plots, showlegend=False)
    for i, name in enumerate(names):
        figure.add_scatter(
            x=[escaped(shown(choice)) for choice in known[name].choices],
            y=known[name].accuracies,
            mode="lines+markers",
            line={"color": ROUND_COLORS[0], "width": 2},
            marker={"size": 5},
            hovertemplate=f"{escaped(name)} %{{x}}: %{{y:.3f}}<extra></extra>",
            row=i // columns + 1,
            col=i % columns + 1,
        )
    figure.update_xaxes(type="category", tickfont={"size": 10}, nticks=5)
    figure.update_annotations(font={"size": 12})
    figure.update_layout(margin={"t": 36})
    return figure


def _importance_of(section: Section):
    changes = section.summary.importance if section.summary else {}
    return lambda name: -changes.get(name, 0.0)
