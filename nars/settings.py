"""Every setting of the project as strict, frozen values.

One Hydra group = one class here. The scripts turn the composed configuration into plain containers and call
`parse`, which names the first key that is unknown, of the wrong type or out of range, in one line. This module
imports neither torch nor Hydra, so configuration errors and `--help` stay fast.
"""

import json
import os
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
    create_model,
    model_validator,
)

from nars.errors import UserError


class Settings(BaseModel):
    """Base: frozen, no unknown keys, no silent type conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


SettingsType = TypeVar("SettingsType", bound=Settings)

Fraction = Annotated[float, Field(ge=0, lt=1)]
ClosedFraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PathText = Annotated[str, AfterValidator(os.path.expanduser)]


def parse(settings_class: type[SettingsType], values: dict, *, where: str = "") -> SettingsType:
    """Settings of `settings_class` from plain containers (dict, list, scalars); `where` goes before key names.

    Raises UserError with one line: the key's full path, what was given and what is allowed.
    """
    try:
        # Through JSON, because strict mode then takes lists for tuples but still no "3" for 3.
        return settings_class.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError(_one_line(error, settings_class, values, where)) from None
    except TypeError as error:
        raise UserError(f"{where or settings_class.__name__}: {error}") from None


def _one_line(error: ValidationError, settings_class: type[Settings], values, where: str) -> str:
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path = _path(problem, values, where)
    others = {_path(p, values, where) for p in problems} - {path}
    more = f" (and {len(others)} more)" if others else ""
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(settings_class.model_fields) if len(problem["loc"]) == 1 else "see conf/"
        return f"{path}: unknown key; allowed: {allowed}{more}"
    if problem["type"] == "missing":
        return f"{path}: missing, and there is no default{more}"
    message = problem["msg"].removeprefix("Value error, ")
    if sum(p["loc"][:-1] == problem["loc"][:-1] for p in problems) > 1 and problem["loc"][-1] == "bool":
        message = "Input should be a number, text, true or false"  # pydantic tells each of the four apart
    return f"{path or settings_class.__name__}: {message}, given {problem['input']!r}{more}"


def _path(problem: dict, values, where: str) -> str:
    """Full path of a key as it is written in YAML: pydantic's, without the tags of unions that it puts in between."""
    path, place = [where] if where else [], values
    for part in problem["loc"]:
        if isinstance(place, dict | list) and (part in place if isinstance(place, dict) else isinstance(part, int)):
            path.append(str(part))
            place = place[part]
    if problem["type"] == "missing":
        path.append(str(problem["loc"][-1]))
    return ".".join(path)


# --- spaces ---------------------------------------------------------------------------------------------------


class Range(Settings):
    """The choices low, low + step, ..., high, each times `unit`: an ordered dimension."""

    low: int
    high: int
    step: PositiveInt = 1
    unit: PositiveFloat = 1

    @model_validator(mode="after")
    def _ordered(self):
        if self.high < self.low or (self.high - self.low) % self.step:
            raise ValueError(f"high must be low + a multiple of step, not {self.low}..{self.high} by {self.step}")
        return self


class SameAs(Settings):
    """The choice made for the same key of another stage: `{same_as: stage4}`."""

    same_as: Annotated[str, Field(pattern=r"^stage\d+$")]


Value = bool | int | float | str


def _kind_of_choices(given) -> str:
    if isinstance(given, list | tuple):
        return "list"
    if isinstance(given, SameAs) or (isinstance(given, dict) and "same_as" in given):
        return "shared"
    return "range" if isinstance(given, Range | dict) else "value"


def _kind_of_own_choices(given) -> str:
    kind = _kind_of_choices(given)
    return "range" if kind == "shared" else kind


# Told apart before they are checked, so that an error speaks of the kind that was meant.
_Range = Annotated[Range, Tag("range")]
_List = Annotated[tuple[Value, ...], Field(min_length=1), Tag("list")]
_Value = Annotated[Value, Tag("value")]
OwnChoices = Annotated[_Range | _List | _Value, Discriminator(_kind_of_own_choices)]
Choices = Annotated[_Range | Annotated[SameAs, Tag("shared")] | _List | _Value, Discriminator(_kind_of_choices)]


class StageSettings(Settings):
    """One stage: each key a fixed value, a list of choices, a range, or `{same_as: stageN}`.

    `kernel` and `expansion` hold for all blocks of the stage; `*_first` and `*_rest` tell its first block apart.
    """

    width: Choices
    depth: Choices
    kernel: Choices | None = None
    kernel_first: Choices | None = None
    kernel_rest: Choices | None = None
    expansion: Choices | None = None
    expansion_first: Choices | None = None
    expansion_rest: Choices | None = None
    stride: Literal[1, 2]
    se: bool

    @model_validator(mode="after")
    def _one_spelling(self):
        for key in ("kernel", "expansion"):
            whole, first, rest = (getattr(self, key + suffix) is not None for suffix in ("", "_first", "_rest"))
            if (whole, first, rest) not in ((True, False, False), (False, True, True)):
                raise ValueError(f"give either {key}, or both {key}_first and {key}_rest")
        return self


class HeadSettings(Settings):
    """Final expansion (of the last stage's width) before pooling, and the width of the layer after it."""

    expansion: PositiveInt
    width: PositiveInt


class ArchitectureSpaceSettings(Settings):
    """What architectures can be chosen (group `search_space`)."""

    name: str
    resolution: Choices
    stem_width: Choices
    stages: Annotated[tuple[StageSettings, ...], Field(min_length=1)]
    head: HeadSettings


class Recipe(Settings):
    """How one candidate is trained.

    `lr` is the initial learning rate for RMSProp at the protocol's `lr_batch_size`; SGD multiplies it by the
    protocol's `sgd_lr_multiplier`. `dropout` and `stochastic_depth` are drop probabilities, `mixup` is the alpha of
    the Beta distribution that mixing weights are drawn from (0 = off).
    """

    lr: PositiveFloat
    optimizer: Literal["rmsprop", "sgd"]
    ema: bool
    dropout: Fraction
    stochastic_depth: Fraction
    mixup: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0)]

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "recipe") -> "Recipe":
        """The recipe that `to_dict` describes; UserError names what is wrong."""
        return parse(cls, dict(values), where=where)

    def to_dict(self) -> dict:
        """Plain containers, as written to files."""
        return self.model_dump(mode="json")


class RecipeSpaceSettings(Settings):
    """What training recipes can be chosen (group `recipe_space`)."""

    name: str
    lr: OwnChoices
    optimizer: OwnChoices
    ema: OwnChoices
    dropout: OwnChoices
    stochastic_depth: OwnChoices
    mixup: OwnChoices
    weight_decay: OwnChoices


# --- costs ----------------------------------------------------------------------------------------------------


class ConstraintSettings(Settings):
    """Limits that the answer keeps (group `constraint`); costs count a classifier of `num_classes` classes."""

    max_macs: PositiveFloat | None = None
    min_macs: PositiveFloat | None = None
    max_params: PositiveFloat | None = None
    min_params: PositiveFloat | None = None
    num_classes: PositiveInt = 1000

    @model_validator(mode="after")
    def _not_crossed(self):
        for cost in ("macs", "params"):
            low, high = getattr(self, f"min_{cost}"), getattr(self, f"max_{cost}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{cost} is above max_{cost}")
        return self


# --- data -----------------------------------------------------------------------------------------------------


class DigitsSettings(Settings):
    """scikit-learn's 1,797 digit images, embedded (`data=digits`)."""

    name: Literal["digits"]
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: NonNegativeInt = 0


class FolderSettings(Settings):
    """One folder per class (`data=folder`); `val_root` null holds `val_fraction` of each class out by seed."""

    name: Literal["folder"]
    root: PathText
    val_root: PathText | None = None
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: NonNegativeInt = 0


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


# --- training -------------------------------------------------------------------------------------------------


class ProtocolSettings(Settings):
    """How every candidate is trained, whatever its recipe (group `protocol`).

    `image_scale` times the candidate's resolution is the side of its images, at least 32; `steps_per_epoch` null
    takes all of the training images in an epoch. Everything here but `epochs` is part of a record's key.
    """

    epochs: PositiveInt
    steps_per_epoch: PositiveInt | None = None
    batch_size: Annotated[int, Field(ge=2)]
    image_scale: PositiveFloat = 1.0
    lr_batch_size: PositiveInt = 256
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 0.963
    warmup_epochs: Annotated[float, Field(ge=0)] = 0
    sgd_lr_multiplier: PositiveFloat = 4.0
    momentum: Fraction = 0.9
    rmsprop_alpha: Fraction = 0.9
    rmsprop_eps: PositiveFloat = 1e-3
    ema_decay: Fraction = 0.9998
    label_smoothing: Fraction = 0.0
    augmentation: Literal["none", "standard", "autoaugment", "randaugment"] = "standard"


class TrainerSettings(Settings):
    """Where and in which precision a training runs (group `trainer`); the precision is part of a record's key.

    Several `devices` (`train.py` only) share every batch by DDP; they are part of the key too, because batch norm sees
    each device's part alone, or the whole batch with `sync_batchnorm` (GPUs only).
    A killed training goes on after its last checkpoint: one is written after every `checkpoint_every` epochs (0 =
    never) and removed when the record is kept, unless `keep_checkpoints`, which lets a longer training start from it.
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
    an error is tried again up to `retries` times, then recorded as failed; null = no limit.
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


# --- predictor and search -------------------------------------------------------------------------------------


class PretrainSettings(Settings):
    """Encoder pretraining on free statistics of `pool_size` Sobol' architectures, 80 % to train, 20 % to check."""

    pool_size: Annotated[int, Field(ge=10)] = 20_000
    epochs: PositiveInt = 30
    batch_size: PositiveInt = 256
    lr: PositiveFloat = 5e-3


class FitSettings(Settings):
    """Fit to accuracies: `frozen_epochs` with the encoder frozen, then `whole_epochs` at a lower, decaying lr.

    `batch_size` is halved until an epoch has 8 batches, or a batch 4 records. `process_steps` tune the Gaussian
    process. `targets` are the standardised accuracies, or the normal scores of their ranks.
    """

    targets: Literal["standardised", "normal_scores"] = "normal_scores"
    frozen_epochs: PositiveInt = 50
    whole_epochs: PositiveInt = 50
    batch_size: PositiveInt = 32
    lr: PositiveFloat = 1e-2
    whole_lr: PositiveFloat = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    process_steps: PositiveInt = 80


class PredictorSettings(Settings):
    """The accuracy predictor (group `predictor`).

    `head` is the paper's `network`, a Gaussian `process` on features and predicted statistics, or a `blend` of both.
    `members` networks are trained side by side; where there are several, each leaves out a share of the records.
    """

    head: Literal["network", "process", "blend"] = "blend"
    embedding: PositiveInt = 24
    encoder_hidden: PositiveInt = 64
    head_hidden: PositiveInt = 64
    members: PositiveInt = 5
    pretrained: bool = True
    pretrain: PretrainSettings = PretrainSettings()
    fit: FitSettings = FitSettings()


class EvolutionSettings(Settings):
    """The adaptive genetic algorithm: starts from up to `best` seeds and `random` random points, makes `children`
    children of every parent in up to `attempts` attempts, keeps `survivors`, stops once the best score has risen by at
    most `min_gain` in each of `patience` generations, or `max_evaluated` points are scored. At most `tries` random
    points are tried.

    `crossover_*` (probability) and `mutations_*` (expected number of dimensions changed) are the constants k1, k3 and
    k2, k4 of Srinivas and Patnaik (1994): what holds at average score, falling to 0 for the best, and below average.
    Sizes and min_gain: paper (recalled). Rates, patience and attempts: ours, measured in experiments/evolution_quality.
    """

    best: NonNegativeInt = 50
    random: PositiveInt = 50
    children: PositiveInt = 24
    survivors: Annotated[int, Field(ge=2)] = 40
    min_gain: Annotated[float, Field(ge=0)] = 1e-6
    patience: PositiveInt = 5
    max_generations: PositiveInt = 200
    max_evaluated: PositiveInt | None = None
    crossover_above: ClosedFraction = 1.0
    crossover_below: ClosedFraction = 1.0
    mutations_above: Annotated[float, Field(ge=0)] = 1.0
    mutations_below: Annotated[float, Field(ge=0)] = 1.0
    attempts: PositiveInt = 3
    tries: PositiveInt = 100_000


class WindowSettings(Settings):
    """Costs between which the candidates that are trained lie, whatever the final constraint."""

    min_macs: PositiveFloat | None = 400e6
    max_macs: PositiveFloat | None = 800e6
    min_params: PositiveFloat | None = None
    max_params: PositiveFloat | None = None


class RoundsSettings(Settings):
    """What all strategies share: rounds of choose, train and refit the predictor, then evolution on the predictor."""

    pool_size: PositiveInt = 20_000
    window: WindowSettings = WindowSettings()
    rounds: PositiveInt = 4
    batch: Annotated[int, Field(ge=2)] = 48
    early_stop_correlation: Annotated[float, Field(gt=-1, le=1)] = 0.92
    evolution: EvolutionSettings = EvolutionSettings()
    answers: PositiveInt = 5


class NarsSettings(RoundsSettings):
    """Rounds choose by the predictor, as many candidates in each of `cost_bins` bins of MACs: the best predicted ones
    (paper), or those of greatest expected improvement (ours, measured in experiments/joint_search).

    `cost_bins` null makes as many as a batch has candidates, so that every later constraint is served; 1 looks for the
    best candidate of the window, whatever its cost.
    """

    name: Literal["nars"]
    choose: Literal["expected_improvement", "best_per_bin"] = "expected_improvement"
    cost_bins: PositiveInt | None = None


class RandomSettings(RoundsSettings):
    """Rounds choose at random: the plainest comparison."""

    name: Literal["random"]


class RegularisedEvolutionSettings(RoundsSettings):
    """Rounds choose by regularised evolution; `evolution` is the last stage, on the predictor, as everywhere."""

    name: Literal["evolution"]
    population: Annotated[int, Field(ge=2)] = 50
    tournament: PositiveInt = 10


class TpeSettings(RoundsSettings):
    """Rounds choose by Optuna's tree-structured Parzen estimator."""

    name: Literal["tpe"]


StrategySettings = Annotated[
    NarsSettings | RandomSettings | RegularisedEvolutionSettings | TpeSettings, Field(discriminator="name")
]


# --- scripts --------------------------------------------------------------------------------------------------


class StudySettings(Settings):
    """What all scripts share: results go to the folder `runs_dir`/`study`."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    runs_dir: PathText = "runs"
    seed: NonNegativeInt = 0


def _shows_pretrainings(logger: LoggerSettings) -> LoggerSettings:
    if logger.csv or logger.tensorboard:
        raise ValueError("a pretraining is shown by logger=wandb or logger=none; csv and tensorboard show trainings")
    return logger


class PretrainScriptSettings(StudySettings):
    """`pretrain_predictor.py`: `output` null writes into the study's folder."""

    search_space: ArchitectureSpaceSettings
    recipe_space: RecipeSpaceSettings
    predictor: PredictorSettings
    logger: Annotated[LoggerSettings, AfterValidator(_shows_pretrainings)]
    num_classes: PositiveInt = 1000
    output: PathText | None = None


class PrepareSettings(Settings):
    """`prepare_data.py`: image files into few files that are read fast, in the folder `output`.

    Training images get a short side of at most `short_side` pixels, which a crop of 272 needs, as JPEGs of `quality`;
    measured in experiments/data_loading. `workers` processes, null = one per core.
    """

    data: Annotated[FolderSettings | ImagenetSubsetSettings, Field(discriminator="name")]
    output: PathText
    short_side: PositiveInt = 288
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    workers: PositiveInt | None = None


class SearchSettings(StudySettings):
    """`search.py`: `pretrained` null pretrains the encoder, or reuses what the study's folder holds.

    `dry_run` says what would be trained, and trains nothing.
    """

    search_space: ArchitectureSpaceSettings
    recipe_space: RecipeSpaceSettings
    constraint: ConstraintSettings
    data: DataSettings
    protocol: ProtocolSettings
    predictor: PredictorSettings
    strategy: StrategySettings
    executor: ExecutorSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    pretrained: PathText | None = None
    dry_run: bool = False


RecipeOverrides = create_model(
    "RecipeOverrides",
    __base__=Settings,
    __doc__="Recipe keys of `train.py` (group `recipe`); null keeps the candidate's own value.",
    **{
        key: (Annotated[field.annotation, key, *field.metadata] | None, None)  # limits are in the metadata
        for key, field in Recipe.model_fields.items()
    },
)


class TeacherSettings(Settings):
    """A trained network to learn from: `share` of the loss is the cross-entropy with its output, the rest that with
    the labels; 0.8 and 0.2 are the paper's (recalled). Null `weights` = no teacher; `candidate` only where no card
    lies beside them."""

    weights: PathText | None = None
    candidate: PathText | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 0.8


class TrainSettings(StudySettings):
    """`train.py`: `candidate` is a file from a search, the name of one in conf/candidates, or timm:<model name>.

    `mode` evaluate measures `weights` on the validation images. `resume` false trains from the first epoch, even what
    is known.
    """

    mode: Literal["train", "evaluate"] = "train"
    candidate: PathText
    weights: PathText | None = None
    resume: bool = True
    recipe: RecipeOverrides
    teacher: TeacherSettings
    data: DataSettings
    protocol: ProtocolSettings
    trainer: TrainerSettings
    logger: LoggerSettings
