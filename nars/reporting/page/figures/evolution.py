"""The genetic algorithm, generation by generation."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nars.reporting.facts.sections import Section
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ANSWER, GREY, ROUND_COLORS, blank, color_of


def evolution(section: Section) -> go.Figure | None:
    """Best and mean score of each generation; below, what became of the children. Of several runs, only the best."""
    runs = [run for run in section.runs if run.summary.generations]
    if not runs:
        return None
    if len(runs) == 1:
        return _one_evolution(runs[0].summary.generations)
    figure = blank(380)
    for i, run in enumerate(runs, start=1):
        best = [generation.best for generation in run.summary.generations]
        _line(figure, best, name=escaped(run.summary.constraint), color=color_of(i))
    figure.update_xaxes(title="generation")
    figure.update_yaxes(title="best predicted accuracy")
    return figure


def _line(figure: go.Figure, values: Sequence[float], *, name: str, color: str, **place) -> None:
    figure.add_scatter(
        x=list(range(len(values))),
        y=values,
        mode="lines+markers",
        name=name,
        line={"color": color, "width": 2},
        marker={"size": 5},
        hovertemplate=f"generation %{{x}}: %{{y:.4f}}<extra>{name}</extra>",
        **place,
    )


def _one_evolution(generations: Sequence) -> go.Figure:
    rows = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    figure = blank(480, figure=rows, barmode="stack")
    _line(figure, [g.best for g in generations], name="best", color=ANSWER, row=1, col=1)
    _line(figure, [g.mean for g in generations], name="mean", color=ROUND_COLORS[0], row=1, col=1)
    for key, name, color in (
        ("evaluated", "scored", ROUND_COLORS[2]),
        ("infeasible", "infeasible", ROUND_COLORS[4]),
        ("duplicates", "known", GREY),
    ):
        counts = [getattr(generation, key) for generation in generations]
        figure.add_bar(x=list(range(len(counts))), y=counts, name=name, marker={"color": color}, row=2, col=1)
    figure.update_yaxes(title="predicted", row=1, col=1)
    figure.update_yaxes(title="children", row=2, col=1)
    figure.update_xaxes(title="generation", row=2, col=1)
    return figure
