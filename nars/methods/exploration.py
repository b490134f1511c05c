"""What the rounds of a search leave behind, whatever the limits of its answer."""

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nars.costs.constraint import priced
from nars.costs.table import by_name
from nars.files import content_key, digest
from nars.methods.contract import Watch
from nars.predictor.cached_fits import CachedFits
from nars.problem import Problem
from nars.search.evolution import Evolution, Generation
from nars.search.importance import partial_dependence, permutation_importance
from nars.search.pareto import pareto_front
from nars.search.rounds import History
from nars.seeds import Stage, stage_seed
from nars.settings import ConfirmSettings, ConstraintSettings, EvolutionSettings, SearchSettings
from nars.spaces.dimension import Dimension
from nars.study.ledgers import ledger_file
from nars.study.summary import findings_of

IMPORTANCE_POINTS = 512
SLICE_POINTS, SLICE_CHOICES = 64, 9


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """What a search knows after its rounds: the fitted predictor, the `history` of the rounds, its pool's points (n, d)
    with costs `prices` (n, k) and predicted accuracies `scores` (n,), the importance of each dimension (d,), by
    dimension what is predicted along it (`nars.study.summary.Slice`), and the `work` that it took.
    """

    fits: CachedFits
    history: History
    points: np.ndarray
    prices: np.ndarray
    scores: np.ndarray
    importance: np.ndarray
    slices: Mapping[str, Mapping]
    work: Mapping

    def findings(self, problem: Problem, evolution: Evolution | None = None) -> dict:
        """Sections of the summary; without an evolution, those of an unfinished search."""
        prices, scores = self.prices, self.scores
        if evolution is not None:
            prices = np.concatenate([prices, problem.price(evolution.points)])
            scores = np.concatenate([scores, evolution.scores])
        importance = zip(problem.space.dimensions, self.importance, strict=True)
        return findings_of(
            self.history,
            work=self.work,
            generations=[_clipped(generation) for generation in evolution.history] if evolution else (),
            front=_front(problem, prices, scores),
            importance={dimension.name: round(float(value), 6) for dimension, value in importance},
            slices=self.slices,
        )


def explored(
    problem: Problem, fits: CachedFits, history: History, pool: tuple[np.ndarray, np.ndarray], work: Mapping
) -> Exploration:
    """The exploration that ends with these rounds over `pool`, its points and their costs."""

    def score(points: np.ndarray) -> np.ndarray:
        return fits.predict(problem.space.encode(points))

    points, prices = pool
    rng = np.random.default_rng(stage_seed(problem.seed, Stage.IMPORTANCE))
    return Exploration(
        fits=fits,
        history=history,
        points=points,
        prices=prices,
        scores=score(points),
        importance=permutation_importance(score, points[:IMPORTANCE_POINTS], rng),
        slices=slices_of(problem.space.dimensions, score, points[:SLICE_POINTS]),
        work=work,
    )


def slices_of(
    dimensions: Sequence[Dimension], score: Callable[[np.ndarray], np.ndarray], points: np.ndarray
) -> dict[str, dict]:
    """By dimension, the mean score of the points at some of its choices: `nars.study.summary.Slice` as containers."""
    found = partial_dependence(score, points, [len(d.choices) for d in dimensions], most=SLICE_CHOICES)
    return {
        dimension.name: {
            "choices": [dimension.choices[i] for i in positions],
            "accuracies": [round(float(mean), 5) for mean in means],
        }
        for dimension, (positions, means) in zip(dimensions, found, strict=True)
    }


def exploration_key(settings: SearchSettings) -> str:
    """The same for searches whose rounds are the same: limits, on the same costs, and evolution come after them."""
    last = {
        "constraint": ConstraintSettings(num_classes=settings.constraint.num_classes),
        "evolution": EvolutionSettings(),
        "confirm": ConfirmSettings(),
        "reference": None,
    }
    costs = priced(settings.strategy.cost_axis, settings.constraint, settings.strategy.window)
    ledger = digest(ledger_file(settings.records)) if settings.records is not None else None
    return content_key([settings.model_copy(update=last).model_dump(mode="json"), costs, ledger])


def recall(memory: MutableMapping | None, settings: SearchSettings, watch: Watch) -> Exploration | None:
    """What the job before in a sweep left behind, if it differs in the limits of its answer alone."""
    known = memory.get(exploration_key(settings)) if memory else None
    if known is None:
        return None
    watch.recalled(known.history)
    records = sum(len(r.records) for r in known.history.rounds)
    return replace(known, work={"trained": 0, "reused": records, "training_seconds": 0.0})


def remember(memory: MutableMapping | None, settings: SearchSettings, known: Exploration) -> None:
    """Leave it to the next job of a sweep, in place of what was there, unless trainings failed: they are tried
    again."""
    if memory is None:
        return
    memory.clear()  # it is large
    if all(record.status != "failed" for r in known.history.rounds for record in r.records):
        memory[exploration_key(settings)] = known


def _clipped(generation: Generation) -> dict:
    """A generation whose scores, predicted accuracies, stay between 0 and 1."""
    return vars(generation) | {key: float(np.clip(getattr(generation, key), 0, 1)) for key in ("best", "mean")}


def _front(problem: Problem, prices: np.ndarray, scores: np.ndarray) -> Sequence[Mapping]:
    """The predicted Pareto front."""
    return [
        {"costs": by_name(problem.costs, prices[i]), "predicted_accuracy": round(float(np.clip(scores[i], 0, 1)), 6)}
        for i in pareto_front(prices[:, problem.axis], scores)
    ]
