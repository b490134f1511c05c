"""Courses: how the best accuracy that was measured rose with the trainings of a search."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nars.costs.table import COSTS, LIMITED, Cost
from nars.reporting.facts.sections import Section, Trained
from nars.study.answers import Run


@dataclass(frozen=True, kw_only=True)
class Course:
    """A search with a limit: `best` (n,) is the highest accuracy measured after `epoch` within the limit after each of
    its n trainings, None before there is one. `incumbent` is the training that gave the last."""

    name: str
    section: Section
    run: Run | None
    best: tuple[float | None, ...]
    incumbent: Trained | None

    @property
    def constraint(self) -> str:
        """The limit in words."""
        return self.run.summary.constraint if self.run else "none"

    @property
    def reached(self) -> int | None:
        """How many trainings it took to measure the best."""
        return self.best.index(self.best[-1]) + 1 if self.incumbent else None


def courses_of(sections: Sequence[Section]) -> list[Course]:
    """One course for each search of the sections; names tell them apart."""
    found = [(section, run) for section in sections for run in section.runs or (None,)]
    limits = {run.summary.constraint for _, run in found if run}
    return [_course(section, run, limited=len(limits) > 1) for section, run in found]


def limits_on(run: Run, name: str) -> list[float]:
    """The limits of a run on one cost, from below and from above."""
    constraint = run.constraint
    i = constraint.names.index(name)
    return [float(bound) for bound in (constraint.low[i], constraint.high[i]) if math.isfinite(bound)]


def limited_beside(section: Section) -> list[Cost]:
    """The costs that a section's runs limit, but for that of its front."""
    names = [name for name in LIMITED if name != section.axis.name]
    return [COSTS[name] for name in names if any(limits_on(run, name) for run in section.runs)]


def within(run: Run | None, trained: Sequence[Trained]) -> list[Trained]:
    """Those that keep the limits of a run; all without a run."""
    if run is None:
        return list(trained)
    constraint = run.constraint
    return [candidate for candidate in trained if constraint.kept_by(candidate.record.costs)]


def _confirmations(section: Section, run: Run | None) -> list[Trained]:
    """The trainings that a run's confirmation added to those of its rounds, in order."""
    known = {candidate.record.key for candidate in section.trained}
    records = section.study.records
    pairs = run.summary.confirmation.pairs if run is not None and run.summary.confirmation else ()
    return [
        Trained(record=records[key], round=0, predicted=pair.predicted)
        for pair in pairs
        for key in pair.keys
        if key not in known and key in records and records[key].status != "failed"
    ]


def _course(section: Section, run: Run | None, *, limited: bool) -> Course:
    trained = section.with_status("finished", "diverged") + _confirmations(section, run)
    kept = {candidate.record.key for candidate in within(run, trained) if candidate.record.status == "finished"}
    incumbent, best = None, []
    for candidate in trained:
        better = incumbent is None or section.accuracy(candidate) > section.accuracy(incumbent)
        if candidate.record.key in kept and better:
            incumbent = candidate
        best.append(None if incumbent is None else section.accuracy(incumbent))
    name = f"{section.name}, {run.summary.constraint}" if run and limited else section.name
    return Course(name=name, section=section, run=run, best=tuple(best), incumbent=incumbent)
