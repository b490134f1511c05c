"""Figures show the costs of the search: its axis, whatever that is."""

import json

import numpy as np
import pytest

from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.sweeps import sweep_of
from nars.reporting.page.figures.accuracy import accuracy_against_cost
from nars.reporting.page.figures.compared import front_of_searches
from nars.reporting.page.report import html_of
from nars.reporting.page.sweeps import write_sweep_page
from nars.study.folder import read_study
from nars.study.outcomes import Outcome


@pytest.mark.parametrize(("axis", "label"), [("macs", "MACs"), ("params", "params")])
def test_accuracies_and_fronts_lie_over_the_cost_axis(tiny_maker, axis, label):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=6", f"strategy.cost_axis={axis}")
    run = maker.answer(maker.run_rounds())
    [section] = sections_of(read_study(maker.folder))
    figure = accuracy_against_cost(section)
    traces = {trace.name: trace for trace in figure.data}
    assert figure.layout.xaxis.title.text == label
    assert list(traces["answer"].x) == [answer["costs"][axis] for answer in run.answers]
    assert sorted(traces["round 1"].x) == sorted(
        candidate.record.costs[axis] for candidate in section.trained if candidate.record.status == "finished"
    )
    assert list(traces["front"].x) == [point.costs[axis] for point in run.summary.front]
    assert len(traces["front"].x) > 1
    for values in (traces["front"].x, traces["front"].y):
        assert (np.diff(values) > 0).all()
    assert all(label in trace.hovertemplate for trace in figure.data)
    assert f"Accuracy against {label}" in html_of([section])


@pytest.mark.parametrize(("axis", "label"), [("macs", "MACs"), ("params", "params")])
def test_the_front_of_a_sweep_lies_over_the_axis_of_its_searches(tiny_maker, tmp_path, axis, label):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4", f"strategy.cost_axis={axis}")
    history, outcomes = maker.run_rounds(), []
    for i, limit in enumerate((1e6, 1.5e6)):
        maker.limit(limit)
        outcomes.append(Outcome(number=i, overrides=(f"x={i}",), result=maker.answer(history).result))
    sweep = sweep_of(outcomes)
    page = write_sweep_page(sweep, tmp_path).read_text()
    figures = json.loads(page.partition('<script type="application/json" id="figures">')[2].partition("</script>")[0])
    assert figures["sweep"]["layout"]["xaxis"]["title"]["text"] == label
    [pairs] = [trace for trace in figures["sweep"]["data"] if trace["name"] == "best pair"]
    assert pairs["x"] == [row.best.costs[axis] for row in sweep.rows]
    assert sweep.costs == ["macs", "params"]
    figure = front_of_searches(sweep)  # without the page, of the cost that stands for others
    assert figure.layout.xaxis.title.text == "MACs"


def test_a_cost_that_a_file_does_not_know_is_left_open(tiny_maker):
    """Files of older versions may know fewer costs, those of newer ones others."""
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    maker.answer(maker.run_rounds())
    [section] = sections_of(read_study(maker.folder))
    first, *others = section.trained
    first.record.costs.clear()
    first.record.costs["joules"] = 3.0
    figure = accuracy_against_cost(section)
    assert None in figure.data[0].x
    page = html_of([section])
    assert '<td data-label="params" data-value="">-</td>' in page
    assert "joules" not in page
    assert others
