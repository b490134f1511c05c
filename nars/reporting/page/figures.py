"""The report's figures, in Plotly's terms; legible on white and on black, with text coloured by the page's style."""

from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from nars.costs.table import COSTS
from nars.reporting.facts.describe import recipe_line, shown
from nars.reporting.facts.sections import Section, Trained
from nars.reporting.facts.sweeps import Row, Sweep
from nars.reporting.page.escape import escaped
from nars.settings import Recipe

ROUND_COLORS = ("#4c8dd6", "#e07b39", "#3fa66f", "#b366cc", "#c9a227", "#d1577f", "#2ba6b8", "#8a7ce0")
GREY, ANSWER = "#8b929c", "#e0453a"
# Grey fades on both backgrounds: what stands out is what is accurate.
ACCURACY_SCALE = ((0.0, "#9aa3b0"), (0.5, "#4c8dd6"), (1.0, "#e0453a"))
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def figures_of(section: Section) -> dict[str, go.Figure]:
    """The figures that a section has data for, by name."""
    makers: dict[str, Callable[[Section], go.Figure | None]] = {
        "costs": accuracy_against_cost,
        "predictions": predicted_against_measured,
        "curves": learning_curves,
        "recipes": recipes,
        "importance": importance,
        "evolution": evolution,
    }
    made = {name: make(section) for name, make in makers.items()}
    return {name: figure for name, figure in made.items() if figure is not None}


def _figure(height: int, *, figure: go.Figure | None = None, **layout) -> go.Figure:
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


def _color(number: int) -> str:
    return ROUND_COLORS[(number - 1) % len(ROUND_COLORS)] if number else ROUND_COLORS[0]


def _round_name(number: int) -> str:
    return f"round {number}" if number else "trained"


def _hover(section: Section, candidate: Trained) -> str:
    record = candidate.record
    recipe = escaped(recipe_line(record.recipe))
    return f"{record.candidate.name}: accuracy {section.accuracy(candidate):.3f}<br>{recipe}"


def accuracy_against_cost(section: Section) -> go.Figure | None:
    """Trained candidates by round, the predicted Pareto front, the answers with their standard deviations."""
    if not section.with_status("finished", "diverged"):
        return None
    figure = _figure(430)
    for number, candidates in section.rounds.items():
        finished = [c for c in candidates if c.record.status == "finished"]
        _candidates(figure, section, finished, name=_round_name(number), color=_color(number), symbol="circle")
    _candidates(figure, section, section.with_status("diverged"), name="diverged", color=GREY, symbol="x")
    _front(figure, section)
    _answers(figure, section)
    figure.update_xaxes(title=section.axis.label, tickformat="~s", nticks=6)
    figure.update_yaxes(title=f"accuracy after epoch {section.epoch}")
    return figure


def _candidates(figure: go.Figure, section: Section, candidates: Sequence[Trained], *, name, color, symbol) -> None:
    if candidates:
        figure.add_scatter(
            x=[c.record.costs.get(section.axis.name) for c in candidates],
            y=[section.accuracy(c) for c in candidates],
            mode="markers",
            name=name,
            marker={"color": color, "size": 8, "opacity": 0.8, "symbol": symbol},
            text=[_hover(section, c) for c in candidates],
            hovertemplate=f"%{{text}}<br>%{{x:.4s}} {section.axis.label}<extra></extra>",
        )


def _front(figure: go.Figure, section: Section) -> None:
    points = [(point.costs[section.axis.name], point) for run in section.runs for point in run.summary.front]
    points.sort(key=lambda point: (point[0], -point[1].predicted_accuracy))
    best, front = -np.inf, []
    for cost, point in points:  # of several runs together
        if point.predicted_accuracy > best:
            best = point.predicted_accuracy
            front.append((cost, best))
    if front:
        figure.add_scatter(
            x=[cost for cost, _ in front],
            y=[accuracy for _, accuracy in front],
            mode="lines",
            name="front",
            line={"color": GREY, "width": 2, "shape": "hv", "dash": "dot"},
            hovertemplate=f"predicted %{{y:.3f}}<br>%{{x:.4s}} {section.axis.label}<extra>front</extra>",
        )


def _answers(figure: go.Figure, section: Section) -> None:
    answers = [(run, answer) for run in section.runs for answer in run.answers]
    if answers:
        figure.add_scatter(
            x=[answer["costs"].get(section.axis.name) for _, answer in answers],
            y=[answer["predicted_accuracy"] for _, answer in answers],
            error_y={"array": [answer["predicted_std"] for _, answer in answers], "thickness": 1, "width": 3},
            mode="markers",
            name="answer",
            marker={"color": ANSWER, "size": 11, "symbol": "star"},
            text=[escaped(run.summary.constraint) for run, _ in answers],
            hovertemplate=f"predicted %{{y:.3f}}<br>%{{x:.4s}} {section.axis.label}<br>%{{text}}<extra>answer</extra>",
        )


def front_of_searches(sweep: Sweep) -> go.Figure:
    """The best pair of every search of a sweep over its cost, and the front of them."""
    figure, axis = _figure(380), COSTS[sweep.axis]
    front = sorted((row.best.costs[axis.name], row.accuracy) for row in sweep.rows if sweep.on_front(row))
    line = {"color": GREY, "width": 2, "shape": "hv", "dash": "dot"}
    figure.add_scatter(x=[m for m, _ in front], y=[a for _, a in front], mode="lines", name="front", line=line)
    above, below = zip(*(_spread(row) for row in sweep.rows), strict=True)
    figure.add_scatter(
        x=[row.best.costs.get(axis.name) for row in sweep.rows],
        y=[row.accuracy for row in sweep.rows],
        error_y={"array": above, "arrayminus": below, "thickness": 1, "width": 3},
        mode="markers",
        name="best pair",
        marker={"color": ANSWER, "size": 10, "symbol": "star"},
        text=[f"{escaped(row.name)}<br>{escaped(recipe_line(row.best.recipe))}" for row in sweep.rows],
        hovertemplate=f"predicted %{{y:.3f}}<br>%{{x:.4s}} {axis.label}<br>%{{text}}<extra></extra>",
    )
    figure.update_xaxes(title=axis.label, tickformat="~s")
    figure.update_yaxes(title="predicted accuracy")
    return figure


def _spread(row: Row) -> tuple[float, float]:
    """How far the bar reaches above and below the median: over seeds, or one standard deviation."""
    if len(row.results) > 1:
        return max(row.accuracies) - row.accuracy, row.accuracy - min(row.accuracies)
    return row.best.predicted_std or 0.0, row.best.predicted_std or 0.0


def predicted_against_measured(section: Section) -> go.Figure | None:
    """Every candidate that was predicted before it was trained, by round, with the diagonal of perfect predictions."""
    known = [c for c in section.with_status("finished", "diverged") if c.predicted is not None]
    if not known:
        return None
    figure = _figure(400)
    for number, candidates in section.rounds.items():
        shown_here = [c for c in candidates if c in known]
        if shown_here:
            figure.add_scatter(
                x=[c.predicted for c in shown_here],
                y=[section.accuracy(c) for c in shown_here],
                mode="markers",
                name=_round_name(number),
                marker={"color": _color(number), "size": 8, "opacity": 0.8},
                text=[_hover(section, c) for c in shown_here],
                hovertemplate="%{text}<br>predicted %{x:.3f}<extra></extra>",
            )
    ends = [min(c.predicted for c in known), max(c.predicted for c in known)]
    line = {"color": GREY, "dash": "dot"}
    figure.add_scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    alone = section.summary is not None and section.summary.ledger is not None
    figure.update_xaxes(title=f"accuracy predicted {'without its record' if alone else 'before training'}")
    figure.update_yaxes(title="accuracy measured")
    return figure


def learning_curves(section: Section) -> go.Figure | None:
    """Accuracy after every epoch, one trace a round; below, how well each epoch ranks as the last one does."""
    if not any(c.record.accuracies for c in section.trained) and not any(section.study.begun.values()):
        return None
    correlations = section.summary.early_stop.correlation_by_epoch if section.summary else ()
    rows = 2 if correlations else 1
    heights = {"row_heights": [0.7, 0.3], "vertical_spacing": 0.06} if correlations else {}
    figure = _figure(
        520 if correlations else 380, figure=make_subplots(rows=rows, cols=1, shared_xaxes=True, **heights)
    )
    for number, candidates in section.rounds.items():
        curves = {c.record.candidate.name: c.record.accuracies for c in candidates}
        _curves(figure, curves, name=_round_name(number), color=_color(number))
    _curves(figure, section.study.begun, name="begun", color=GREY)
    if correlations:
        _correlations(figure, section, correlations)
    figure.add_vline(x=section.epoch, line={"color": GREY, "dash": "dot", "width": 1.5})
    figure.update_yaxes(title="accuracy", row=1, col=1)
    figure.update_xaxes(title="epoch", row=rows, col=1)
    longest = max(len(c.record.accuracies) for c in section.trained) if section.trained else 0
    if longest <= 12:
        figure.update_xaxes(dtick=1)
    return figure


def _curves(figure: go.Figure, curves: dict[str, Sequence[float]], *, name: str, color: str) -> None:
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


def recipes(section: Section) -> go.Figure | None:
    """Parallel coordinates: recipe keys that vary, and the accuracy, one line per finished training."""
    candidates = section.with_status("finished")
    if len(candidates) < 2:
        return None
    accuracies = [round(section.accuracy(c), 4) for c in candidates]
    whole = [Recipe.neutral() | c.record.recipe for c in candidates]
    keys = [key for key in Recipe.model_fields if len({str(recipe.get(key)) for recipe in whole}) > 1]
    axes = [_axis(key, [recipe.get(key) for recipe in whole]) for key in keys]
    figure = _figure(400)
    figure.add_parcoords(
        dimensions=[*axes, {"label": "accuracy", "values": accuracies, "tickformat": ".2f"}],
        line={
            "color": accuracies,
            "colorscale": ACCURACY_SCALE,
            "cmin": float(np.quantile(accuracies, 0.1)),
            "cmax": max(accuracies),
        },
        labelfont={"size": 12},
    )
    figure.update_layout(margin={"l": 48, "r": 40, "t": 48, "b": 24})
    return figure


def _axis(key: str, values: Sequence) -> dict:
    label = escaped(key.replace("_", " "))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": label, "values": values, "tickformat": ".1e" if max(values) < 1e-3 else None}
    names = sorted({shown(value) for value in values})
    ticks = {"tickvals": list(range(len(names))), "ticktext": [escaped(name) for name in names]}
    return {"label": label, "values": [names.index(shown(value)) for value in values], **ticks}


def importance(section: Section) -> go.Figure | None:
    """How much the predicted accuracy changes, on average, when one dimension is shuffled."""
    changes = section.summary.importance if section.summary else {}
    if not changes:
        return None
    recipe = set(section.summary.settings["recipe_space"]) - {"name"}
    order = sorted(changes, key=changes.get)
    figure = _figure(90 + 17 * len(order), barmode="overlay")
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


def evolution(section: Section) -> go.Figure | None:
    """Best and mean score of each generation; below, what became of the children. Of several runs, only the best."""
    runs = [run for run in section.runs if run.summary.generations]
    if not runs:
        return None
    if len(runs) == 1:
        return _one_evolution(runs[0].summary.generations)
    figure = _figure(380)
    for i, run in enumerate(runs, start=1):
        best = [generation.best for generation in run.summary.generations]
        _line(figure, best, name=escaped(run.summary.constraint), color=_color(i))
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
    figure = _figure(480, figure=rows, barmode="stack")
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
