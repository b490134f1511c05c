"""Pretraining the predictor's encoder on free statistics of Sobol' architectures, kept as a file."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.files import content_key, digest
from nars.leases import turn
from nars.methods.contract import Told, Watch
from nars.predictor.cached_fits import CachedFits
from nars.predictor.predictor import Predictor
from nars.problem import Problem
from nars.seeds import Stage, stage_seed
from nars.settings import PredictorSettings, SearchSettings
from nars.spaces.candidate import JointSpace
from nars.training.trainer import Progress

STATISTICS = ("macs", "params")

Watched = Callable[[Path], AbstractContextManager[Told]]  # see `nars.methods.contract.Watch.pretraining`


def opened_predictor(settings: SearchSettings, problem: Problem, watch: Watch) -> CachedFits:
    """The predictor of a search, not fitted yet: that of the file `pretrained`, or pretrained for this study."""
    folder = problem.predictors
    if settings.pretrained is not None:
        path = Path(settings.pretrained)
        specification = problem.space.specification
        predictor = Predictor.load(path, specification=specification, settings=settings.predictor)
        return CachedFits(predictor, identity=digest(path), folder=folder, encoder=path)
    predictor, path, _ = pretrained_predictor(
        settings.predictor,
        problem.space,
        num_classes=problem.num_classes,
        seed=problem.seed,
        folder=folder,
        progress=watch.progress,
        watched=watch.pretraining,
    )
    return CachedFits(predictor, identity=path.name, folder=folder, encoder=path)


def pretrained_predictor(
    settings: PredictorSettings,
    space: JointSpace,
    *,
    num_classes: int,
    seed: int,
    folder: Path,
    progress: Progress,
    watched: Watched,
) -> tuple[Predictor, Path, dict | None]:
    """A predictor with its encoder pretrained, the file it is kept in, and the check of a pretraining done now.

    The file's name holds the content of everything that decides the pretraining; if it is there it is used.
    """
    content = [space.specification, settings.model_dump(mode="json", exclude={"fit"}), num_classes, seed]
    path = folder / f"encoder-{content_key(content)}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with turn(path.with_suffix(".claim")):  # of searches at the same time one pretrains
            if not path.exists():
                predictor = _new_predictor(settings, space, seed=seed)
                report = _pretrain(predictor, space, path, num_classes, seed, progress, watched)
                return predictor, path, report
    return Predictor.load(path, specification=space.specification, settings=settings), path, None


def _new_predictor(settings: PredictorSettings, space: JointSpace, *, seed: int) -> Predictor:
    return Predictor(
        settings,
        architecture_columns=space.architecture.columns,
        recipe_columns=space.recipe.columns,
        statistics=STATISTICS,
        specification=space.specification,
        seed=stage_seed(seed, Stage.PREDICTOR),
    )


def _pretrain(
    predictor: Predictor,
    space: JointSpace,
    path: Path,
    num_classes: int,
    seed: int,
    progress: Progress,
    watched: Watched,
) -> dict | None:
    """Pretrain, unless the settings go without, and write the file; returns the check of the encoder."""
    settings = predictor.settings
    if not settings.pretrained:
        predictor.save(path)
        return None
    with watched(path) as tell:
        points = space.architecture.sample(settings.pretrain.pool_size, stage_seed(seed, Stage.PRETRAINING_POOL))
        labels = costs(space.architecture, points, STATISTICS, Pricing(num_classes=num_classes))
        progress.start(f"pretraining the predictor on {len(points):,} architectures", total=100)
        try:
            report = predictor.pretrain(
                space.architecture.encode(points), labels, progress=lambda _, done: progress.update(100 * done)
            )
        finally:
            progress.stop()
        predictor.save(path)
        tell(report)
    return report
