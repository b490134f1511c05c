"""What a ledger says of a space: of all its records those that a predictor can learn from, and what the others lack."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from nars.errors import UserError
from nars.files import CONF, NumberLoader
from nars.methods.cross_validation import FOLDS
from nars.problem import Problem
from nars.records import Ledger, Record
from nars.settings import ArchitectureSpaceSettings, RecipeSpaceSettings, SearchSettings, SettingsType, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space
from nars.spaces.space import Space
from nars.study.ledgers import Kind, chosen_kind, kinds_of, ledger_file

REACHED_BY = 0.9  # of the finished trainings, by the epoch at which all are compared
FEWEST = FOLDS  # candidates: fewer cannot be cross-validated


@dataclass(frozen=True, kw_only=True)
class UsableRecords:
    """Records of one `kind` from `file` with their joint points (n, d), compared after `epoch`; in words, how many
    others were `left_out` and why."""

    file: Path
    kind: Kind
    records: tuple[Record, ...]
    points: np.ndarray
    epoch: int
    left_out: tuple[str, ...]


def usable_records(settings: SearchSettings, problem: Problem) -> UsableRecords:
    """The records that answer; UserError if there is no ledger, if it must be said which kind of trainings is meant, or
    if too few are left.

    Failed trainings say nothing, those whose candidate the space does not offer cannot be encoded. The others are
    compared at one age: the last epoch that nine in ten of the finished ones reach. A diverged training counts 0.
    """
    file = ledger_file(settings.records)
    where = f"records={settings.records}"
    ledger = list(Ledger(file))
    if not ledger:
        raise UserError(f"{where}: the ledger {file} is empty; give that of a search that has trained")
    known = [record for record in ledger if record.status != "failed"]
    if not known:
        raise UserError(f"{where}: all {len(ledger)} trainings failed; the first: {ledger[0].reason}")
    located = _located(problem.space, known)
    if not located:
        raise UserError(f"{where}: {_nowhere(problem.space, known)}")
    kind = chosen_kind(kinds_of(record for record, _ in located), settings.records_of, where=where)
    return _compared(file, kind, located, ledger, problem.space, where)


def _compared(
    file: Path,
    kind: Kind,
    located: Sequence[tuple[Record, np.ndarray]],
    ledger: Sequence[Record],
    space: JointSpace,
    where: str,
) -> UsableRecords:
    mine = [record for record in ledger if record.training == kind.training]
    fitting = [(record, point) for record, point in located if record.training == kind.training]
    epoch = common_epoch([record for record, _ in fitting])
    usable = [(record, point) for record, point in fitting if record.known_epochs >= epoch]
    counts = {
        "failed": sum(record.status == "failed" for record in mine),
        f"of candidates that {space.name} does not offer": sum(r.status != "failed" for r in mine) - len(fitting),
        f"with fewer than {epoch} epochs": len(fitting) - len(usable),
        "of another kind": len(ledger) - len(mine),
    }
    left_out = tuple(f"{count} {words}" for words, count in counts.items() if count)
    points = np.array([point for _, point in usable], dtype=np.int16).reshape(-1, len(space))
    distinct = len(np.unique(points, axis=0))
    if distinct < FEWEST:
        besides = f" (left out: {', '.join(left_out)})" if left_out else ""
        raise UserError(
            f"{where}: {distinct} candidates are too few to learn from{besides}; at least {FEWEST} are needed, and "
            "fewer than some dozens say little"
        )
    records = tuple(record for record, _ in usable)
    return UsableRecords(file=file, kind=kind, records=records, points=points, epoch=epoch, left_out=left_out)


def common_epoch(records: Sequence[Record]) -> int:
    """The last epoch (1 = first) that nine in ten of the finished trainings reach; 1 if none is finished."""
    lengths = sorted((len(record.accuracies) for record in records if record.status == "finished"), reverse=True)
    return lengths[math.ceil(REACHED_BY * len(lengths)) - 1] if lengths else 1


def _located(space: Space, records: Sequence[Record]) -> list[tuple[Record, np.ndarray]]:
    """Those records whose candidates the space offers, with their points."""
    found = []
    for record in records:
        try:
            found.append((record, space.locate_candidate(record.candidate)))
        except UserError:
            continue
    return found


def _nowhere(space: JointSpace, records: Sequence[Record]) -> str:
    """Why no record is in the space, and in which shipped one they are."""
    try:
        space.locate_candidate(records[0].candidate)
    except UserError as error:
        why = str(error)
    asked = f"search_space={space.architecture.name} recipe_space={space.recipe.name}"
    words = f"{asked} offers none of the {len(records)} recorded candidates ({why})"
    architectures = [ArchitectureSpace(s) for s in _shipped("search_space", ArchitectureSpaceSettings)]
    recipes = [recipe_space(s) for s in _shipped("recipe_space", RecipeSpaceSettings)]
    spaces = [JointSpace(architecture, recipe) for architecture in architectures for recipe in recipes]
    best = max(spaces, key=lambda other: (len(_located(other, records)), -other.cardinality))  # the smallest of equals
    fitting = len(_located(best, records))
    if not fitting:
        return f"{words}; no shipped space does: give the one that was searched"
    return f"{words}; {fitting} are in search_space={best.architecture.name} recipe_space={best.recipe.name}"


def _shipped(group: str, settings_class: type[SettingsType]) -> Iterator[SettingsType]:
    """The spaces in conf/ that say what is in them."""
    for file in sorted((CONF / group).glob("*.yaml")):
        values = yaml.load(file.read_text(encoding="utf-8"), Loader=NumberLoader)
        if "candidate" not in values:
            yield parse(settings_class, values, where=str(file))
