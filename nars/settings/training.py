"""Settings of a training: groups `data`, `protocol`, `trainer`, `executor` and `logger`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from nars.settings.base import Fraction, NonNegativeInt, PathText, Settings, later


class DigitsSettings(Settings):
    """scikit-learn's 1,797 digit images, embedded (`data=digits`); `shots` of each class train, null = all."""

    name: Literal["digits"]
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: NonNegativeInt = 0
    shots: PositiveInt | None = later(None)


class FolderSettings(Settings):
    """One folder per class (`data=folder`); `val_root` null holds `val_fraction` of each class out by seed. `shots`
    images of each class train, null = all: chosen by seed, the fewer among the more."""

    name: Literal["folder"]
    root: PathText
    val_root: PathText | None = None
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: NonNegativeInt = 0
    shots: PositiveInt | None = later(None)


class ImagenetSubsetSettings(Settings):
    """Classes and validation images drawn by seed from an ILSVRC2012-style train folder (`data=imagenet200`).

    The drawn split is kept in `split_file` and read from there again.
    """

    name: Literal["imagenet200"]
    root: PathText
    num_classes: Annotated[int, Field(ge=2)] = 200
    val_images: PositiveInt = 10_000
    seed: NonNegativeInt = 0
    split_file: PathText | None = None


class PreparedSettings(Settings):
    """A folder that `prepare_data.py` made, with the split it was made with (`data=prepared`)."""

    name: Literal["prepared"]
    root: PathText


DataSettings = Annotated[
    DigitsSettings | FolderSettings | ImagenetSubsetSettings | PreparedSettings, Field(discriminator="name")
]


class ScheduleSettings(Settings):
    """What every protocol says, whatever its task: how long, in which batches, and the course of the learning rate.

    `steps_per_epoch` null takes all of the training images in an epoch. Everything but `epochs` is part of a record's
    key.
    """

    epochs: PositiveInt
    steps_per_epoch: PositiveInt | None = None
    batch_size: Annotated[int, Field(ge=2)]
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.963
    warmup_epochs: Annotated[float, Field(ge=0)] = 0
    momentum: Fraction = 0.9
    ema_decay: Fraction = 0.9998


class ProtocolSettings(ScheduleSettings):
    """How every candidate is trained, whatever its recipe (group `protocol`).

    `image_scale` times the candidate's resolution is the side of its images, at least 32.
    """

    image_scale: PositiveFloat = 1.0
    lr_batch_size: PositiveInt = 256
    sgd_lr_multiplier: PositiveFloat = 4.0
    rmsprop_alpha: Fraction = 0.9
    rmsprop_eps: PositiveFloat = 1e-3
    label_smoothing: Fraction = 0.0
    augmentation: Literal["none", "standard", "autoaugment", "randaugment"] = "standard"


class TrainerSettings(Settings):
    """Where and in which precision a training runs (group `trainer`); the precision is part of a record's key,
    and `16-mixed` needs a GPU.

    Several `devices` (`train.py` only) share every batch by DDP; they are part of the key too, because batch norm sees
    each device's part alone, or the whole batch with `sync_batchnorm` (GPUs only).
    A killed training goes on after its last checkpoint: one is written after every `checkpoint_every` epochs (0 =
    never) and removed when the record is kept, unless `keep_checkpoints`, which lets a search with more epochs start
    from it.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: PositiveInt = 1
    sync_batchnorm: bool = False
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    loader_workers: NonNegativeInt = 0
    checkpoint_every: NonNegativeInt = 1
    keep_checkpoints: bool = False


class TrainingLimits(Settings):
    """A training whose worker dies, is stopped after `max_training_seconds`, needs more than `max_memory_gib` or raises
    an error is tried again up to `retries` times, then recorded as failed; out of GPU memory, it is recorded at once.
    null = no limit.
    """

    retries: NonNegativeInt = 2
    max_training_seconds: PositiveFloat | None = None
    max_memory_gib: PositiveFloat | None = None


class LocalExecutorSettings(TrainingLimits):
    """Worker processes of this machine (`executor=local`): up to `workers`, null = one per core or GPU."""

    name: Literal["local"]
    workers: PositiveInt | None = None
    threads_per_worker: PositiveInt = 1


class RayExecutorSettings(TrainingLimits):
    """A Ray cluster (`executor=ray`): the one at `address`, null = one that the search starts here.

    At most `workers` trainings at a time, null = as many as the nodes hold. What one needs may be a fraction.
    """

    name: Literal["ray"]
    address: str | None = None
    workers: PositiveInt | None = None
    cpus_per_candidate: PositiveFloat = 1
    gpus_per_candidate: Annotated[float, Field(ge=0)] = 0


ExecutorSettings = Annotated[LocalExecutorSettings | RayExecutorSettings, Field(discriminator="name")]


class WandbSettings(Settings):
    """Weights & Biases: runs of trainings, pretrainings and searches; offline ones are kept in the study's folder."""

    project: str = "nars"
    entity: str | None = None
    offline: bool = True


class LoggerSettings(Settings):
    """Where curves go (group `logger`): `csv` and `tensorboard` show trainings, `wandb` the whole search."""

    csv: bool = False
    tensorboard: bool = False
    wandb: WandbSettings | None = None
