"""When trainings ran."""

from collections.abc import Sequence

import plotly.graph_objects as go

from nars.reporting.facts.describe import duration
from nars.reporting.facts.sections import Section
from nars.reporting.facts.timeline import CONFIRMED, REFERENCE, Span, timeline_of
from nars.reporting.page.figures.style import ANSWER, GREY, blank, color_of

LANE = 26  # pixels
UNITS = {"hours": 3600, "minutes": 60}


def timeline(section: Section) -> go.Figure | None:
    """A bar for each training, side by side what ran at the same time, a color for each round."""
    found = timeline_of(section)
    if len(found.spans) < 2:
        return None
    last = max(span.end for span in found.spans)
    unit, size = next(((unit, size) for unit, size in UNITS.items() if last >= 2 * size), ("seconds", 1))
    lanes = 1 + max(span.lane for span in found.spans)
    figure = blank(100 + LANE * lanes, barmode="overlay", bargap=0.15)
    for asked_by in dict.fromkeys(span.asked_by for span in found.spans):
        _bars(figure, asked_by, [span for span in found.spans if span.asked_by == asked_by], size, section.epoch)
    for begin, seconds in found.pauses:
        figure.add_vline(x=begin / size, line={"color": GREY, "dash": "dot", "width": 1.5})
        figure.add_annotation(
            x=begin / size, y=1, yref="paper", xanchor="left", text=f" {duration(seconds)} of nothing", showarrow=False
        )
    figure.update_xaxes(title=unit, rangemode="tozero")
    figure.update_yaxes(title="at once", range=[lanes - 0.5, -0.5], dtick=1, showticklabels=False, showgrid=False)
    return figure


def _bars(figure: go.Figure, asked_by: str, spans: Sequence[Span], size: float, epoch: int) -> None:
    words = [
        f"{r.candidate.name}, {r.status}: accuracy {r.accuracy_at(epoch):.3f} after epoch {epoch}<br>"
        f"{duration(r.seconds)} from {r.started:%Y-%m-%d %H:%M:%S %Z}"
        for r in (span.record for span in spans)
    ]
    figure.add_bar(
        x=[round(span.record.seconds / size, 4) for span in spans],
        base=[round(span.begin / size, 4) for span in spans],
        y=[span.lane for span in spans],
        orientation="h",
        name=asked_by,
        marker={"color": _color(asked_by), "line": {"width": 0}},
        text=words,
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )


def _color(asked_by: str) -> str:
    _, _, number = asked_by.partition("round ")
    return {CONFIRMED: ANSWER, REFERENCE: GREY}.get(asked_by) or color_of(int(number or 0))
