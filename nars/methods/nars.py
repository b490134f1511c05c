"""FBNetV3's method: rounds of choose, train and refit the predictor, then a genetic algorithm on the predictor."""

from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from nars.costs.constraint import Constraint
from nars.methods.answering import answer_of
from nars.methods.base import BaseMethod
from nars.methods.confirm import confirmed
from nars.methods.contract import Answer
from nars.methods.encoder import opened_predictor
from nars.methods.exploration import Exploration, explored, recall, remember
from nars.methods.trainings import offers
from nars.predictor.cached_fits import CachedFits
from nars.search.pool import Pool, sample_pool
from nars.search.rounds import Evaluate, History, Round, run_rounds
from nars.search.strategies import Strategy, open_strategy
from nars.seeds import Stage, stage_seed
from nars.settings import Recipe
from nars.spaces.candidate import Candidate
from nars.spaces.fixed import FixedArchitecture
from nars.study.ledgers import LEDGER
from nars.training.trainer import CandidateTrainer
from nars.training.worker import train_job


class NarsMethod(BaseMethod):
    """See `nars.methods.contract.Method`. Trainings are shared by all limits of a study, and a job of a sweep that asks
    for other limits alone goes on from the rounds of the one before.
    """

    @cached_property
    def window(self) -> Constraint:
        """Between which costs candidates are trained."""
        return Constraint.of(self.settings.strategy.window, self.problem.costs)

    @cached_property
    def pool(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, d) inside the window, from which candidates are chosen, and their costs (n, k)."""
        p, size = self.problem, self.settings.strategy.pool_size
        return sample_pool(p.space, p.price, self.window, size, stage_seed(p.seed, Stage.POOL))

    def check(self) -> None:
        """See `Method`."""
        self.problem.check_reachable(self.window, what="strategy.window")
        self._check_trainable()
        _ = self.reference

    def _check_trainable(self) -> None:
        """UserError if the only network there is cannot be trained with the recipes."""
        space, recipe = self.problem.space.architecture, self.problem.space.recipe
        if isinstance(space, FixedArchitecture):
            from nars.networks.architectures import check_trainable  # timm takes a second

            most = Recipe.from_dict(recipe.decode(recipe.sizes - 1))  # with all that a recipe can ask for
            check_trainable(space.network, most, self.settings.protocol, num_classes=self.problem.num_classes)

    def plan(self):
        """The `nars.methods.dry_run.Plan` of what is trained next; a sentence if the ledger holds all of it."""
        from nars.methods.dry_run import NotKnownError, OnlyKnown, plan_of, seconds_per_image  # imports what trains

        with self.executor(seconds_per_image) as executor:
            trainer = self.trainer(executor)
            begun = len(trainer.ledger) > 0  # the first round needs no predictor
            fits = opened_predictor(self.settings, self.problem, self.watch) if begun else None
            known = OnlyKnown(trainer)
            try:
                history = self._rounds(fits, trainer, known)
                self._confirmed(self._explored(fits, trainer, history), trainer, known)
            except NotKnownError as missing:
                s, rest = self.settings, {"offered": offers(self.problem), "reference": self.reference}
                return plan_of(missing, trainer, self.problem.data, s.strategy, s.confirm, **rest)
        return "nothing would be trained: the ledger holds all trainings of this search"

    def answer(self) -> Answer:
        """See `Method`."""
        with self.executor(train_job) as executor:
            trainer = self.trainer(executor)
            known = recall(self.memory, self.settings, self.watch) or self._explore(trainer)
            trainer.predict = partial(self._predict, known.fits)
            return self._confirmed(known, trainer, trainer)

    def _explore(self, trainer: CandidateTrainer) -> Exploration:
        """The rounds."""
        fits = opened_predictor(self.settings, self.problem, self.watch)
        trainer.predict = partial(self._predict, fits)
        known = self._explored(fits, trainer, self._rounds(fits, trainer, trainer))
        remember(self.memory, self.settings, known)
        return known

    def _confirmed(self, known: Exploration, trainer: CandidateTrainer, evaluate: Evaluate) -> Answer:
        answer = answer_of(self.problem, known, self.settings, records=self.problem.folder / LEDGER)
        trained, reused, seconds = trainer.trained, trainer.reused, trainer.seconds
        answer = confirmed(answer, self.problem, self.settings, evaluate, trainer.ledger, self.reference)
        work = dict(answer.findings["work"])
        work["trained"] += trainer.trained - trained
        work["reused"] += max(0, trainer.reused - reused - _counted_before(answer))
        work["training_seconds"] = round(work["training_seconds"] + trainer.seconds - seconds, 1)
        return replace(answer, findings={**answer.findings, "work": work})

    def _explored(self, fits: CachedFits, trainer: CandidateTrainer, history: History) -> Exploration:
        seconds = round(trainer.seconds, 1)
        work = {"trained": trainer.trained, "reused": trainer.reused, "training_seconds": seconds}
        return explored(self.problem, fits, history, self.pool, work)

    def _predict(self, fits: CachedFits | None, candidate: Candidate) -> float | None:
        if fits is None or fits.file is None:
            return None
        space = self.problem.space
        accuracy = fits.predict(space.encode(space.locate_candidate(candidate)[None]))[0]
        return float(np.clip(accuracy, 0, 1))

    def _rounds(self, fits: CachedFits | None, trainer: CandidateTrainer, evaluate: Evaluate) -> History:
        def after(done: Round, history: History) -> None:
            def findings() -> dict:
                return self._explored(fits, trainer, history).findings(self.problem)

            self.watch.round(done, history, findings if trainer.trained else None)

        s = self.settings
        return run_rounds(
            self.problem.space,
            self._strategy(fits),
            evaluate,
            fits,
            s.strategy,
            epochs=s.protocol.epochs,
            noise_level=self.problem.noise_level,
            on_round=after,
        )

    def _strategy(self, fits: CachedFits | None) -> Strategy:
        points, prices = self.pool
        return open_strategy(
            self.settings.strategy,
            self.problem.space,
            Pool(points, prices[:, self.problem.axis]),
            feasible=lambda points: self.window.feasible(self.problem.price(points)),
            cost=lambda points: self.problem.price(points)[:, self.problem.axis],
            predictor=fits,
            seed=stage_seed(self.problem.seed, Stage.CHOICE),
        )


def _counted_before(answer: Answer) -> int:
    """How many trainings of the confirmation are those of rounds, which have counted them."""
    confirmation = answer.findings.get("confirmation") or {"pairs": (), "epochs": 1}
    keys = {key for pair in confirmation["pairs"] for key in pair["keys"]}
    records = [record for r in answer.history.rounds for record in r.records if record.key in keys]
    return sum(record.answers(confirmation["epochs"]) for record in records)
