"""Learning curves, and how well each epoch ranks."""

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nars.reporting.facts.sections import Section
from nars.reporting.page.figures.style import ANSWER, GREY, blank, color_of, in_legend, round_name


def learning_curves(section: Section) -> go.Figure | None:
    """Accuracy after every epoch, one trace a round; below, how well each epoch ranks as the last one does."""
    if not any(c.record.accuracies for c in section.trained) and not any(section.begun.values()):
        return None
    correlations = section.summary.early_stop.correlation_by_epoch if section.summary else ()
    rows = 2 if correlations else 1
    heights = {"row_heights": [0.7, 0.3], "vertical_spacing": 0.06} if correlations else {}
    figure = blank(520 if correlations else 380, figure=make_subplots(rows=rows, cols=1, shared_xaxes=True, **heights))
    for number, candidates in section.rounds.items():
        curves = {c.record.candidate.name: c.record.accuracies for c in candidates}
        _curves(figure, curves, name=round_name(number), color=color_of(number), legend=in_legend(number))
    _curves(figure, section.begun, name="begun", color=GREY)
    if correlations:
        _correlations(figure, section, correlations)
    figure.add_vline(x=section.epoch, line={"color": GREY, "dash": "dot", "width": 1.5})
    figure.update_yaxes(title="accuracy", row=1, col=1)
    figure.update_xaxes(title="epoch", row=rows, col=1)
    longest = max(len(c.record.accuracies) for c in section.trained) if section.trained else 0
    if longest <= 12:
        figure.update_xaxes(dtick=1)
    return figure


def _curves(
    figure: go.Figure, curves: dict[str, Sequence[float]], *, name: str, color: str, legend: bool = True
) -> None:
    """All curves in one trace, with gaps between them."""
    x, y, names = [], [], []
    for key, accuracies in curves.items():
        if accuracies:
            x += [*range(1, len(accuracies) + 1), None]
            y += [*(round(accuracy, 4) for accuracy in accuracies), None]
            names += [key[:8]] * len(accuracies) + [None]
    if x:
        figure.add_scatter(
            x=x[:-1],
            y=y[:-1],
            mode="lines+markers" if len(x) < 200 else "lines",
            name=name,
            showlegend=legend,
            line={"color": color, "width": 1.2},
            marker={"size": 4},
            opacity=0.8,
            text=names[:-1],
            hovertemplate="%{text} epoch %{x}: %{y:.3f}<extra></extra>",
            row=1,
            col=1,
        )


def _correlations(figure: go.Figure, section: Section, correlations: Sequence[float | None]) -> None:
    threshold = section.summary.settings["strategy"]["early_stop_correlation"]
    figure.add_scatter(
        x=list(range(1, len(correlations) + 1)),
        y=correlations,
        mode="lines+markers" if len(correlations) < 30 else "lines",
        line={"color": GREY},
        showlegend=False,
        hovertemplate="epoch %{x}: %{y:.2f}<extra>rank correlation</extra>",
        row=2,
        col=1,
    )
    figure.add_hline(y=threshold, line={"color": ANSWER, "dash": "dot", "width": 1}, row=2, col=1)
    figure.update_yaxes(title="correlation", row=2, col=1)
