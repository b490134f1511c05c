"""What is recorded of answers: by their own confirmation, or by other trainings on the same images in the same way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import mean, stdev

from nars.errors import UserError
from nars.records import Ledger, Record, training_key
from nars.spaces.candidate import Candidate
from nars.study.answers import Run
from nars.study.folder import Study
from nars.study.ledgers import LEDGER

TRAINED = "trained"  # the study of train.py, unless it is told another


def measured_epochs(run: Run) -> int:
    """After which epoch the answers of a run are measured: the last one of its confirmation, or of its protocol; where
    a ledger answers alone, the one at which its records are compared."""
    if run.summary.ledger is not None:
        return run.summary.early_stop.epoch
    settings = run.summary.settings
    return settings.get("confirm", {}).get("epochs") or settings["protocol"]["epochs"]


def with_measurements(run: Run, study: Study) -> Run:
    """The run, its answers with what the study's ledger, or the one of `train.py` beside it, records of them.

    What their confirmation measured stays, and their order.
    """
    training = training_of(run, study)
    if training is None or all("measured_accuracy" in answer for answer in run.answers):
        return run
    records = {r.key: r for r in (*_beside(study), *study.records.values()) if r.training == training}
    answers = [a if "measured_accuracy" in a else a | _recorded(a, records, measured_epochs(run)) for a in run.answers]
    return replace(run, answers=tuple(answers))


def training_of(run: Run, study: Study) -> Mapping | None:
    """What the trainings of a run have in common: data, protocol and precision; None if no record of them is there."""
    keys = (candidate.key for r in run.summary.rounds for candidate in r.candidates)
    return next((study.records[key].training for key in keys if key in study.records), None)


def _beside(study: Study) -> Iterable[Record]:
    ledger = study.folder.parent / TRAINED / LEDGER
    try:
        return tuple(Ledger(ledger)) if ledger.exists() else ()
    except UserError:  # another study's: it says so itself
        return ()


def _recorded(answer: Mapping, records: Mapping[str, Record], epochs: int) -> dict:
    """What records say of an answer; nothing if there are none."""
    candidate = Candidate(architecture=answer["architecture"], recipe=answer["recipe"])
    training = next((record.training for record in records.values()), {})
    keys = [training_key(candidate, training, seed) for seed in sorted({record.seed for record in records.values()})]
    known = [records[key] for key in keys if key in records and records[key].answers(epochs)]
    accuracies = [record.accuracy_at(epochs) for record in known]
    return measurement(accuracies, epochs) if accuracies else {}


def measurement(accuracies: Sequence[float], epochs: int) -> dict:
    """What is said of accuracies after `epochs` epochs, one per seed and at least one, as answers say it."""
    std = {"measured_std": stdev(accuracies)} if len(accuracies) > 1 else {}
    return {"measured_accuracy": mean(accuracies), "measured_seeds": len(accuracies), "measured_epochs": epochs} | std
