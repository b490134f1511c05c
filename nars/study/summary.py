"""What a search writes down of itself: `search.yaml`, from which reports are made without running anything."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from pydantic import ConfigDict, Field

from nars.costs.table import DEFAULT_AXIS, by_name
from nars.search.rounds import History, Round, predicted_against_measured, rank_agreement
from nars.settings import CostLimits, Settings, WindowSettings, parse
from nars.study import provenance


class Summary(Settings):
    """Base: what older or newer versions wrote beside the known keys is passed over."""

    model_config = ConfigDict(extra="ignore")


class Agreement(Summary):
    """How predictions agree with measurements; None where it is undefined."""

    candidates: int
    kendall_tau: float | None
    spearman: float | None
    mean_absolute_error: float | None


class CandidateSummary(Summary):
    """One candidate of a round: `accuracy` after the early-stop epoch, `predicted` before training if it was."""

    key: str
    status: str
    costs: dict[str, float]
    accuracy: float | None = None
    predicted: float | None = None


class RoundSummary(Summary):
    """One round; its candidates were asked to train for `epochs` epochs."""

    round: int
    epochs: int
    candidates: tuple[CandidateSummary, ...]
    agreement: Agreement | None = None


class EarlyStop(Summary):
    """The epoch after which trainings stop, the first candidates' rank correlation with the end after each epoch, and,
    where trainings run to the end, why."""

    epoch: int
    correlation_by_epoch: tuple[float | None, ...]
    why_not: str | None = None


class Work(Summary):
    """What a run trained (failed ones not counted) and reused, and how many of its candidates failed or diverged;
    why the first one failed."""

    trained: int
    reused: int
    failed: int
    failure: str | None = None
    diverged: int
    training_seconds: float


class LedgerSummary(Summary):
    """The ledger that answered alone: its file, the key of the kind of trainings, the `data` in words, how many
    `records` the predictor learned from, how many were left out and why, in words, the costs between which they lie, as
    limits, and the `settings` of their trainings, as far as they tell."""

    file: str
    kind: str
    data: str
    records: int
    left_out: tuple[str, ...] = ()
    limits: dict[str, float]
    settings: dict = Field(default_factory=dict)


class GenerationSummary(Summary):
    """One generation of the evolution, see `nars.search.evolution.Generation`."""

    best: float
    mean: float
    size: int
    evaluated: int
    infeasible: int
    duplicates: int


class FrontPoint(Summary):
    """A pair on the predicted Pareto front."""

    costs: dict[str, float]
    predicted_accuracy: float


class ConfirmedSummary(Summary):
    """A pair that was trained last: keys of its records by seed, accuracy of each (None: failed), what was predicted of
    it, and whether a round had trained it before."""

    keys: tuple[str, ...]
    costs: dict[str, float]
    accuracies: tuple[float | None, ...]
    predicted: float
    trained_before: bool


class ReferenceSummary(Summary):
    """The network that was trained beside these pairs: what the settings call it, keys of its records by seed, and
    the accuracy of each (None: failed)."""

    name: str
    keys: tuple[str, ...]
    costs: dict[str, float]
    accuracies: tuple[float | None, ...]


class ConfirmationSummary(Summary):
    """The last stage of a search: its pairs and the `reference`, each trained for `epochs` epochs."""

    epochs: int
    pairs: tuple[ConfirmedSummary, ...]
    reference: ReferenceSummary | None = None

    @property
    def keys(self) -> set[str]:
        """Of all its records."""
        reference = self.reference.keys if self.reference else ()
        return {*reference, *(key for pair in self.pairs for key in pair.keys)}


class SupernetEpoch(Summary):
    """One epoch of a supernet, see `nars.supernet.loop.Epoch`; costs in the order of `SupernetSummary.cost_names`."""

    temperature: float
    loss: float
    theta_loss: float | None
    accuracy: float | None
    expected: tuple[float, ...]
    argmax: tuple[float, ...]
    entropy: float
    decided: float


class SupernetSummary(Summary):
    """The search inside a supernet: `epochs` of `asked_epochs` that took `seconds` on `images` (their fingerprint); the
    `choices` of every dimension and, after each epoch, their `probabilities`."""

    images: str
    asked_epochs: int
    seconds: float
    cost_names: tuple[str, ...]
    choices: dict[str, tuple[bool | int | float | str, ...]]
    epochs: tuple[SupernetEpoch, ...]
    probabilities: dict[str, tuple[tuple[float, ...], ...]]

    def named(self, costs: Sequence[float]) -> dict[str, float]:
        """The costs of an epoch by name."""
        return by_name(self.cost_names, costs)


class LatencySummary(Summary):
    """Whose latency was a cost: the folder of its table, the `device` in words, of how many blocks, how many of these
    were not measured but predicted and the mean relative error of such predictions, and the one of sums over blocks
    against whole networks, None where none were measured."""

    table: str
    device: str
    blocks: int
    predicted: int = 0
    prediction_error: float | None = None
    sum_error: float | None = None


class Slice(Summary):
    """The mean predicted accuracy of pairs that all have one of some `choices` of a dimension."""

    choices: tuple[bool | int | float | str, ...]
    accuracies: tuple[float, ...]


class SearchSummary(Summary):
    """All that one run of `search.py` measured on the way. `importance`: dimension -> mean absolute change of the
    predicted accuracy when it is shuffled; `front`: the predicted Pareto front over `cost_axis`; `ledger`: what
    answered where nothing was trained, and then the one round holds its records, each `predicted` by a fit to others;
    `predictor`: the file, in the study's folder, of the fit that answered; `supernet`: of methods that search in one,
    which have no rounds.
    """

    constraint: str
    command: str | None = None
    git_commit: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    machine: str | None = None
    started: str | None = None
    seconds: float | None = None
    work: Work | None = None
    ledger: LedgerSummary | None = None
    early_stop: EarlyStop
    held_out_ranking: Agreement
    rounds: tuple[RoundSummary, ...]
    generations: tuple[GenerationSummary, ...] = ()
    confirmation: ConfirmationSummary | None = None
    latency: LatencySummary | None = None
    front: tuple[FrontPoint, ...] = ()
    importance: dict[str, float] = Field(default_factory=dict)
    slices: dict[str, Slice] = Field(default_factory=dict)
    predictor: str | None = None
    supernet: SupernetSummary | None = None
    settings: dict

    @property
    def window(self) -> CostLimits:
        """Between which costs the candidates lie that the predictor has learned from."""
        if self.ledger is not None:
            return parse(CostLimits, self.ledger.limits, where="ledger.limits")
        return parse(WindowSettings, self.settings["strategy"]["window"], where="strategy.window")

    @property
    def in_supernet(self) -> bool:
        """Whether the method searches in a supernet: then it has no rounds."""
        return "temperature" in self.settings.get("method", {})

    @property
    def cost_axis(self) -> str:
        """The name of the cost over which `front` is one."""
        return self.settings["strategy"].get("cost_axis", DEFAULT_AXIS)


def summary_of(findings: Mapping, *, constraint: str, settings: Mapping, started: datetime) -> SearchSummary:
    """The summary of a run so far: what a method found, and where it comes from."""
    values = {
        "constraint": constraint,
        "command": provenance.command_line(),
        "git_commit": provenance.git_commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(started.tzinfo) - started).total_seconds(), 1),
        **findings,
        "settings": dict(settings),
    }
    return parse(SearchSummary, values, where="summary")


def nothing_found(epochs: int) -> dict:
    """What stands in place of findings before the first round of trainings of `epochs` epochs is done."""
    return {
        "early_stop": {"epoch": epochs, "correlation_by_epoch": []},
        "held_out_ranking": rank_agreement(np.empty(0), np.empty(0)),
        "rounds": [],
    }


def findings_of(
    history: History,
    *,
    work: Mapping,
    generations: Sequence[Mapping] = (),
    front: Sequence[Mapping] = (),
    importance: Mapping[str, float] = {},
    slices: Mapping[str, Mapping] = {},
) -> dict:
    """What rounds and an evolution found, by section of the summary; `work` holds trained, reused, training_seconds."""
    records = [record for r in history.rounds for record in r.records]
    statuses = [record.status for record in records]
    return {
        "work": {
            **work,
            "failed": statuses.count("failed"),
            "failure": next((record.reason for record in records if record.status == "failed"), None),
            "diverged": statuses.count("diverged"),
        },
        "early_stop": {
            "epoch": history.epoch,
            "correlation_by_epoch": list(history.early_stop.correlations),
            "why_not": history.early_stop.why_not,
        },
        "held_out_ranking": rank_agreement(*history.held_out()),
        "rounds": [_round(r, history.epoch) for r in history.rounds],
        "generations": [dict(generation) for generation in generations],
        "front": [dict(point) for point in front],
        "importance": dict(importance),
        "slices": dict(slices),
    }


def _round(r: Round, epoch: int) -> dict:
    candidates = [
        {
            "key": record.key,
            "status": record.status,
            "costs": record.costs,
            "accuracy": None if record.status == "failed" else record.accuracy_at(epoch),
            "predicted": None if r.predicted is None else round(float(np.clip(r.predicted[i], 0, 1)), 6),
        }
        for i, record in enumerate(r.records)
    ]
    pairs = predicted_against_measured(r)
    return {
        "round": r.number,
        "epochs": r.epochs,
        "agreement": rank_agreement(*np.array(pairs).T) if pairs else None,
        "candidates": candidates,
    }
