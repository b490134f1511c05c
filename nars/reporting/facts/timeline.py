"""When the trainings of a section ran, and what ran side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from nars.records import Record
from nars.reporting.facts.sections import Section

CONFIRMED, REFERENCE = "confirmed", "reference"


@dataclass(frozen=True, kw_only=True)
class Span:
    """A training: its record, what asked for it (`round 1`, `confirmed`, `reference`, `trained`), the `lane` (0 = the
    first) in which no two overlap, and its begin in seconds since the first of all."""

    record: Record
    asked_by: str
    lane: int
    begin: float

    @property
    def end(self) -> float:
        """In the same seconds."""
        return self.begin + self.record.seconds


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The trainings in the order of their begins, and the `pauses` that are shown shorter than they were: since when,
    and how many seconds long."""

    spans: tuple[Span, ...]
    pauses: tuple[tuple[float, float], ...]


def timeline_of(section: Section) -> Timeline:
    """The trainings whose records say when they began: those of the rounds, of confirmations, and of references.

    A pause longer than the median training is shown as long as that: searches go on after days.
    """
    asked = dict(_asked(section))
    records = {**section.study.records, **{c.record.key: c.record for c in section.trained}}
    known = [records[key] for key in asked if key in records and records[key].started is not None]
    known.sort(key=lambda record: (record.started, record.key))
    if not known:
        return Timeline(spans=(), pauses=())
    longest_pause = median(record.seconds for record in known)
    first, cut, busy_until = known[0].started, 0.0, 0.0
    lanes: list[float] = []
    spans, pauses = [], []
    for record in known:
        begin = _seconds(first, record.started) - cut
        if begin - busy_until > longest_pause:
            pauses.append((busy_until, begin - busy_until))
            cut += begin - busy_until - longest_pause
            begin = busy_until + longest_pause
        lane = next((i for i, end in enumerate(lanes) if end <= begin + 1), len(lanes))  # times are whole seconds
        lanes[lane : lane + 1] = [begin + record.seconds]
        busy_until = max(busy_until, begin + record.seconds)
        spans.append(Span(record=record, asked_by=asked[record.key], lane=lane, begin=begin))
    return Timeline(spans=tuple(spans), pauses=tuple(pauses))


def _asked(section: Section) -> Iterator[tuple[str, str]]:
    """Keys of trainings with what asked for them, what asked first last."""
    for confirmation in (run.summary.confirmation for run in section.runs):
        if confirmation is not None:
            yield from ((key, REFERENCE) for key in (confirmation.reference.keys if confirmation.reference else ()))
            yield from ((key, CONFIRMED) for pair in confirmation.pairs for key in pair.keys)
    yield from ((c.record.key, f"round {c.round}" if c.round else "trained") for c in section.trained)


def _seconds(first: datetime, moment: datetime) -> float:
    return (moment - first).total_seconds()
