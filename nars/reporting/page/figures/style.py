"""What all figures share: colours, type, margins; legible on white and on black, with text coloured by the page."""

import plotly.graph_objects as go

from nars.reporting.facts.describe import recipe_line
from nars.reporting.facts.sections import Section, Trained
from nars.reporting.page.escape import escaped

ROUND_COLORS = ("#4c8dd6", "#e07b39", "#3fa66f", "#b366cc", "#c9a227", "#d1577f", "#2ba6b8", "#8a7ce0")
GREY, ANSWER = "#8b929c", "#e0453a"
# Grey fades on both backgrounds: what stands out is what is accurate.
ACCURACY_SCALE = ((0.0, "#9aa3b0"), (0.5, "#4c8dd6"), (1.0, "#e0453a"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def blank(height: int, *, figure: go.Figure | None = None, **layout) -> go.Figure:
    figure = figure or go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 12, "t": 12, "b": 44},
        font={"family": FONT, "size": 12},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode=False,  # a finger scrolls the page
        hovermode="closest",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        **layout,
    )
    figure.update_xaxes(zeroline=False, title_standoff=8)
    figure.update_yaxes(zeroline=False, title_standoff=8)
    return figure


def color_of(number: int) -> str:
    return ROUND_COLORS[(number - 1) % len(ROUND_COLORS)] if number else ROUND_COLORS[0]


def in_legend(number: int) -> bool:
    """Whether a round is: of many, those whose colour no other has."""
    return number <= len(ROUND_COLORS)


def round_name(number: int) -> str:
    return f"round {number}" if number else "trained"


def hover(section: Section, candidate: Trained) -> str:
    record = candidate.record
    recipe = escaped(recipe_line(record.recipe))
    return f"{record.candidate.name}: accuracy {section.accuracy(candidate):.3f}<br>{recipe}"
