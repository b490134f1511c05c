"""When trainings ran: lanes in which nothing overlaps, pauses that are cut, and records that do not say it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.timeline import timeline_of
from nars.reporting.page.figures.timeline import timeline
from nars.settings import parse
from nars.study.folder import read_study
from nars.study.summary import SearchSummary

FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ran(tiny_maker):
    """A function: the section of a study of two rounds of 4, its trainings begun so many seconds after the first and
    taking so long; None = not recorded."""
    maker = tiny_maker("strategy.rounds=2", "strategy.batch=4")
    maker.answer(maker.run_rounds())
    study = read_study(maker.folder)

    def section(times):
        records = dict(study.records)
        for (key, record), at in zip(study.records.items(), times, strict=True):
            if at is not None:
                begin = FIRST + timedelta(seconds=at[0])
                records[key] = record.model_copy(update={"started": begin, "seconds": at[1]})
        [section] = sections_of(replace(study, records=records))
        return section

    return section


def test_no_two_overlap_in_a_lane_and_no_lane_is_too_many(ran):
    rng = np.random.default_rng(4)
    times = [(float(begin), float(rng.uniform(1, 30))) for begin in np.cumsum(rng.integers(0, 8, size=8))]
    times[0] = (0.0, times[0][1])
    found = timeline_of(ran(times))
    assert found.pauses == ()
    assert [(span.begin, span.record.seconds) for span in found.spans] == [pytest.approx(at) for at in sorted(times)]
    assert [span.asked_by for span in found.spans] == ["round 1"] * 4 + ["round 2"] * 4
    for lane in {span.lane for span in found.spans}:
        mine = [span for span in found.spans if span.lane == lane]
        assert all(before.end <= after.begin + 1 for before, after in pairwise(mine))
    at_once = max(sum(other.begin <= span.begin < other.end for other in found.spans) for span in found.spans)
    assert 1 + max(span.lane for span in found.spans) <= at_once


def test_a_pause_is_cut_to_the_median_training(ran):
    times = [(10.0 * i, 10.0) for i in range(4)] + [(90_000.0 + 10 * i, 10.0) for i in range(4)]
    section = ran(times)
    found = timeline_of(section)
    assert found.pauses == ((40.0, 90_000.0 - 40),)
    assert [span.begin for span in found.spans] == [0, 10, 20, 30, 50, 60, 70, 80]
    assert {span.lane for span in found.spans} == {0}
    figure = timeline(section)
    assert [trace.name for trace in figure.data] == ["round 1", "round 2"]
    assert figure.data[1].base[0] == 50  # seconds, of so short a search
    assert "25.0 h of nothing" in figure.layout.annotations[0].text


def test_records_without_a_begin_are_left_out(ran):
    assert len(timeline_of(ran([(0.0, 5.0), None, (5.0, 5.0), *[None] * 5])).spans) == 2
    assert timeline(ran([None] * 8)) is None


def test_what_confirmed_the_answer_and_the_reference_are_named(ran):
    section = ran([(10.0 * i, 10.0) for i in range(8)])
    run = section.runs[0]
    others = [
        record.model_copy(update={"key": key, "started": FIRST + timedelta(seconds=at)})
        for (key, at), record in zip([("c" * 8, 80), ("d" * 8, 81)], section.study.records.values(), strict=False)
    ]
    pair = {"keys": [others[0].key, section.trained[0].record.key], "costs": {}, "accuracies": [0.5, 0.5]}
    pair |= {"predicted": 0.5, "trained_before": False}
    reference = {"name": "fbnetv3_a", "keys": [others[1].key], "costs": {}, "accuracies": [0.5]}
    confirmation = {"epochs": 1, "pairs": [pair], "reference": reference}
    summary = parse(SearchSummary, json.loads(run.summary.model_dump_json()) | {"confirmation": confirmation})
    study = replace(section.study, records=section.study.records | {record.key: record for record in others})
    found = timeline_of(replace(section, runs=(replace(run, summary=summary),), study=study))
    assert [span.asked_by for span in found.spans[-2:]] == ["confirmed", "reference"]
    assert found.spans[0].asked_by == "round 1"  # a round had asked for it before
    assert len(found.spans) == 10
