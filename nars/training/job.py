"""A training as plain values, and what must be known of it without importing what trains."""

from contextlib import suppress
from pathlib import Path

from nars.data import ImageData
from nars.records import Origin
from nars.settings import DataSettings, LoggerSettings, ProtocolSettings, Settings, TrainerSettings
from nars.spaces.candidate import Candidate


class TeacherJob(Settings):
    """Whom a training learns from: architecture and weights, which make `share` of its loss."""

    architecture: dict
    weights: str
    share: float


class TrainingJob(Settings):
    """Everything that one training needs, in plain values, so that any process can run it.

    `folder`, one of its own in `trainings/` of the study, is where the epochs' accuracies and the loggers' files go;
    `costs` are the candidate's by name, `predicted_accuracy` what was expected of it, if anything.
    """

    key: str
    architecture: dict
    recipe: dict
    data: DataSettings
    split_file: str | None
    protocol: ProtocolSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    training: dict
    origin: Origin | None = None
    folder: str
    teacher: TeacherJob | None = None
    epochs: int
    seed: int
    costs: dict[str, float]
    predicted_accuracy: float | None = None

    @property
    def candidate(self) -> Candidate:
        """The candidate to train."""
        return Candidate(architecture=self.architecture, recipe=self.recipe)


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


def forget_state(job: TrainingJob) -> None:
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
