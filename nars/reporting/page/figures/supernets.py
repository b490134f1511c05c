"""A search inside a supernet, epoch by epoch: what theta prefers, what that costs, how accurate it is."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nars.costs.table import COSTS
from nars.reporting.facts.courses import limits_on
from nars.reporting.facts.sections import Section
from nars.reporting.facts.supernets import steered_costs
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ACCURACY_SCALE, ANSWER, ROUND_COLORS, blank
from nars.study.answers import Run

ROW = 13  # pixels


def theta(section: Section) -> go.Figure | None:
    """The probability of every choice after each epoch, dimension by dimension, of the first search of the section."""
    run = _searched(section)
    if run is None:
        return None
    supernet = run.summary.supernet
    names = [(name, choice) for name, choices in supernet.choices.items() for choice in choices]
    rows = [list(row) for name in supernet.choices for row in zip(*supernet.probabilities[name], strict=True)]
    figure = blank(90 + ROW * len(rows))
    figure.add_heatmap(
        x=list(range(1, len(supernet.epochs) + 1)),
        y=list(range(len(rows))),
        z=rows,
        zmin=0,
        zmax=1,
        colorscale=[list(stop) for stop in ACCURACY_SCALE],
        colorbar={"title": {"text": "probability"}, "thickness": 10},
        customdata=[[f"{escaped(name)} = {escaped(str(choice))}"] * len(rows[0]) for name, choice in names],
        hovertemplate="%{customdata}<br>epoch %{x}: %{z:.3f}<extra></extra>",
    )
    start = 0
    for choices in supernet.choices.values():
        start += len(choices)
        if start < len(rows):
            figure.add_hline(y=start - 0.5, line={"width": 1.5, "color": "rgba(128,128,128,0.9)"})
    figure.update_xaxes(title="epoch", dtick=1 if len(supernet.epochs) <= 20 else None)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(rows))),
        ticktext=[_label(supernet.choices, name, choice) for name, choice in names],
        autorange="reversed",
        automargin=True,
        showgrid=False,
    )
    return figure


def _label(choices: dict, name: str, choice) -> str:
    """The name of the dimension before the first of its choices, the choice alone before the others."""
    words = escaped(str(choice))
    return f"<b>{escaped(name)}</b>  {words}" if choice == choices[name][0] else words


def supernet(section: Section) -> go.Figure | None:
    """Costs of the most probable network and of those that theta draws, against the limits; accuracy and cross-entropy;
    how decided theta is."""
    run = _searched(section)
    if run is None:
        return None
    summary, names = run.summary.supernet, steered_costs(run.summary)
    epochs = summary.epochs
    figure = blank(300 + 170 * len(names), figure=make_subplots(rows=len(names) + 1, cols=1, shared_xaxes=True))
    for row, name in enumerate(names, start=1):
        for key, words, color in (("argmax", "most probable", 0), ("expected", "expected", 1)):
            values = [summary.named(getattr(epoch, key))[name] for epoch in epochs]
            _line(figure, values, words, ROUND_COLORS[color], row, legend=row == 1)
        for bound in limits_on(run, name):
            figure.add_hline(y=bound, line={"color": ANSWER, "dash": "dash", "width": 1.2}, row=row, col=1)
        figure.update_yaxes(title=COSTS[name].label, rangemode="tozero", row=row, col=1)
    last = len(names) + 1
    _line(figure, [e.accuracy for e in epochs], "accuracy on theta's images", ROUND_COLORS[2], last)
    _line(figure, [e.decided for e in epochs], "decided", ROUND_COLORS[3], last)
    _line(figure, [e.entropy for e in epochs], "entropy", ROUND_COLORS[4], last)
    figure.update_yaxes(title="share", range=[0, 1.02], row=last, col=1)
    figure.update_xaxes(title="epoch", row=last, col=1)
    return figure


def _line(figure: go.Figure, values: list, name: str, color: str, row: int, *, legend: bool = True) -> None:
    figure.add_scatter(
        x=list(range(1, len(values) + 1)),
        y=values,
        mode="lines+markers",
        name=name,
        showlegend=legend,
        line={"color": color, "width": 2},
        marker={"size": 5},
        hovertemplate=f"epoch %{{x}}: %{{y:.4s}}<extra>{name}</extra>",
        row=row,
        col=1,
    )


def _searched(section: Section) -> Run | None:
    """The first run of the section that has done an epoch in a supernet."""
    return next((run for run in section.runs if run.summary.supernet and run.summary.supernet.epochs), None)
