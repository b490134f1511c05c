"""Searches compared: how they are named, and how the best accuracy measured within the limit rose."""

from dataclasses import replace

import pytest

from nars.reporting.facts.courses import courses_of
from nars.reporting.facts.sections import sections_of
from nars.reporting.page.figures.compared import best_so_far
from nars.reporting.page.figures.curves import learning_curves
from nars.reporting.page.report import write_report
from nars.settings import parse
from nars.study.answers import write_answer
from nars.study.folder import read_study
from nars.study.summary import SearchSummary

SMALL = ("strategy.rounds=1", "strategy.batch=30")


@pytest.fixture
def study(tiny_maker):
    """A function: a study that has run its round, read from its folder."""

    def make(*overrides, name="tiny"):
        maker = tiny_maker(*SMALL, *overrides, name=name)
        maker.answer(maker.run_rounds())
        return read_study(maker.folder)

    return make


def test_the_best_is_of_finished_trainings_within_the_limit(tiny_maker):
    maker = tiny_maker(*SMALL)
    history = maker.run_rounds()
    records = history.rounds[0].records
    better = max(records, key=lambda record: record.accuracy_at(history.epoch))
    limit = better.costs["macs"] - 1  # leaves out the best of all
    maker.limit(limit)
    maker.answer(history)
    [course] = [course for course in courses_of(sections_of(read_study(maker.folder))) if course.run.finished]
    trained = [record for record in records if record.status != "failed"]
    best = 0.0
    for record, shown in zip(trained, course.best, strict=True):
        if record.status == "finished" and record.costs["macs"] <= limit:
            best = max(best, record.accuracy_at(history.epoch))
        assert shown == (best or None)
    assert course.incumbent.record.costs["macs"] <= limit
    assert course.best[-1] < better.accuracy_at(history.epoch)
    assert course.best[course.reached - 1] == best
    assert course.reached == 1 or course.best[course.reached - 2] != best


def test_what_confirmed_the_answer_counts_after_the_rounds(tiny_maker):
    maker = tiny_maker("strategy.rounds=2", "strategy.batch=4")
    history = maker.run_rounds()
    maker.answer(history)
    study = read_study(maker.folder)
    [section] = sections_of(study)
    first, *later = [candidate for candidate in section.trained if candidate.record.status == "finished"]
    best = max(later, key=section.accuracy)
    without = replace(section, trained=tuple(c for c in section.trained if c != best))
    pair = {"keys": (best.record.key, first.record.key, "lost"), "costs": {}, "accuracies": (0.5, 0.5, None)}
    confirmation = {"epochs": 1, "pairs": [pair | {"predicted": 0.6, "trained_before": False}]}
    summary = parse(SearchSummary, section.summary.model_dump(mode="json") | {"confirmation": confirmation})
    [course] = courses_of([replace(without, runs=(replace(section.runs[0], summary=summary),))])
    [before] = courses_of([without])
    assert course.best[:-1] == before.best  # `first` is known from a round, and nothing is known of the lost one
    assert course.best[-1] == max(section.accuracy(best), before.best[-1])


def test_nothing_within_the_limit_is_no_line(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    run = maker.answer(history)
    [section] = sections_of(read_study(maker.folder))
    constraint = run.summary.settings["constraint"] | {"max_macs": 1.0}
    changed = run.summary.model_copy(update={"settings": run.summary.settings | {"constraint": constraint}})
    runs = (type(run)(folder=run.folder, summary=changed, answers=run.answers),)
    [course] = courses_of([replace(section, runs=runs)])
    assert course.best == (None,) * 4
    assert course.reached is None
    assert best_so_far([course]) is None


def test_searches_are_named_by_what_differs(study):
    one = study("seed=1", name="one")
    study("strategy=evolution", name="one")
    both = [section.name for section in sections_of(read_study(one.folder))]
    assert sorted(both) == ["strategy=evolution, seed 0", "strategy=random, seed 1"]
    names = [section.name for section in sections_of(one, study(name="two"))]
    assert names == ["one, seed 1", "two, seed 0"]
    assert [section.name for section in sections_of(one)] == ["one"]


def test_studies_of_one_name_are_told_apart_by_where_they_lie(tiny_maker):
    folders = []
    for name in ("a/digits", "b/digits"):
        maker = tiny_maker("strategy.rounds=1", "strategy.batch=4", name=name)
        maker.run_rounds()
        folders.append(maker.folder)
    assert [s.name for s in sections_of(*map(read_study, folders))] == ["a/digits", "b/digits"]


def test_one_figure_overlays_all_searches_and_each_section_is_folded(study):
    studies = [study(f"seed={seed}", name=f"s{seed}") for seed in range(3)]
    sections = sections_of(*studies)
    figure = best_so_far(courses_of(sections))
    assert [line.name for line in figure.data] == [section.name for section in sections]
    assert {line.type for line in figure.data} == {"scatter"}  # SVG
    for line, section in zip(figure.data, sections, strict=True):
        accuracies = [section.accuracy(c) for c in section.with_status("finished", "diverged")]
        assert list(line.x) == list(range(1, len(accuracies) + 1))
        assert line.y[-1] == max(accuracies)
    page = write_report([s.folder for s in studies], studies[0].folder / "all.html").read_text()
    assert "<h1>Comparison of 3 studies</h1>" in page
    assert page.count('<details class="part">') == 3
    alone = write_report([studies[0].folder]).read_text()
    assert "<h1>s0</h1>" in alone
    assert '<details class="part">' not in alone
    assert "Searches compared" not in alone


def test_a_training_begun_is_drawn_where_a_search_is_not_finished(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    history = maker.run_rounds()
    begun = maker.folder / "trainings" / "0123456789abcdef"
    begun.mkdir(parents=True)
    (begun / "epochs.jsonl").write_text('{"epoch": 1, "accuracy": 0.5}\n')

    def names():
        [section] = sections_of(read_study(maker.folder))
        return [trace.name for trace in learning_curves(section).data]

    assert "begun" in names()
    maker.answer(history)
    assert "begun" not in names()


def test_limits_on_other_costs_share_their_rounds(tiny_maker):
    """Each search prices what it limits; the section knows all of it."""
    maker = tiny_maker(*SMALL)
    history = maker.run_rounds()
    run = maker.answer(history)
    rounds = run.summary.model_dump(mode="json")["rounds"]
    for candidate in rounds[0]["candidates"]:
        candidate["costs"]["activations"] = 5.0
    limits = {"max_activations": 8e6, "num_classes": run.summary.settings["constraint"]["num_classes"]}
    settings = run.summary.settings | {"constraint": limits}
    changes = {"rounds": rounds, "settings": settings, "constraint": "activations <= 8M"}
    summary = parse(SearchSummary, run.summary.model_dump(mode="json") | changes)
    write_answer(run.folder.with_name("activations"), run.answers, summary)
    [section] = sections_of(read_study(maker.folder))
    assert len(section.runs) == 2
    assert all({"macs", "params", "activations"} <= set(c.record.costs) for c in section.trained)
    settings = settings | {"constraint": limits | {"num_classes": 7}}  # costs are others then
    other = parse(SearchSummary, summary.model_dump(mode="json") | {"settings": settings})
    write_answer(run.folder.with_name("classes"), run.answers, other)
    assert sorted(len(section.runs) for section in sections_of(read_study(maker.folder))) == [1, 2]
