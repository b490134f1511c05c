"""What the differentiable searches of FBNetV1 and V2 share: a supernet is trained, architectures are drawn from it, and
the best few are trained like any candidates.

A recipe plays no part in a supernet, so all candidates have the one of the method's settings.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch

from nars.costs.extremes import extreme
from nars.costs.table import short_number
from nars.errors import UserError
from nars.files import content_key
from nars.leases import turn
from nars.methods.base import BaseMethod
from nars.methods.confirm import confirmed
from nars.methods.contract import Answer
from nars.methods.supernet_findings import supernet_section
from nars.methods.trainings import offers
from nars.search.distinct import best_apart
from nars.search.early_stop import EarlyStop
from nars.search.evolution import random_feasible
from nars.search.rounds import History
from nars.seeds import Stage, stage_seed
from nars.settings import DifferentiableSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.fixed import FixedArchitecture
from nars.study.ledgers import LEDGER
from nars.study.summary import findings_of
from nars.supernet.contract import MixtureCosts, Supernet
from nars.supernet.derive import accuracies_inside, derived_points
from nars.supernet.expected import ExpectedCosts
from nars.supernet.loop import Course, Work, load_course, steps_left, train_supernet
from nars.supernet.losses import Objective, unit_of
from nars.training.devices import device_of
from nars.training.trainer import CandidateTrainer
from nars.training.worker import train_job

SUPERNETS = "supernets"  # folder of a study


class DifferentiableMethod(BaseMethod, ABC):
    """See `nars.methods.contract.Method`. Another limit is another supernet: nothing of it is shared, but for trainings
    of the networks that are found."""

    @abstractmethod
    def check_space(self, space: ArchitectureSpace) -> None:
        """UserError if the supernet cannot hold the choices of the space."""

    @abstractmethod
    def open_supernet(self, space: ArchitectureSpace, *, num_classes: int) -> Supernet:
        """A new supernet, initialised from torch's global generator."""

    def open_costs(self, space: ArchitectureSpace) -> MixtureCosts:
        """What mixtures cost, for the loss of theta."""
        return ExpectedCosts(space, self.problem.costs, self.problem.pricing)

    @property
    def own(self) -> DifferentiableSettings:
        """The method's settings."""
        return self.settings.method

    @property
    def steered(self) -> str:
        """The cost that loss=paper counts: of those with an upper limit the last in the table of costs, or, without
        one, `strategy.cost_axis`."""
        return [self.problem.cost_axis, *self._ceilings][-1]

    @property
    def _ceilings(self) -> dict[str, float]:
        constraint = self.problem.constraint
        return {name: high for name, high in zip(constraint.names, constraint.high, strict=True) if high < np.inf}

    def check(self) -> None:
        """See `Method`."""
        space, name = self.problem.space.architecture, self.own.name
        if isinstance(space, FixedArchitecture):
            raise UserError(f"method={name} chooses architectures, and {space.candidate} is one; take method=nars")
        self.check_space(space)
        if self.own.loss.name == "target" and not self._ceilings:
            raise UserError(
                f"method={name} with method.loss=target steers towards an upper limit and none is given; give "
                "constraint.max_macs=..., or method.loss=paper"
            )
        _ = self.reference
        if self.settings.trainer.precision == "16-mixed":
            raise UserError(f"method={name}: trainer.precision=16-mixed is not offered; use bf16-mixed or 32-true")
        least = extreme(space, self.steered, self.problem.pricing).cost * unit_of(self.steered)
        if self.own.loss.name == "paper" and least <= 1:
            raise UserError(
                f"method.loss=paper takes the logarithm of {self.steered}, which must be above 1 in every architecture "
                f"(latency in microseconds); the least of search_space={space.name} is {least:.3g}; use "
                "method.loss=target"
            )

    def plan(self):
        """The `nars.methods.supernet_plan.SupernetPlan` of the supernet, or, once that is trained, the
        `nars.methods.dry_run.Plan` of what confirms the networks found; a sentence if all of it is there."""
        from nars.methods.dry_run import NotKnownError, OnlyKnown, plan_of, seconds_per_image  # imports what trains
        from nars.methods.supernet_plan import supernet_plan

        course, supernet = load_course(self._file, self._key), self._new_supernet()
        known = len(course.epochs) if course else 0
        if known < self.own.epochs:
            return supernet_plan(supernet, self._work, known=known, steps=steps_left(self._work, known))
        course = train_supernet(supernet, self._work, self._file, key=self._key)  # reads it
        with self.executor(seconds_per_image) as executor:
            trainer = self.trainer(executor)
            try:
                self._confirmed(self._derived(supernet, course), trainer, OnlyKnown(trainer))
            except NotKnownError as missing:
                s, rest = self.settings, {"offered": offers(self.problem), "reference": self.reference}
                return plan_of(missing, trainer, self.problem.data, s.strategy, s.confirm, **rest)
        return "nothing would be trained: the supernet and the trainings of what it found are there"

    def answer(self) -> Answer:
        """See `Method`."""
        supernet = self._new_supernet()
        before = load_course(self._file, self._key)
        course = self._trained(supernet)
        answer = self._derived(supernet, course, seconds=course.seconds - (before.seconds if before else 0.0))
        with self.executor(train_job) as executor:
            trainer = self.trainer(executor)
            return self._confirmed(answer, trainer, trainer)

    @cached_property
    def _work(self) -> Work:
        s, p = self.settings, self.problem
        limits = {end: torch.tensor(getattr(p.constraint, end), dtype=torch.float64) for end in ("low", "high")}
        objective = Objective(settings=self.own.loss, names=p.costs, steered=self.steered, **limits)
        largest = p.space.architecture.architecture(p.space.architecture.sizes - 1)
        return Work(
            data=p.data,
            settings=self.own,
            side=largest.image_side(s.protocol.image_scale),
            augmentation=s.protocol.augmentation,
            expected=self.open_costs(p.space.architecture),
            pricing=p.pricing,
            objective=objective,
            seed=stage_seed(p.seed, Stage.SUPERNET),
            device=device_of(self.settings.trainer.accelerator),
            precision=s.trainer.precision,
            loader_workers=s.trainer.loader_workers,
        )

    @cached_property
    def _key(self) -> str:
        """Stands for all that decides what the supernet becomes."""
        p, work = self.problem, self._work
        decides = {
            "method": self.own.model_dump(mode="json", exclude={"recipe", "samples"}),
            "space": p.space.architecture.specification,
            "limits": [self.settings.constraint.model_dump(mode="json"), p.costs, p.num_classes],
            "images": [p.data.fingerprint, work.side, self.settings.protocol.image_scale, work.augmentation],
            "others": [p.seed, work.precision],
        }
        if p.pricing.latency is not None:
            decides["latency"] = p.pricing.latency.digest
        return content_key(decides)

    @property
    def _file(self):
        return self.problem.folder / SUPERNETS / f"{self.own.name}-{self._key[:12]}.pt"

    def _new_supernet(self) -> Supernet:
        torch.manual_seed(self._work.seed)
        return self.open_supernet(self.problem.space.architecture, num_classes=self.problem.data.num_classes)

    def _trained(self, supernet: Supernet) -> Course:
        """Train the supernet, or go on, or read what is there; of searches at the same time one does."""
        epochs, progress = self.own.epochs, self.watch.progress
        progress.start(f"training the supernet for {epochs} epochs", total=100)
        notes = []

        def on_epoch(course: Course) -> None:
            notes[:] = [_note(course, self.steered)]
            self.watch.epoch(lambda: self._findings(course))

        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with turn(self._file.with_suffix(".claim")):
                return train_supernet(
                    supernet,
                    self._work,
                    self._file,
                    key=self._key,
                    on_step=lambda done, total: progress.update(100 * done / total, "".join(notes)),
                    on_epoch=on_epoch,
                )
        finally:
            progress.stop()

    def _derived(self, supernet: Supernet, course: Course, *, seconds: float = 0.0) -> Answer:
        """The most probable architectures within the limits, ranked by their accuracy inside the supernet."""
        p, s = self.problem, self.settings
        predict = self._prediction(supernet)
        points = self._points(course)
        accuracies, _ = predict(points)
        points = points[np.argsort(-accuracies, kind="stable")]
        points = points[best_apart(points, max(s.strategy.answers, s.confirm.pairs), p.space)]
        accuracies, stds = predict(points)
        history = History(rounds=(), early_stop=EarlyStop(epoch=s.protocol.epochs))
        return Answer(
            points=points,
            accuracies=accuracies,
            stds=stds,
            findings=self._findings(course, seconds=seconds),
            history=history,
            files={"records": p.folder / LEDGER, "supernet": self._file},
            predict=predict,
        )

    def _points(self, course: Course) -> np.ndarray:
        """Joint points (n, d) from theta, n >= 1."""
        p = self.problem
        space, seed = p.space.architecture, stage_seed(p.seed, Stage.SUPERNET)

        def feasible(points: np.ndarray) -> np.ndarray:
            return p.feasible(self._joint(points))

        probabilities, limits = course.epochs[-1].probabilities, self._ceilings
        drawn = {"pricing": p.pricing, "seed": seed}
        points = derived_points(probabilities, space, feasible, limits, self.own.samples, **drawn)
        if len(points):
            return self._joint(points)
        ends = p.extremes[p.feasible(p.extremes)]  # a limit so tight that only these may keep it
        if len(ends):
            return ends[:1]
        rng, tries = np.random.default_rng(seed), self.settings.evolution.tries
        return random_feasible(1, p.feasible, p.space, rng, tries=tries)[0]

    def _joint(self, points: np.ndarray) -> np.ndarray:
        """Points of architectures with the recipe, of which there is one."""
        recipes = np.zeros((len(points), len(self.problem.space.recipe)), dtype=np.int16)
        return np.concatenate([points, recipes], axis=1).astype(np.int16)

    def _prediction(self, supernet: Supernet) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Accuracies (n,) of points inside the supernet, with the standard errors that so many images leave."""
        known: dict[bytes, float] = {}
        images = len(self._work.parts()[1])

        def predict(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            architectures, _ = self.problem.space.split(points)
            new = [a for a in architectures if a.tobytes() not in known]
            found = accuracies_inside(supernet, self._work, new)
            known.update({a.tobytes(): float(accuracy) for a, accuracy in zip(new, found, strict=True)})
            accuracies = np.array([known[a.tobytes()] for a in architectures])
            return accuracies, np.sqrt(accuracies * (1 - accuracies) / images)

        return predict

    def _findings(self, course: Course, *, seconds: float = 0.0) -> dict:
        history = History(rounds=(), early_stop=EarlyStop(epoch=self.settings.protocol.epochs))
        work = {"trained": 0, "reused": 0, "training_seconds": round(seconds, 1)}
        found = findings_of(history, work=work)
        space, images = self.problem.space.architecture, self.problem.data.fingerprint
        return found | {"supernet": supernet_section(course, self.own, space, images=images)}

    def _confirmed(self, answer: Answer, trainer: CandidateTrainer, evaluate) -> Answer:
        """The best few are trained; how long the supernet took counts as training."""
        answer = confirmed(answer, self.problem, self.settings, evaluate, trainer.ledger, self.reference)
        work = dict(answer.findings["work"])
        work |= {"trained": trainer.trained, "reused": trainer.reused}
        work["training_seconds"] = round(work["training_seconds"] + trainer.seconds, 1)
        return replace(answer, findings={**answer.findings, "work": work})


def _note(course: Course, cost: str) -> str:
    """How far theta is, in words."""
    last = course.epochs[-1]
    learned = f"theta right on {last.accuracy:.3f}, " if last.accuracy is not None else ""
    return f"{learned}expected {short_number(last.expected[cost])} {cost}, {last.decided:.0%} decided"
