"""A study for people to look at: sections of runs that share their rounds, with everything that is known of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from nars.costs.table import COSTS, DEFAULT_AXIS, Cost
from nars.files import content_key
from nars.records import Record
from nars.study.answers import Run, deciding
from nars.study.folder import Study
from nars.study.summary import SearchSummary

NAMED_FIRST = ("data.name", "strategy.name", "seed")
NAMED = 2  # other settings that a section's name says at most


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One trained candidate: its record, the round that asked for it (0 = no round is known), what was predicted."""

    record: Record
    round: int
    predicted: float | None


@dataclass(frozen=True, kw_only=True)
class Section:
    """Runs of one study that share their rounds, their predictor and their cost axis: they differ in the limits of the
    answer alone.

    `summary` is that of one of them, None for a study of records alone. `accuracy_at` is taken at `epoch`.
    """

    name: str
    study: Study
    runs: tuple[Run, ...]
    trained: tuple[Trained, ...]
    epoch: int

    @property
    def summary(self) -> SearchSummary | None:
        """What the runs have in common."""
        return self.runs[0].summary if self.runs else None

    @property
    def axis(self) -> Cost:
        """The cost over which fronts are drawn."""
        return COSTS[self.summary.cost_axis if self.summary else DEFAULT_AXIS]

    @property
    def rounds(self) -> dict[int, list[Trained]]:
        """Candidates by round."""
        numbers = sorted({candidate.round for candidate in self.trained})
        return {number: [c for c in self.trained if c.round == number] for number in numbers}

    def accuracy(self, candidate: Trained) -> float:
        """Accuracy at the section's epoch, 0 for a diverged training."""
        return candidate.record.accuracy_at(self.epoch)

    @property
    def begun(self) -> dict[str, tuple[float, ...]]:
        """Curves of trainings that are not in the ledger; none unless its search is the one that goes on."""
        return self.study.begun if not self.runs or self.study.going_on in self.runs else {}

    def best(self, number: int) -> float | None:
        """The best accuracy of round `number` within the limits of one of the runs; None if no candidate keeps them."""
        return max((self.accuracy(c) for c in self.rounds.get(number, ()) if self._within(c)), default=None)

    def best_outside(self, number: int) -> float | None:
        """The best accuracy of round `number` outside all limits; None if all keep them."""
        return max((self.accuracy(c) for c in self.rounds.get(number, ()) if not self._within(c)), default=None)

    def _within(self, candidate: Trained) -> bool:
        return not self.runs or any(run.constraint.kept_by(candidate.record.costs) for run in self.runs)

    def with_status(self, *statuses: str) -> list[Trained]:
        """The candidates that ended so."""
        return [candidate for candidate in self.trained if candidate.record.status in statuses]

    @property
    def origins(self) -> list[list[Run]]:
        """Runs by where they come from: command, seed, code, versions and machine."""
        origins: dict[tuple, list[Run]] = {}
        for run in self.runs:
            s = run.summary
            key = (s.command, s.settings["seed"], s.git_commit, tuple(s.versions.items()), s.machine)
            origins.setdefault(key, []).append(run)
        return list(origins.values())

    @property
    def failures(self) -> dict[str, list[Trained]]:
        """Failed candidates by the reason that their records give."""
        failures: dict[str, list[Trained]] = {}
        for candidate in self.with_status("failed"):
            failures.setdefault(candidate.record.reason or "for no known reason", []).append(candidate)
        return failures


def sections_of(*studies: Study) -> list[Section]:
    """The sections of the studies, or one for the records of a study without a run; named by what differs."""
    parts = [(study, runs) for study in studies for runs in _groups(study)]
    names = _names(parts)
    return [
        _of_runs(name, study, runs) if runs else _of_records(name, study)
        for name, (study, runs) in zip(names, parts, strict=True)
    ]


def _groups(study: Study) -> list[list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in study.runs:
        groups.setdefault(_shared(run.summary), []).append(run)
    return list(groups.values()) or [[]]


def _shared(summary: SearchSummary) -> str:
    """A key of the rounds, of what shows the predictor (what it said before trainings, what it listens to), and of the
    cost axis."""
    left_out = {"agreement": True, "candidates": {"__all__": {"costs"}}}  # follows from the rest; are priced as limited
    content = {
        "rounds": [r.model_dump(mode="json", exclude=left_out) for r in summary.rounds],
        "classes": summary.settings["constraint"].get("num_classes"),  # that costs count
        "latency": summary.settings.get("latency"),
        "epoch": summary.early_stop.epoch,
    }
    if not summary.rounds:
        content["settings"] = deciding(summary.settings)
    return content_key(content | {"importance": summary.importance, "axis": summary.cost_axis})


def _names(parts: list[tuple[Study, list[Run]]]) -> list[str]:
    """The study, if there are several, and what differs of data, strategy and seed; then other settings, and a number,
    where that is not enough."""
    labels = _labels([study for study, _ in parts])
    if len(parts) == 1:
        return labels
    settings = [dict(_leaves(deciding(runs[0].summary.settings))) if runs else {} for _, runs in parts]
    several = len(set(labels)) > 1
    keys = [key for key in NAMED_FIRST if _differ(key, settings)]
    names = [[label] * several + _words(values, keys) for label, values in zip(labels, settings, strict=True)]
    ledgers = any(runs and runs[0].summary.ledger for _, runs in parts)
    if ledgers:
        names = [name + [_source(runs[0].summary)] * bool(runs) for name, (_, runs) in zip(names, parts, strict=True)]
    if len({*map(tuple, names)}) < len(names):
        others = [key for key in dict.fromkeys(key for values in settings for key in values) if key not in NAMED_FIRST]
        others = [key for key in others if not key.startswith("constraint.m")]  # the limits are said of each run
        others = [key for key in others if _differ(key, settings)]
        if ledgers:  # to which fewer settings matter
            others = [key for key in others if all(key in values for values in settings if values)]
        names = [name + _words(values, others[:NAMED]) for name, values in zip(names, settings, strict=True)]
    joined = [", ".join(name) or label for name, label in zip(names, labels, strict=True)]
    before = [joined[:i].count(name) for i, name in enumerate(joined)]
    return [name + (f" ({n + 1})" if n else "") for name, n in zip(joined, before, strict=True)]


def _labels(studies: list[Study]) -> list[str]:
    """The names of the folders, with the folder above where two are called the same."""
    folders = {study.folder.absolute() for study in studies}
    called = [folder.name for folder in folders]
    paths = [study.folder.absolute() for study in studies]
    return [p.name if called.count(p.name) == 1 else f"{p.parent.name}/{p.name}" for p in paths]


def _differ(key: str, settings: list[dict]) -> bool:
    return len({str(values.get(key)) for values in settings if values}) > 1


def _words(settings: dict, keys: list[str]) -> list[str]:
    words = {"seed": "seed {}", "data.name": "data={}", "strategy.name": "strategy={}"}
    return [words.get(key, f"{key}={{}}").format(settings.get(key)) for key in keys if settings]


def _source(summary: SearchSummary) -> str:
    if summary.ledger is not None:
        return f"from {summary.ledger.records} records of {summary.ledger.kind}"
    return f"{len(summary.rounds)} rounds"


def _leaves(settings: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Dotted keys with their values, lists left out."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            yield prefix + key, value


def _of_runs(name: str, study: Study, runs: list[Run]) -> Section:
    costs: dict[str, dict[str, float]] = {}
    for candidate in (c for run in runs for r in run.summary.rounds for c in r.candidates):
        costs[candidate.key] = costs.get(candidate.key, {}) | candidate.costs
    trained = tuple(
        Trained(
            record=study.records[c.key].model_copy(update={"costs": study.records[c.key].costs | costs[c.key]}),
            round=r.round,
            predicted=c.predicted,
        )
        for r in runs[0].summary.rounds
        for c in r.candidates
        if c.key in study.records
    )
    trained += _of_this_round(study, runs)
    return Section(name=name, study=study, runs=tuple(runs), trained=trained, epoch=runs[0].summary.early_stop.epoch)


def _of_this_round(study: Study, runs: list[Run]) -> tuple[Trained, ...]:
    """What is trained of the round that goes on, if one of the runs does."""
    run = study.going_on
    if run not in runs or run.summary.ledger or run.rounds_left == 0:
        return ()
    number = len(run.summary.rounds) + 1
    return tuple(Trained(record=record, round=number, predicted=None) for record in study.trained_since(run))


def _of_records(name: str, study: Study) -> Section:
    """Records without a summary, compared at the last epoch that all finished ones have."""
    records = study.records.values()
    epoch = min((len(record.accuracies) for record in records if record.status == "finished"), default=1)
    trained = tuple(Trained(record=record, round=0, predicted=None) for record in records)
    return Section(name=name, study=study, runs=(), trained=trained, epoch=epoch)
