"""Choices of trained candidates: parallel coordinates."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from nars.reporting.facts.describe import dimensions, shown
from nars.reporting.facts.sections import Section, Trained
from nars.reporting.page.escape import escaped
from nars.reporting.page.figures.style import ACCURACY_SCALE, blank
from nars.settings import Recipe

ARCHITECTURE_AXES = 6


def recipes(section: Section) -> go.Figure | None:
    """Parallel coordinates: the recipe keys that vary, the dimensions of the architecture that matter most, and the
    accuracy, one line per finished training."""
    candidates = section.with_status("finished")
    if len(candidates) < 2:
        return None
    accuracies = [round(section.accuracy(c), 4) for c in candidates]
    whole = [Recipe.neutral() | c.record.recipe for c in candidates]
    keys = [key for key in Recipe.model_fields if len({str(recipe.get(key)) for recipe in whole}) > 1]
    axes = [_axis(key, [recipe.get(key) for recipe in whole]) for key in keys]
    axes += _architecture_axes(section, candidates)
    figure = blank(400)
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


def _architecture_axes(section: Section, candidates: Sequence[Trained]) -> list[dict]:
    """Those of the most important dimensions that vary; a stage's first and remaining blocks share one."""
    changes = section.summary.importance if section.summary else {}
    matters: dict[str, float] = {}
    for name, change in changes.items():
        name = name.removesuffix("_first").removesuffix("_rest")
        matters[name] = max(change, matters.get(name, 0.0))
    rows = [dimensions({"architecture": c.record.architecture, "recipe": {}}) for c in candidates]
    names = [
        name for name in dict.fromkeys(name for row in rows for name in row) if len({r.get(name) for r in rows}) > 1
    ]
    names = sorted(names, key=lambda name: -matters.get(name, 0.0))[:ARCHITECTURE_AXES]
    return [_axis(name, _numbers([row.get(name, "-") for row in rows])) for name in names]


def _numbers(values: Sequence[str]) -> Sequence:
    """As numbers, if all are."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return values


def _axis(key: str, values: Sequence) -> dict:
    label = escaped(key.replace("_", " "))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return {"label": label, "values": values, "tickformat": ".1e" if max(values) < 1e-3 else None}
    names = sorted({shown(value) for value in values})
    ticks = {"tickvals": list(range(len(names))), "ticktext": [escaped(name) for name in names]}
    return {"label": label, "values": [names.index(shown(value)) for value in values], **ticks}
