"""Accuracies of trained candidates: against their cost, and against what was predicted of them."""

from collections.abc import Sequence
from statistics import mean

import numpy as np
import plotly.graph_objects as go

from nars.costs.table import Cost, short_number
from nars.reporting.facts.courses import limits_on
from nars.reporting.facts.headline import predicted_bar
from nars.reporting.facts.measured import with_measurements
from nars.reporting.facts.sections import Section, Trained
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ANSWER, GREY, blank, color_of, hover, in_legend, round_name


def accuracy_against_cost(section: Section, axis: Cost | None = None) -> go.Figure | None:
    """Trained candidates by round, the predicted Pareto front, the answers with their standard deviations, the limits.

    `axis`: another cost than the one over which the front is one; the front is left out then.
    """
    if not section.with_status("finished", "diverged"):
        return None
    figure, axis = blank(430), axis or section.axis
    for number, candidates in section.rounds.items():
        finished = [c for c in candidates if c.record.status == "finished"]
        marks = {"name": round_name(number), "color": color_of(number), "symbol": "circle"}
        marks["legend"] = in_legend(number)
        _candidates(figure, section, finished, axis, **marks)
    _candidates(figure, section, section.with_status("diverged"), axis, name="diverged", color=GREY, symbol="x")
    if axis is section.axis:
        _front(figure, section)
    _answers(figure, section, axis)
    _measured(figure, section, axis)
    _references(figure, section, axis)
    _limits(figure, section, axis)
    figure.update_xaxes(title=axis.label, tickformat="~s", nticks=6)
    figure.update_yaxes(title=f"accuracy after epoch {section.epoch}")
    return figure


def _candidates(
    figure: go.Figure,
    section: Section,
    candidates: Sequence[Trained],
    axis: Cost,
    *,
    name: str,
    color: str,
    symbol: str,
    legend: bool = True,
) -> None:
    if candidates:
        figure.add_scatter(
            x=[c.record.costs.get(axis.name) for c in candidates],
            y=[section.accuracy(c) for c in candidates],
            mode="markers",
            name=name,
            showlegend=legend,
            marker={"color": color, "size": 8, "opacity": 0.8, "symbol": symbol},
            text=[hover(section, c) for c in candidates],
            hovertemplate=f"%{{text}}<br>%{{x:.4s}} {axis.label}<extra></extra>",
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


def _answers(figure: go.Figure, section: Section, axis: Cost) -> None:
    answers = [(run, answer) for run in section.runs for answer in run.answers]
    accuracies = [min(max(answer["predicted_accuracy"], 0), 1) for _, answer in answers]
    bars = [predicted_bar(answer["predicted_accuracy"], answer["predicted_std"]) for _, answer in answers]
    above = [high - accuracy for accuracy, (_, high) in zip(accuracies, bars, strict=True)]
    below = [accuracy - low for accuracy, (low, _) in zip(accuracies, bars, strict=True)]
    if answers:
        figure.add_scatter(
            x=[answer["costs"].get(axis.name) for _, answer in answers],
            y=accuracies,
            error_y={"array": above, "arrayminus": below, "thickness": 1, "width": 3},
            mode="markers",
            name="answer",
            marker={"color": ANSWER, "size": 11, "symbol": "star"},
            text=[escaped(run.summary.constraint) for run, _ in answers],
            hovertemplate=f"predicted %{{y:.3f}}<br>%{{x:.4s}} {axis.label}<br>%{{text}}<extra>answer</extra>",
        )


def _limits(figure: go.Figure, section: Section, axis: Cost) -> None:
    """Each limit on the cost, written at its end."""
    for value in sorted({bound for run in section.runs for bound in limits_on(run, axis.name)}):
        words = {"text": short_number(value), "font": {"size": 11}, "yanchor": "bottom"}
        line = {"color": ANSWER, "dash": "dash", "width": 1.2}
        figure.add_vline(x=value, line=line, annotation=words, annotation_position="bottom right")


def _measured(figure: go.Figure, section: Section, axis: Cost) -> None:
    """What was measured of the answers."""
    runs = [with_measurements(run, section.study) for run in section.runs]
    answers = [(run, answer) for run in runs for answer in run.answers if "measured_accuracy" in answer]
    if answers:
        figure.add_scatter(
            x=[answer["costs"].get(axis.name) for _, answer in answers],
            y=[answer["measured_accuracy"] for _, answer in answers],
            mode="markers",
            name="answer, measured",
            marker={"color": ANSWER, "size": 11, "symbol": "diamond"},
            text=[escaped(run.summary.constraint) for run, _ in answers],
            hovertemplate=f"measured %{{y:.3f}}<br>%{{x:.4s}} {axis.label}<br>%{{text}}<extra>answer</extra>",
        )


def _references(figure: go.Figure, section: Section, axis: Cost) -> None:
    """The networks that answers were compared with, once each."""
    known = {
        reference.name: (reference.costs.get(axis.name), mean(accuracies))
        for reference in (run.summary.confirmation.reference for run in section.runs if run.summary.confirmation)
        if reference and (accuracies := [accuracy for accuracy in reference.accuracies if accuracy is not None])
    }
    if known:
        figure.add_scatter(
            x=[cost for cost, _ in known.values()],
            y=[accuracy for _, accuracy in known.values()],
            mode="markers",
            name="reference",
            marker={"color": GREY, "size": 11, "symbol": "diamond-open", "line": {"width": 2}},
            text=[escaped(name) for name in known],
            hovertemplate=f"%{{text}}: measured %{{y:.3f}}<br>%{{x:.4s}} {axis.label}<extra>reference</extra>",
        )


def predicted_against_measured(section: Section) -> go.Figure | None:
    """Every candidate that was predicted before it was trained, by round, with the diagonal of perfect predictions."""
    known = [c for c in section.with_status("finished", "diverged") if c.predicted is not None]
    if not known:
        return None
    figure = blank(460)
    for number, candidates in section.rounds.items():
        shown_here = [c for c in candidates if c in known]
        if shown_here:
            figure.add_scatter(
                x=[c.predicted for c in shown_here],
                y=[section.accuracy(c) for c in shown_here],
                mode="markers",
                name=round_name(number),
                showlegend=in_legend(number),
                marker={"color": color_of(number), "size": 8, "opacity": 0.8},
                text=[hover(section, c) for c in shown_here],
                hovertemplate="%{text}<br>predicted %{x:.3f}<extra></extra>",
            )
    values = [value for c in known for value in (c.predicted, section.accuracy(c))]
    margin = 0.04 * (max(values) - min(values)) or 0.01
    ends = [min(values) - margin, max(values) + margin]
    line = {"color": GREY, "dash": "dot"}
    figure.add_scatter(x=ends, y=ends, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    alone = section.summary is not None and section.summary.ledger is not None
    figure.update_xaxes(title=f"accuracy predicted {'without its record' if alone else 'before training'}")
    figure.update_yaxes(title="accuracy measured", scaleanchor="x")  # a square: the diagonal is one
    figure.update_xaxes(range=ends, constrain="domain", constraintoward="left")
    figure.update_yaxes(range=ends, constrain="domain")
    return figure
