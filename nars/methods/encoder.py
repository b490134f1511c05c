"""Pretraining the predictor's encoder on free statistics of Sobol' architectures, kept as a file that studies share."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.files import content_key, digest, write_whole
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
        shared=problem.encoders,
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
    shared: Path,
    progress: Progress,
    watched: Watched,
) -> tuple[Predictor, Path, bool]:
    """A predictor with its encoder pretrained, the file in `folder` that it is kept in, and whether that was found.

    The file's name holds the content of everything that decides the pretraining. It is looked for in `folder` and in
    `shared`, that of all studies; of searches at the same time one pretrains, and leaves it in both.
    """
    content = [space.specification, settings.model_dump(mode="json", exclude={"fit"}), num_classes, seed]
    path = folder / f"encoder-{content_key(content)}.safetensors"
    kept, found = shared / path.name, True
    if not path.exists():
        shared.mkdir(parents=True, exist_ok=True)
        with turn(kept.with_suffix(".claim")):
            found = kept.exists()
            if not found:
                _pretrain(_new_predictor(settings, space, seed=seed), space, path, num_classes, seed, progress, watched)
                write_whole(kept, path.read_bytes())
            elif not path.exists():
                write_whole(path, kept.read_bytes())
    return Predictor.load(path, specification=space.specification, settings=settings), path, found


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
) -> None:
    """Pretrain, unless the settings go without or there is no architecture to encode, and write the file."""
    settings = predictor.settings
    if not settings.pretrained or not space.architecture.columns:
        predictor.save(path)
        return
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
