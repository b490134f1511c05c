"""Studies in Python, for notebooks: `nars.open_study("runs/digits")`."""

from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from pydantic import TypeAdapter
from torch import nn

from nars.candidates import open_architectures
from nars.costs.constraint import Constraint, priced
from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.predictor.predictor import Predictor
from nars.problem import Problem
from nars.reporting.facts.rows import candidate_rows
from nars.reporting.facts.sections import sections_of
from nars.settings import (
    ConstraintSettings,
    CostLimits,
    DataSettings,
    LatencySettings,
    RecipeSpaceSettings,
    parse,
    search_space_of,
)
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.recipe import recipe_space
from nars.study.answers import Run
from nars.study.folder import Study, read_study
from nars.study.next_step import train_command
from nars.training.weights.card import WEIGHTS, load_trained, read_card


def open_study(folder: str | Path) -> "OpenStudy":
    """The study in a folder, such as runs/digits, as it is now; UserError if there is none."""
    return OpenStudy(read_study(Path(folder)))


@dataclass(frozen=True)
class OpenStudy:
    """What a study knows. Its searches are told apart by the names of their folders in `answers`; where none is named,
    the one that was begun last is meant."""

    study: Study

    def records(self):
        """What was trained, one row each, as in report.csv: a pandas frame, or a list of dicts where pandas is not
        installed."""
        rows = candidate_rows(sections_of(self.study))
        if find_spec("pandas") is None:
            return rows
        import pandas

        return pandas.DataFrame(rows)

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of the finished searches, that which was begun last at the end."""
        return tuple(run.folder.name for run in self._finished)

    def best(self, rank: int = 1, *, answer: str | None = None) -> "Pair":
        """The pair of that rank (1 = best) which a search found."""
        run = self._run(answer)
        if not 1 <= rank <= len(run.answers):
            raise UserError(f"rank={rank}: {run.folder} holds {len(run.answers)} pairs; give 1 to {len(run.answers)}")
        return Pair(study=self.study, run=run, rank=rank)

    def space(self, *, answer: str | None = None) -> JointSpace:
        """The joint space that was searched."""
        settings = self._run(answer).summary.settings
        recipe = parse(RecipeSpaceSettings, settings["recipe_space"], where="recipe_space")
        return JointSpace(open_architectures(search_space_of(settings["search_space"])), recipe_space(recipe))

    def problem(self, *, answer: str | None = None, **limits: float) -> Problem:
        """The question of a search under limits of one's own (`max_macs=5e8`; none: its own), with what `evolve` takes:
        `space`, `feasible`, `extremes`."""
        run = self._run(answer)
        settings = run.summary.settings
        own = parse(ConstraintSettings, settings["constraint"], where="constraint")
        limited = parse(CostLimits, limits, where="limits") if limits else own
        latency = parse(LatencySettings, settings.get("latency", {}), where="latency")
        names = priced(run.summary.cost_axis, limited, latency=latency.table is not None)
        return Problem(
            space=self.space(answer=answer),
            constraint=Constraint.of(limited, names),
            classes_counted=own.num_classes,
            cost_axis=run.summary.cost_axis,
            data_settings=TypeAdapter(DataSettings).validate_python(settings["data"]),
            seed=settings["seed"],
            folder=self.study.folder,
            latency=latency if latency.table is not None else None,
        )

    def predictor(self, *, answer: str | None = None) -> Predictor:
        """The predictor that a search answered with, fitted to its records: it takes points as `space().encode` gives
        them."""
        run = self._run(answer)
        if run.summary.predictor is None:
            raise UserError(
                f"{run.folder}: names no predictor (of an older version, or a method without one); remove its "
                "search.yaml and run the same search again, which trains nothing"
            )
        file = self.study.folder / run.summary.predictor
        return Predictor.load(file, specification=self.space(answer=answer).specification)

    @cached_property
    def _finished(self) -> list[Run]:
        return sorted((run for run in self.study.runs if run.finished), key=lambda run: run.summary.started or "")

    def _run(self, answer: str | None) -> Run:
        if not self._finished:
            raise UserError(f"{self.study.folder}: no search has ended with an answer yet")
        named = [run for run in self._finished if answer in (None, run.folder.name)]
        if not named:
            raise UserError(
                f"answer={answer}: {self.study.folder} has no such answer; it has {', '.join(self.answers)}"
            )
        return named[-1]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An architecture with a recipe that a search of `study` found as its `rank`-th."""

    study: Study
    run: Run
    rank: int

    @property
    def values(self) -> dict:
        """All that its file holds: `predicted_accuracy`, `predicted_std`, `measured_accuracy` if it was trained,
        `costs` by name, ..."""
        return self.run.answers[self.rank - 1]

    @property
    def candidate(self) -> Candidate:
        """Architecture and recipe, in plain containers."""
        return Candidate.from_dict(self.values)

    def network(self, *, num_classes: int | None = None) -> nn.Module:
        """Its network, untrained: float32 (b, 3, r, r) -> (b, num_classes), None: as many as the study's images have;
        UserError if its records do not say how many."""
        known = (record.origin.classes for record in self.study.records.values() if record.origin is not None)
        classes = num_classes or next(known, None)
        if classes is None:
            raise UserError(f"{self.study.folder}: its records do not say how many classes there are: num_classes=...")
        return network_of(architecture_of(self.candidate.architecture), num_classes=classes)

    def trained(self) -> nn.Module:
        """Its network with the best weights that `train.py` has left of this pair in the study, in evaluation mode;
        UserError with the command that trains it if there are none."""
        cards = {
            file: card
            for file in sorted(self.study.folder.glob(f"trainings/*/{WEIGHTS}"))
            if (card := read_card(file))
            and "detector" not in card
            and Candidate.from_dict(card).checked() == self.candidate.checked()
        }
        if not cards:
            raise UserError(f"{self.run.answer_file(self.rank)}: not trained yet: {train_command(self.run, self.rank)}")
        return load_trained(max(cards, key=lambda file: cards[file]["top1"]))
