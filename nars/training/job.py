"""A training as plain values, and what must be known of it without importing what trains."""

from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from nars.data import ImageData
from nars.records import Origin
from nars.settings import (
    DataSettings,
    LoggerSettings,
    ProtocolSettings,
    ScheduleSettings,
    Settings,
    StartSettings,
    TrainerSettings,
)
from nars.spaces.candidate import Candidate


class TeacherJob(Settings):
    """Whom a training learns from: architecture and weights, which make `share` of its loss."""

    architecture: dict
    weights: str
    share: float


class StartJob(Settings):
    """What a training begins with: the file of `weights` and its `digest`, how they are taken and changed, and what is
    known of them: the `architecture` in which slices are found, the `classes`, and mean and std of the images
    (`statistics`, as fractions of white)."""

    weights: str
    digest: str
    settings: StartSettings
    architecture: dict | None = None
    classes: list[str] | None = None
    statistics: dict[str, list[float]] | None = None


class Job(Settings):
    """Everything that one training of any task needs, in plain values, so that any process can run it.

    `folder`, one of its own in `trainings/` of the study, is where the epochs' metrics and the loggers' files go;
    `costs` are by name. A task adds its `data`.
    """

    kind: ClassVar[str]  # of run in dashboards
    group: ClassVar[str]  # of the settings that are its protocol
    lr: ClassVar[str]  # the key of its learning rate

    key: str
    architecture: dict
    recipe: dict
    protocol: ScheduleSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    training: dict
    origin: Origin | None = None
    folder: str
    start: StartJob | None = None
    epochs: int
    seed: int
    costs: dict[str, float]

    @property
    def candidate(self) -> Candidate:
        """The candidate to train."""
        return Candidate(architecture=self.architecture, recipe=self.recipe)

    @property
    def known(self) -> dict[str, float | None]:
        """What is known before the training, by name."""
        return self.costs


class TrainingJob(Job):
    """The training of a classifier; `predicted_accuracy` is what was expected of it, if anything."""

    kind = "candidate"
    group = "protocol"
    lr = "recipe.lr"

    data: DataSettings
    split_file: str | None
    protocol: ProtocolSettings
    teacher: TeacherJob | None = None
    predicted_accuracy: float | None = None

    @property
    def known(self) -> dict[str, float | None]:
        """Costs, and what was expected."""
        return self.costs | {"predicted_accuracy": self.predicted_accuracy}


def training_identity(data: ImageData, protocol: ProtocolSettings, trainer: TrainerSettings) -> dict:
    """What decides the outcome of a training beside candidate, seed and epochs: part of a record and of its key."""
    identity = {
        "data": data.fingerprint,
        "protocol": protocol.model_dump(mode="json", exclude={"epochs"}),
        "precision": trainer.precision,
    }
    if trainer.devices > 1:
        identity |= {"devices": trainer.devices, "sync_batchnorm": trainer.sync_batchnorm}
    return identity


def origin_of(
    data: ImageData, settings: DataSettings, *, search_space: str | None = None, recipe_space: str | None = None
) -> Origin:
    """Part of a record: the data under the name of its settings, with that of its folder if it lies in one."""
    root = getattr(settings, "root", None)
    return Origin(
        data=settings.name if root is None else f"{settings.name} {Path(root).resolve().name}",
        classes=data.num_classes,
        search_space=search_space,
        recipe_space=recipe_space,
    )


def checkpoint_path(folder: Path | str) -> Path:
    """Where the training of `folder` keeps its state."""
    return Path(folder) / "checkpoint.ckpt"


def best_weights_path(folder: Path | str) -> Path:
    """Where the training of `folder` keeps the weights of its best epoch so far, if it is told to."""
    return Path(folder) / "best.safetensors"


def forget_state(job: Job) -> None:
    """Remove the state of a training whose record is kept, unless the settings keep it."""
    if not job.trainer.keep_checkpoints:
        with suppress(OSError):  # what cannot be removed takes space, no more
            remove_checkpoint(job.folder)


def remove_checkpoint(folder: Path | str) -> None:
    """Remove the state of the training of `folder`, if there is one."""
    path = checkpoint_path(folder)
    for file in (path, temporary_of(path), best_weights_path(folder)):
        file.unlink(missing_ok=True)


def temporary_of(path: Path) -> Path:
    """Where a file is written before it is whole."""
    return path.with_suffix(".tmp")
