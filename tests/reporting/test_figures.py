"""Figures show the costs of the search: its axis, whatever that is."""

import json

import numpy as np
import pytest

from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.sweeps import sweep_of
from nars.reporting.page.figures.accuracy import accuracy_against_cost
from nars.reporting.page.figures.compared import front_of_searches
from nars.reporting.page.figures.of_section import figures_of
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
    before, _, folded = page.partition('<details class="pairs">')
    assert before.count("<table") == 1
    assert "copy command" in folded.partition("</details>")[0]
    assert "Searches compared" not in page
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


def test_limits_are_lines_over_the_cost_that_they_limit(tiny_maker):
    maker = tiny_maker(
        "strategy.rounds=1", "strategy.batch=6", "constraint.max_params=80000", "constraint.max_macs=2e6"
    )
    run = maker.answer(maker.run_rounds())
    [section] = sections_of(read_study(maker.folder))
    made = figures_of(section)
    for name, limit in (("costs", 2e6), ("costs-params", 80_000)):
        [line] = made[name].layout.shapes
        assert (line.x0, line.x1) == (limit, limit)
    traces = {trace.name: trace for trace in made["costs-params"].data}
    assert made["costs-params"].layout.xaxis.title.text == "params"
    assert list(traces["answer"].x) == [answer["costs"]["params"] for answer in run.answers]
    assert "front" not in traces  # it is one over MACs
    page = html_of([section])
    assert "Accuracy against params" in page
    assert 'id="costs-params-0"' in page


def test_predicted_against_measured_is_a_square_with_all_points(finished):
    [section] = sections_of(read_study(finished))
    figure = figures_of(section)["predictions"]
    low, high = figure.layout.xaxis.range
    assert figure.layout.yaxis.range == (low, high)
    assert figure.layout.yaxis.scaleanchor == "x"
    points = [value for trace in figure.data for values in (trace.x, trace.y) for value in values]
    assert low <= min(points) < max(points) <= high


def test_bars_point_left_where_larger_values_are_worse(finished):
    [section] = sections_of(read_study(finished))
    made, summary = figures_of(section), section.summary
    bars = {name: x for trace in made["importance"].data for name, x in zip(trace.y, trace.x, strict=True)}
    assert bars.keys() == summary.importance.keys()
    left = {name for name, x in bars.items() if x < 0}
    for name, along in summary.slices.items():
        assert abs(bars[name]) == pytest.approx(100 * summary.importance[name])
        if isinstance(along.choices[0], str | bool):
            assert name not in left
        elif np.ptp(along.accuracies) > 1e-3:  # rounded; the planted predictor is a line but for its ends
            assert (name in left) == (along.accuracies[-1] < along.accuracies[0])
    assert 3 < len(left) < len(bars) - 3


def test_slices_are_those_that_matter_most_on_one_scale(finished):
    [section] = sections_of(read_study(finished))
    figure, summary = figures_of(section)["slices"], section.summary
    most = sorted(summary.importance, key=summary.importance.get, reverse=True)[: len(figure.data)]
    assert [title.text for title in figure.layout.annotations] == most
    for trace, name in zip(figure.data, most, strict=True):
        assert trace.y == summary.slices[name].accuracies
        assert len(trace.x) == len(summary.slices[name].choices)
    matched = [figure.layout[axis].matches for axis in figure.layout if axis.startswith("yaxis")]
    assert matched.count(None) == 1  # the one that all others match
    assert len(set(matched)) == 2


def test_architectures_have_axes_in_the_parallel_coordinates(finished):
    [section] = sections_of(read_study(finished))
    [lines] = figures_of(section)["recipes"].data
    assert lines.dimensions[-1].label == "accuracy"
    axes = {axis.label: axis for axis in lines.dimensions if axis.label.startswith("stage")}
    for name, axis in axes.items():
        stage, key = int(name[5]) - 1, name.partition("/")[2]
        given = [c.record.architecture["stages"][stage] for c in section.with_status("finished")]
        if key in ("width", "depth"):
            assert list(axis.values) == [values[key] for values in given]
    assert len(axes) == 6 - ("resolution" in {axis.label for axis in lines.dimensions})


def test_ticks_of_a_narrow_front_do_not_read_the_same(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    result = maker.answer(maker.run_rounds()).result
    cost = result.costs["macs"]
    outcomes = [Outcome(number=i, overrides=(f"x={i}",), result=result) for i in range(2)]
    assert front_of_searches(sweep_of(outcomes)).layout.xaxis.range == (0.8 * cost, 1.2 * cost)
    far = result.model_copy(update={"costs": {**result.costs, "macs": 3 * cost}})
    outcomes.append(Outcome(number=2, overrides=("x=2",), result=far))
    assert front_of_searches(sweep_of(outcomes)).layout.xaxis.range is None
