"""What search.py does: pretraining, rounds, evolution and the answer, put together."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.console import Console

from nars.commands.pretrain import pretrained_predictor
from nars.costs.constraint import COSTS, Constraint, check_reachable
from nars.costs.statistics import costs
from nars.data import ImageData, open_data
from nars.errors import UserError
from nars.files import content_key, digest
from nars.predictor.cached_fits import CachedFits
from nars.predictor.predictor import Predictor
from nars.records import Ledger
from nars.reporting.page.report import write_report
from nars.reporting.screen.presentation import present
from nars.reporting.screen.progress import ProgressDisplay
from nars.reporting.screen.terminal import print_plan, print_round
from nars.reporting.tracking.searches import SearchTracking
from nars.search.evolution import Evolution, evolve, random_feasible
from nars.search.importance import permutation_importance
from nars.search.pareto import pareto_front
from nars.search.pool import Pool, sample_pool
from nars.search.rounds import Evaluate, History, Round, run_rounds
from nars.search.strategies import Strategy, open_strategy
from nars.seeds import Stage, stage_seed
from nars.settings import ConstraintSettings, SearchSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.recipe import recipe_space
from nars.study.answers import SPLIT, Run, answer_folder, known_answer, write_answer, write_unfinished
from nars.study.outcomes import Result
from nars.study.summary import SearchSummary, summary_of
from nars.training.executor import Executor
from nars.training.job import training_identity
from nars.training.opening import open_executor
from nars.training.trainer import CandidateTrainer
from nars.training.worker import train_job

IMPORTANCE_POINTS = 512


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a search knows after its rounds, whatever the limits of its answer: the fitted predictor, the `history` of
    the rounds, its pool's points (n, d) with costs `prices` (n, 2) and predicted accuracies `scores` (n,), the
    importance of each dimension (d,), and the work that it took.
    """

    fits: CachedFits
    history: History
    points: np.ndarray
    prices: np.ndarray
    scores: np.ndarray
    importance: np.ndarray
    work: dict


_explored: dict[str, Exploration] = {}  # at most one, of the job before in a sweep


@dataclass(frozen=True, kw_only=True)
class Search:
    """One run of `search.py`: its settings, and what follows from them."""

    settings: SearchSettings
    console: Console
    in_sweep: bool = False
    started: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @cached_property
    def folder(self) -> Path:
        """The study's folder."""
        return Path(self.settings.runs_dir) / self.settings.study

    @property
    def split_file(self) -> Path:
        """Which images validate."""
        return self.folder / SPLIT

    @cached_property
    def data(self) -> ImageData:
        """The images."""
        return open_data(self.settings.data, split_file=self.split_file)

    @cached_property
    def space(self) -> JointSpace:
        """Architectures and recipes."""
        return JointSpace(ArchitectureSpace(self.settings.search_space), recipe_space(self.settings.recipe_space))

    @cached_property
    def constraint(self) -> Constraint:
        """The limits of the answer."""
        return Constraint.of(self.settings.constraint)

    @cached_property
    def progress(self) -> ProgressDisplay:
        """Where long work shows how far it is."""
        return ProgressDisplay(self.console)

    @cached_property
    def tracking(self) -> SearchTracking:
        """What Weights & Biases is shown."""
        return SearchTracking(self.settings, answer_folder(self.settings), self.console, in_sweep=self.in_sweep)

    def price(self, points: np.ndarray) -> np.ndarray:
        """`COSTS` float64 (n, 2) of joint points (n, d)."""
        architectures, _ = self.space.split(points)
        return costs(self.space.architecture, architectures, COSTS, num_classes=self.settings.constraint.num_classes)

    def check(self) -> None:
        """UserError, before anything is trained, if the constraint or the window cannot be met; OSError if the study's
        folder cannot be written.
        """
        if self.settings.trainer.devices > 1:
            raise UserError(
                f"trainer.devices={self.settings.trainer.devices}: a search trains each candidate on one device, and "
                "several at a time (executor.workers); several devices for one training are for train.py"
            )
        num_classes = self.settings.constraint.num_classes
        for limits, what in ((self.constraint, "constraint"), (self.window, "strategy.window")):
            check_reachable(limits, self.space.architecture, num_classes=num_classes, what=what)
        tries = self.settings.strategy.evolution.tries
        if not self.feasible(self.extremes).any():
            found, tried = random_feasible(1, self.feasible, self.space, np.random.default_rng(0), tries=tries)
            if not len(found):
                raise UserError(
                    f"constraint {self.constraint.label}: none of {tried:,} random architectures keeps it; "
                    "loosen it, or raise strategy.evolution.tries"
                )
        self.folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self.folder).close()

    def feasible(self, points: np.ndarray) -> np.ndarray:
        """Bool (n,): whether joint points (n, d) keep the constraint."""
        return self.constraint.feasible(self.price(points))

    @property
    def extremes(self) -> np.ndarray:
        """The smallest and the largest architecture, as joint points (2, d) with the middle of the recipe space."""
        recipe = np.tile(self.space.recipe.sizes // 2, (2, 1))
        ends = np.stack([np.zeros(len(self.space.architecture), dtype=np.int16), self.space.architecture.sizes - 1])
        return np.concatenate([ends, recipe], axis=1).astype(np.int16)

    @cached_property
    def window(self) -> Constraint:
        """Between which costs candidates are trained."""
        return Constraint.of(self.settings.strategy.window)

    @cached_property
    def pool(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, d) inside the window, from which candidates are chosen, and their costs (n, 2)."""
        s = self.settings
        return sample_pool(self.space, self.price, self.window, s.strategy.pool_size, stage_seed(s.seed, Stage.POOL))

    def run(self) -> Result | None:
        """Pretrain, rounds, evolution, answer; returns the best pair. A dry run shows what would be trained."""
        self.check()
        if self.settings.dry_run:
            return self._dry_run()
        with self.tracking:
            known = self._known_exploration() or self._explore()
            evolution = self._evolve(known)
            run = self._answer(known.fits.predictor, evolution, self._summary(known, evolution))
            self.tracking.answer(run, known.history, encoder=known.fits.encoder, predictor=known.fits.file)
        return run.result

    def _explore(self) -> Exploration:
        """The rounds. The next job of a sweep finds them, if it asks for another limit alone."""
        with self._executor(train_job) as executor:
            fits = self._predictor()
            trainer = self._trainer(executor, fits)
            history = self._rounds(fits, trainer, trainer)
        known = self._exploration(fits, trainer, history)
        _explored.clear()
        if self.in_sweep and all(record.status != "failed" for r in history.rounds for record in r.records):
            _explored[exploration_key(self.settings)] = known
        return known

    def _known_exploration(self) -> Exploration | None:
        """That of the job before, in a sweep over limits."""
        known = _explored.get(exploration_key(self.settings)) if self.in_sweep else None
        if known is None:
            return None
        for done in known.history.rounds:
            self.tracking.round(done, known.history)
        records = sum(len(r.records) for r in known.history.rounds)
        return replace(known, work={"trained": 0, "reused": records, "training_seconds": 0.0})

    def _exploration(self, fits: CachedFits, trainer: CandidateTrainer, history: History) -> Exploration:
        def score(points: np.ndarray) -> np.ndarray:
            return fits.predict(self.space.encode(points))

        points, prices = self.pool
        rng = np.random.default_rng(stage_seed(self.settings.seed, Stage.IMPORTANCE))
        seconds = round(trainer.seconds, 1)
        return Exploration(
            fits=fits,
            history=history,
            points=points,
            prices=prices,
            scores=score(points),
            importance=permutation_importance(score, points[:IMPORTANCE_POINTS], rng),
            work={"trained": trainer.trained, "reused": trainer.reused, "training_seconds": seconds},
        )

    def _dry_run(self) -> None:
        from nars.commands.dry_run import NotKnownError, OnlyKnown, plan_of, seconds_per_image  # imports what trains

        with self._executor(seconds_per_image) as executor:
            trainer = self._trainer(executor)
            fits = self._predictor() if len(trainer.ledger) else None  # the first round needs none
            try:
                self._rounds(fits, trainer, OnlyKnown(trainer))
            except NotKnownError as missing:
                print_plan(self.console, plan_of(missing, trainer, self.data, self.settings.strategy))
            else:
                self.console.print("nothing would be trained: the ledger holds all rounds of this search")

    def _predictor(self) -> CachedFits:
        s = self.settings
        if s.pretrained is not None:
            path = Path(s.pretrained)
            predictor = Predictor.load(path, specification=self.space.specification, settings=s.predictor)
            identity = digest(path)
        else:
            predictor, path, _ = pretrained_predictor(
                s.predictor,
                self.space,
                num_classes=s.constraint.num_classes,
                seed=s.seed,
                folder=self.folder / "predictors",
                progress=self.progress,
                wandb=self.tracking.logger.wandb,
            )
            identity = path.name
        return CachedFits(predictor, identity=identity, folder=self.folder / "predictors", encoder=path)

    def _executor(self, run: Callable) -> Executor:
        return open_executor(self.settings.executor, run, accelerator=self.settings.trainer.accelerator)

    def _trainer(self, executor: Executor, fits: CachedFits | None = None) -> CandidateTrainer:
        s = self.settings
        return CandidateTrainer(
            Ledger(self.folder / "records.jsonl"),
            executor,
            job_values={
                "data": s.data,
                "split_file": str(self.split_file),
                "protocol": s.protocol,
                "trainer": s.trainer,
                "logger": self.tracking.logger,
                "training": training_identity(self.data, s.protocol, s.trainer),
                "seed": s.seed,
            },
            price=self._price_candidate,
            folder=self.folder / "trainings",
            progress=self.progress,
            predict=lambda candidate: self._predict(fits, candidate),
        )

    def _rounds(self, fits: CachedFits | None, trainer: CandidateTrainer, evaluate: Evaluate) -> History:
        s = self.settings
        return run_rounds(
            self.space,
            self._strategy(fits),
            evaluate,
            fits,
            s.strategy,
            epochs=s.protocol.epochs,
            on_round=lambda done, history: self._after_round(done, history, fits, trainer),
        )

    def _strategy(self, fits: CachedFits | None) -> Strategy:
        s = self.settings
        points, prices = self.pool
        return open_strategy(
            s.strategy,
            self.space,
            Pool(points, prices[:, 0]),
            feasible=lambda points: self.window.feasible(self.price(points)),
            predictor=fits,
            seed=stage_seed(s.seed, Stage.CHOICE),
        )

    def _after_round(self, done: Round, history: History, fits: CachedFits, trainer: CandidateTrainer) -> None:
        print_round(self.console, done, history)
        self.tracking.round(done, history)
        if trainer.trained:  # else the answer follows at once
            known = self._exploration(fits, trainer, history)
            write_unfinished(answer_folder(self.settings), self._summary(known))
            write_report([self.folder])

    def _price_candidate(self, candidate: Candidate) -> tuple[float, float]:
        macs, params, *_ = self.price(self.space.locate_candidate(candidate)[None])[0]
        return float(macs), float(params)

    def _predict(self, fits: CachedFits | None, candidate: Candidate) -> float | None:
        if fits is None or fits.file is None:
            return None
        return float(fits.predict(self.space.encode(self.space.locate_candidate(candidate)[None]))[0])

    def _evolve(self, known: Exploration) -> Evolution:
        s = self.settings

        def score(points: np.ndarray) -> np.ndarray:
            return known.fits.predict(self.space.encode(points))

        trained, _ = known.history.usable()
        trained = trained[np.argsort(-score(trained), kind="stable")]
        seeds = np.concatenate([trained, self.extremes])  # under a tight limit only an extreme may be feasible
        rng = np.random.default_rng(stage_seed(s.seed, Stage.EVOLUTION))
        return evolve(score, self.feasible, self.space, s.strategy.evolution, rng, seeds)

    def _answer(self, predictor: Predictor, evolution: Evolution, summary: SearchSummary) -> Run:
        points = self._distinct(evolution.points, self.settings.strategy.answers)
        accuracy, std = predictor.predict_with_std(self.space.encode(points))
        answers = [
            self.space.candidate(point).to_dict()
            | {"predicted_accuracy": round(float(a), 6), "predicted_std": round(float(d), 6)}
            | dict(zip(COSTS, map(float, price), strict=True))
            | {"num_classes": self.settings.constraint.num_classes}
            for point, a, d, price in zip(points, accuracy, std, self.price(points), strict=True)
        ]
        known = None if summary.work.trained else known_answer(self.settings)
        if known is not None and list(known.answers) == answers:
            run = known  # found again, for W&B; its summary says what it took
        else:
            run = write_answer(answer_folder(self.settings), answers, summary)
        present(run, self.console, in_sweep=self.in_sweep)
        return run

    def _distinct(self, points: np.ndarray, n: int) -> np.ndarray:
        """The n best of points (m, d), which are best first: one of each architecture, others only to make up n."""
        _, first = np.unique(self.space.split(points)[0], axis=0, return_index=True)
        others = np.setdiff1d(np.arange(len(points)), first)
        return points[np.sort(np.concatenate([np.sort(first), others])[:n])]

    def _summary(self, known: Exploration, evolution: Evolution | None = None) -> SearchSummary:
        """All that was measured so far; before the evolution, of an unfinished search."""
        prices, scores = known.prices, known.scores
        if evolution is not None:
            prices = np.concatenate([prices, self.price(evolution.points)])
            scores = np.concatenate([scores, evolution.scores])
        importance = zip(self.space.dimensions, known.importance, strict=True)
        return summary_of(
            known.history,
            constraint=self.constraint.label,
            settings=self.settings.model_dump(mode="json"),
            started=self.started,
            work=known.work,
            generations=[vars(generation) for generation in evolution.history] if evolution else (),
            front=[
                {"macs": prices[i, 0], "params": prices[i, 1], "predicted_accuracy": round(float(scores[i]), 6)}
                for i in pareto_front(prices[:, 0], scores)
            ],
            importance={dimension.name: round(float(value), 6) for dimension, value in importance},
        )


def exploration_key(settings: SearchSettings) -> str:
    """The same for searches whose rounds are the same, as they are for all limits of the answer."""
    content = settings.model_copy(
        update={"constraint": ConstraintSettings(num_classes=settings.constraint.num_classes)}
    ).model_dump(mode="json")
    return content_key(content)
