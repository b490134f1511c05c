"""Pretraining the predictor's encoder on free statistics of Sobol' architectures, kept as a file."""

from pathlib import Path

from rich.console import Console

from nars.costs.statistics import costs
from nars.files import content_key
from nars.leases import turn
from nars.predictor.predictor import Predictor
from nars.reporting.screen.progress import ProgressDisplay
from nars.reporting.tracking.notices import Notices
from nars.reporting.tracking.pretrainings import pretraining_run, track_pretraining
from nars.seeds import Stage, stage_seed
from nars.settings import PredictorSettings, PretrainScriptSettings, WandbSettings
from nars.shell import command, override
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space

STATISTICS = ("macs", "params")


def pretrained_predictor(
    settings: PredictorSettings,
    space: JointSpace,
    *,
    num_classes: int,
    seed: int,
    folder: Path,
    progress: ProgressDisplay,
    wandb: WandbSettings | None,
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
                return _pretrain(
                    settings, space, path, num_classes=num_classes, seed=seed, progress=progress, wandb=wandb
                )
    return Predictor.load(path, specification=space.specification, settings=settings), path, None


def _pretrain(
    settings: PredictorSettings,
    space: JointSpace,
    path: Path,
    num_classes: int,
    seed: int,
    progress: ProgressDisplay,
    wandb: WandbSettings | None,
) -> tuple[Predictor, Path, dict | None]:
    """What `pretrained_predictor` returns, where the file is not there."""
    predictor = Predictor(
        settings,
        architecture_columns=space.architecture.columns,
        recipe_columns=space.recipe.columns,
        statistics=STATISTICS,
        specification=space.specification,
        seed=stage_seed(seed, Stage.PREDICTOR),
    )
    if not settings.pretrained:
        predictor.save(path)
        return predictor, path, None
    with pretraining_run(wandb, settings, space, path, num_classes=num_classes, seed=seed) as run:
        points = space.architecture.sample(settings.pretrain.pool_size, stage_seed(seed, Stage.PRETRAINING_POOL))
        labels = costs(space.architecture, points, STATISTICS, num_classes=num_classes)
        progress.start(f"pretraining the predictor on {len(points):,} architectures", total=100)
        try:
            report = predictor.pretrain(
                space.architecture.encode(points), labels, progress=lambda _, done: progress.update(100 * done)
            )
        finally:
            progress.stop()
        predictor.save(path)
        track_pretraining(run, path, report)
    return predictor, path, report


def pretrain_to_file(settings: PretrainScriptSettings, console: Console) -> Path:
    """What `pretrain_predictor.py` does: pretrain (or find) the encoder, say how good it is, write `output`."""
    space = JointSpace(ArchitectureSpace(settings.search_space), recipe_space(settings.recipe_space))
    study = Path(settings.runs_dir) / settings.study
    notices = Notices(settings.logger, study, console)
    predictor, path, report = pretrained_predictor(
        settings.predictor,
        space,
        num_classes=settings.num_classes,
        seed=settings.seed,
        folder=study / "predictors",
        progress=ProgressDisplay(console),
        wandb=settings.logger.wandb,
    )
    for name, check in (report or {}).items():
        console.print(
            f"  {name}: Kendall tau {check['kendall_tau']:.3f}, mean error {check['mean_relative_error']:.2%} "
            "on the 20 % of architectures held out"
        )
    if report is None:
        console.print("already pretrained with these settings")
    if settings.output is not None:
        path = Path(settings.output)
        predictor.save(path)
    use = command("search.py", override("pretrained", path))
    console.print(f"written: {path}; use it with: {use}", soft_wrap=True)
    notices.say_end()
    return path
