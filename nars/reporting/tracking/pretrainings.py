"""What pretrainings show on Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path

from nars.settings import PredictorSettings, WandbSettings
from nars.spaces.candidate import JointSpace
from nars.wandb_run import WandbRun, scalars


def pretraining_run(
    settings: WandbSettings | None, predictor: PredictorSettings, space: JointSpace, file: Path, **config
) -> WandbRun:
    """The W&B run of a pretraining whose encoder goes to `file`, in the folder predictors/ of a study."""
    names = {"search_space": space.architecture.name, "recipe_space": space.recipe.name}
    values = predictor.model_dump(mode="json", exclude={"fit"})
    return WandbRun(
        settings,
        file.parents[1],
        key=file.stem,
        name=file.stem,
        job_type="pretraining",
        config=scalars(values, "predictor/") | names | config,
    )


def track_pretraining(run: WandbRun, file: Path, report: Mapping) -> None:
    """Show how well a pretrained encoder knows each statistic, and keep it as an artifact."""
    run.summarise(scalars(report))
    run.give(file.stem, "encoder", [file])
