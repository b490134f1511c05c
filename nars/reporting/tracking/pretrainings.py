"""What pretrainings show on Weights & Biases."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nars.settings import PredictorSettings, WandbSettings
from nars.spaces.candidate import JointSpace
from nars.wandb_run import WandbRun, scalars


@contextmanager
def tracked_pretraining(
    settings: WandbSettings | None, predictor: PredictorSettings, space: JointSpace, file: Path, **config
) -> Iterator[Callable[[Mapping], None]]:
    """The W&B run of a pretraining whose encoder goes to `file`, in the folder predictors/ of a study.

    What it yields is told how well the encoder knows each statistic, and keeps the file as an artifact.
    """
    names = {"search_space": space.architecture.name, "recipe_space": space.recipe.name}
    values = predictor.model_dump(mode="json", exclude={"fit"})
    with WandbRun(
        settings,
        file.parents[1],
        key=file.stem,
        name=file.stem,
        job_type="pretraining",
        config=scalars(values, "predictor/") | names | config,
    ) as run:

        def tell(report: Mapping) -> None:
            run.summarise(scalars(report))
            run.give(file.stem, "encoder", [file])

        yield tell
