"""A study for people to look at: sections of runs that share their rounds, with everything that is known of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from nars.costs.table import COSTS, DEFAULT_AXIS, Cost
from nars.files import content_key
from nars.records import Record
from nars.study.answers import Run, deciding
from nars.study.folder import Study
from nars.study.summary import SearchSummary

NAMED = 2  # settings that a section's name says at most


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

    def best(self, number: int) -> float | None:
        """The best accuracy of round `number`; None if none of it is in the ledger."""
        return max((self.accuracy(c) for c in self.rounds.get(number, ())), default=None)

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


def sections_of(study: Study) -> list[Section]:
    """The sections of a study, or one for its records if there is no run."""
    groups: dict[str, list[Run]] = {}
    for run in study.runs:
        groups.setdefault(_shared(run.summary), []).append(run)
    if not groups:
        return [_of_records(study)]
    names = _names(study, [runs[0].summary for runs in groups.values()])
    return [_of_runs(name, study, runs) for name, runs in zip(names, groups.values(), strict=True)]


def _shared(summary: SearchSummary) -> str:
    """A key of the rounds, of what shows the predictor (what it said before trainings, what it listens to), and of the
    cost axis."""
    content = {"rounds": [r.model_dump(mode="json") for r in summary.rounds], "epoch": summary.early_stop.epoch}
    return content_key(content | {"importance": summary.importance, "axis": summary.cost_axis})


def _names(study: Study, summaries: list[SearchSummary]) -> list[str]:
    """Study, seed, rounds, and the first settings that differ; numbered where that is not enough."""
    if len(summaries) == 1:
        return [study.folder.name]
    settings = [dict(_leaves(deciding(summary.settings))) for summary in summaries]
    keys = list(dict.fromkeys(key for values in settings for key in values))
    keys = [key for key in keys if key != "seed" and len({str(values.get(key)) for values in settings}) > 1]
    keys = [key for key in keys if not key.startswith("constraint.m")]  # the limits are said of each run
    if any(summary.ledger for summary in summaries):  # to which fewer settings matter
        keys = [key for key in keys if all(key in values for values in settings)]
    names = [
        f"{study.folder.name}, seed {summary.settings['seed']}, {_source(summary)}"
        + "".join(f", {key}={values.get(key)}" for key in keys[:NAMED])
        for summary, values in zip(summaries, settings, strict=True)
    ]
    before = [names[:i].count(name) for i, name in enumerate(names)]
    return [name + (f" ({n + 1})" if n else "") for name, n in zip(names, before, strict=True)]


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
    trained = tuple(
        Trained(
            record=study.records[c.key].model_copy(update={"costs": study.records[c.key].costs | c.costs}),
            round=r.round,
            predicted=c.predicted,
        )
        for r in runs[0].summary.rounds
        for c in r.candidates
        if c.key in study.records
    )
    return Section(name=name, study=study, runs=tuple(runs), trained=trained, epoch=runs[0].summary.early_stop.epoch)


def _of_records(study: Study) -> Section:
    """Records without a summary, compared at the last epoch that all finished ones have."""
    records = study.records.values()
    epoch = min((len(record.accuracies) for record in records if record.status == "finished"), default=1)
    trained = tuple(Trained(record=record, round=0, predicted=None) for record in records)
    return Section(name=study.folder.name, study=study, runs=(), trained=trained, epoch=epoch)
