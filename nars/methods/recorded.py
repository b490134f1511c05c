"""Answers from a ledger alone: the predictor learns what is recorded. Nothing is trained, no image is opened."""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from nars.costs.constraint import Constraint
from nars.costs.table import by_name
from nars.files import content_key, write_whole
from nars.methods.answering import answer_of
from nars.methods.base import BaseMethod
from nars.methods.contract import Answer
from nars.methods.cross_validation import FOLDS, folds_of, held_out_predictions
from nars.methods.encoder import opened_predictor
from nars.methods.exploration import Exploration, explored, recall, remember
from nars.methods.usable_records import UsableRecords, usable_records
from nars.search.early_stop import EarlyStop
from nars.search.pool import new_points
from nars.search.rounds import History, Round
from nars.seeds import Stage, stage_seed
from nars.settings import CostLimits, parse
from nars.study.ledgers import LEDGER, RECORDED


class RecordedMethod(BaseMethod):
    """See `nars.methods.contract.Method`. The fit is shared by all limits of a study."""

    @cached_property
    def usable(self) -> UsableRecords:
        """What the ledger says of the space."""
        return usable_records(self.settings, self.problem)

    def check(self) -> None:
        """See `Method`."""
        _ = self.usable

    def plan(self) -> str:
        """What it would learn from, in words."""
        known = self.usable
        left_out = f" Left out: {', '.join(known.left_out)}." if known.left_out else ""
        return (
            f"Nothing would be trained: {len(known.records)} records of {known.file} ({known.kind.data}) would answer, "
            f"compared after epoch {known.epoch} and cross-validated in {FOLDS} folds.{left_out}"
        )

    def answer(self) -> Answer:
        """See `Method`."""
        known = recall(self.memory, self.settings, self.watch) or self._learn()
        answer = answer_of(self.problem, known, self.settings, records=self._kept())
        return replace(answer, findings={**answer.findings, "ledger": self._section()})

    def _learn(self) -> Exploration:
        """Fits to parts of the records, which say how far to trust the last one, to all of them."""
        known, p = self.usable, self.problem
        fits = opened_predictor(self.settings, p, self.watch)
        x, accuracies = p.space.encode(known.points), np.array([r.accuracy_at(known.epoch) for r in known.records])
        folds = folds_of(known.points, accuracies, np.random.default_rng(stage_seed(p.seed, Stage.FOLDS)))
        predicted = held_out_predictions(fits, x, accuracies, folds, self.watch.progress)
        fits.fit(x, accuracies)
        history = self._history(predicted)
        self.watch.recalled(history)
        work = {"trained": 0, "reused": len(known.records), "training_seconds": 0.0}
        learned = explored(p, fits, history, self._pool(), work)
        remember(self.memory, self.settings, learned)
        return learned

    def _history(self, predicted: np.ndarray) -> History:
        """All records as one round without a number, at the costs that this search counts."""
        known = self.usable
        prices = self.problem.price(known.points)
        records = tuple(
            record.model_copy(update={"costs": by_name(self.problem.costs, price)})
            for record, price in zip(known.records, prices, strict=True)
        )
        only = Round(number=0, points=known.points, records=records, predicted=predicted, epochs=known.epoch)
        return History(rounds=(only,), early_stop=EarlyStop(epoch=known.epoch))

    @cached_property
    def _limits(self) -> dict[str, float]:
        """Between which costs the records lie, as settings of limits."""
        costs = self.problem.price(self.usable.points)[:, self.problem.axis]
        name = self.problem.cost_axis
        return {f"min_{name}": float(costs.min()), f"max_{name}": float(costs.max())}

    def _pool(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, d) between the costs of the records, by which the predictor is shown, and their costs (n, k): of
        the Sobol' sequence, and the records' own."""
        p = self.problem
        sampled = p.space.sample(self.settings.strategy.pool_size, stage_seed(p.seed, Stage.POOL))
        window = Constraint.of(parse(CostLimits, self._limits), p.costs)
        points = new_points(np.concatenate([sampled[window.feasible(p.price(sampled))], self.usable.points]))
        return points, p.price(points)

    def _section(self) -> dict:
        known = self.usable
        return {
            "file": str(known.file),
            "kind": known.kind.key,
            "data": known.kind.data,
            "records": len(known.records),
            "left_out": list(known.left_out),
            "limits": self._limits,
            "settings": known.kind.settings,
        }

    def _kept(self) -> Path:
        """The file of the records within the study: its own ledger, or a copy of what was learned from, so that reports
        need no other folder."""
        known, own = self.usable, self.problem.folder / LEDGER
        if known.file.resolve() == own.resolve():
            return own
        contents = [record.content() for record in known.records]
        copy = self.problem.folder / RECORDED / f"{known.kind.key}-{content_key(contents)[:6]}.jsonl"
        write_whole(copy, "".join(f"{json.dumps(content)}\n" for content in contents))
        return copy
