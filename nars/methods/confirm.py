"""The last stage of every method: the best pairs are trained, and what was measured ranks them (ours)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nars.costs.table import by_name
from nars.errors import UserError
from nars.methods.contract import Answer, Measurement
from nars.problem import Problem
from nars.records import Ledger, Record
from nars.search.distinct import best_apart
from nars.settings import ConfirmSettings, SearchSettings
from nars.spaces.candidate import Candidate
from nars.study.answers import deciding
from nars.study.folder import read_study

AFTER_ROUNDS = {"constraint", "evolution", "latency", "reference"}  # groups that decide nothing of what rounds train


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the answer is compared with: the network that the settings call `name`, as it is trained, and its costs by
    name."""

    name: str
    candidate: Candidate
    costs: dict[str, float]


def seeds_of(settings: ConfirmSettings, seed: int) -> list[int]:
    """The seeds that every pair is trained with: the study's and those after it."""
    return [(seed + i) % 2**32 for i in range(settings.seeds)]


def confirmed(
    answer: Answer,
    problem: Problem,
    settings: SearchSettings,
    train: Callable[..., Iterable[Record]],
    ledger: Ledger,
    reference: Reference | None = None,
) -> Answer:
    """The answer ranked by what was measured; as it is if `confirm.pairs` is 0.

    The best pairs of the answer and the best ones that its rounds have trained within the limits are trained by
    `train(candidates, epochs, title=, seeds=)`, which yields records. What searches of this study that differ in their
    limits alone have confirmed joins them, if it keeps these limits: `ledger` has the records. Measured pairs come
    first, then others by their prediction, then those that diverged; a training that failed measures nothing. The
    `reference` is trained in the same way, and is no part of the answer.
    """
    if not settings.confirm.pairs:
        return answer
    epochs, seeds = settings.confirm.epochs or settings.protocol.epochs, seeds_of(settings.confirm, problem.seed)
    trained = _best_trained(answer, problem, settings.confirm.pairs)
    points = np.concatenate([answer.points[: settings.confirm.pairs], trained, _before(problem, settings, ledger)])
    points = points[np.sort(np.unique(points, axis=0, return_index=True)[1])]
    candidates = [problem.space.candidate(point) for point in points]
    asked = [*candidates, *([reference.candidate] if reference else [])]
    title = f"confirming {len(candidates)} pairs" + (f" beside {reference.name}" if reference else "")
    records: dict[str, dict[int, Record]] = {candidate.name: {} for candidate in asked}
    for record in train(asked, epochs, title=title, seeds=seeds):
        records[record.candidate.name][record.seed] = record
    measured = [_measurement(records[candidate.name].values(), epochs) for candidate in candidates]
    ranked = _ranked(answer, points, measured, problem, settings.strategy.answers)
    found = [records[candidate.name] for candidate in candidates]
    confirmation = {"epochs": epochs, "pairs": _pairs(answer, problem, points, found, epochs)}
    if reference:
        found.append(records[reference.candidate.name])
        confirmation["reference"] = {"name": reference.name, "costs": reference.costs, **_measured(found[-1], epochs)}
    return replace(ranked, findings=_with_work(answer.findings, found) | {"confirmation": confirmation})


def _best_trained(answer: Answer, problem: Problem, n: int) -> np.ndarray:
    """The best points (k, d), k <= n, within the limits that the rounds have trained, and that have not diverged."""
    if not answer.history.rounds:  # of a method without rounds
        return answer.points[:0]
    points, accuracies = answer.history.usable()
    kept = problem.feasible(points) & (accuracies > 0) if len(points) else np.zeros(0, dtype=bool)
    points, accuracies = points[kept], accuracies[kept]
    points = points[np.argsort(-accuracies, kind="stable")]
    return points[best_apart(points, n, problem.space)]


def _before(problem: Problem, settings: SearchSettings, ledger: Ledger) -> np.ndarray:
    """Points (k, d) within the limits which searches with the same rounds have confirmed."""
    mine = _same_rounds(settings.model_dump(mode="json"))
    keys = [
        key
        for run in read_study(problem.folder).runs
        if run.summary.confirmation and _same_rounds(run.summary.settings) == mine
        for pair in run.summary.confirmation.pairs
        for key in pair.keys[:1]
    ]
    records = [record for record in map(ledger.get, dict.fromkeys(keys)) if record and record.status == "finished"]
    points = np.array([_located(record.candidate, problem) for record in records], dtype=np.int16)
    points = points.reshape(-1, len(problem.space))
    return points[problem.feasible(points)] if len(points) else points


def _same_rounds(settings: Mapping) -> dict:
    return {key: value for key, value in deciding(settings).items() if key not in AFTER_ROUNDS}


def _located(candidate: Candidate, problem: Problem) -> np.ndarray:
    try:
        return problem.space.locate_candidate(candidate)
    except UserError as error:  # the settings are the same, and so is the space
        raise AssertionError(str(error)) from error


def _measurement(records: Iterable[Record], epochs: int) -> Measurement | None:
    accuracies = [_accuracy(record, epochs) for record in sorted(records, key=lambda record: record.seed)]
    known = tuple(accuracy for accuracy in accuracies if accuracy is not None)
    return Measurement(accuracies=known, epochs=epochs) if known else None


def _accuracy(record: Record, epochs: int) -> float | None:
    return None if record.status == "failed" else record.accuracy_at(epochs)


def _ranked(
    answer: Answer, points: np.ndarray, measured: Sequence[Measurement | None], problem: Problem, n: int
) -> Answer:
    """The n best of the measured points and of those of the answer."""
    others = answer.points[~(answer.points[:, None] == points[None]).all(axis=2).any(axis=1)]
    points, measured = np.concatenate([points, others]), [*measured, *[None] * len(others)]
    accuracies, stds = answer.predict(points)
    means = np.array([np.nan if m is None else m.mean for m in measured])
    place = np.where(means > 0, 0, np.where(np.isnan(means), 1, 2))
    order = np.lexsort([-accuracies, -np.nan_to_num(means), place])
    order = order[best_apart(points[order], n, problem.space)]
    return replace(
        answer,
        points=points[order],
        accuracies=accuracies[order],
        stds=stds[order],
        measured=tuple(measured[i] for i in order),
    )


def _pairs(
    answer: Answer, problem: Problem, points: np.ndarray, records: Sequence[Mapping[int, Record]], epochs: int
) -> list[dict]:
    """What the summary says of them."""
    in_rounds = {point.tobytes() for r in answer.history.rounds for point in r.points}
    accuracies, _ = answer.predict(points)
    return [
        {
            **_measured(by_seed, epochs),
            "costs": by_name(problem.costs, price),
            "predicted": round(float(np.clip(accuracy, 0, 1)), 6),
            "trained_before": point.tobytes() in in_rounds,
        }
        for point, by_seed, price, accuracy in zip(points, records, problem.price(points), accuracies, strict=True)
    ]


def _measured(by_seed: Mapping[int, Record], epochs: int) -> dict:
    records = [record for _, record in sorted(by_seed.items())]
    return {"keys": [record.key for record in records], "accuracies": [_accuracy(record, epochs) for record in records]}


def _with_work(findings: Mapping, found: Sequence[Mapping[int, Record]]) -> dict:
    """The findings with what failed and diverged here; the rounds have counted their own."""
    counted = {candidate["key"] for r in findings["rounds"] for candidate in r["candidates"]}
    records = [record for by_seed in found for record in by_seed.values() if record.key not in counted]
    failed = [record for record in records if record.status == "failed"]
    work = dict(findings["work"])
    work["failed"] += len(failed)
    work["diverged"] += sum(record.status == "diverged" for record in records)
    work["failure"] = work["failure"] or next((record.reason for record in failed), None)
    return {**findings, "work": work}
