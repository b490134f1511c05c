"""Settings of the scripts: everything that one run is told."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, create_model

from nars.settings.base import ClosedFraction, PathText, Seed, Settings, later
from nars.settings.detection import (
    DetectionDataSettings,
    DetectionProtocolSettings,
    DetectorSettings,
    ScatteredDigitsSettings,
)
from nars.settings.latency import LatencySettings
from nars.settings.methods import MethodSettings
from nars.settings.search import ConfirmSettings, EvolutionSettings, PredictorSettings, StrategySettings
from nars.settings.spaces import (
    ConstraintSettings,
    Recipe,
    RecipeSpaceSettings,
    SearchSpaceSettings,
    SeveralArchitectures,
)
from nars.settings.start import StartSettings
from nars.settings.training import (
    DataSettings,
    ExecutorSettings,
    FolderSettings,
    ImagenetSubsetSettings,
    LoggerSettings,
    ProtocolSettings,
    TrainerSettings,
)


class StudySettings(Settings):
    """What all scripts share: results go to the folder `runs_dir`/`study`."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    runs_dir: PathText = "runs"
    seed: Seed = 0


def _shows_pretrainings(logger: LoggerSettings) -> LoggerSettings:
    if logger.csv or logger.tensorboard:
        raise ValueError("a pretraining is shown by logger=wandb or logger=none; csv and tensorboard show trainings")
    return logger


class PretrainScriptSettings(StudySettings):
    """`pretrain_predictor.py`: `output` null writes into the study's folder."""

    search_space: SeveralArchitectures
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


def _none(name: str | None) -> str | None:
    return None if name == "none" else name


class SearchSettings(StudySettings):
    """`search.py`: `pretrained` null pretrains the encoder, or reuses what the study's folder holds.

    `reference` is a network that is trained as the pairs that `confirm` trains, beside which the answer is shown: a
    candidate as `train.py` takes it, null or `none` for none.

    `start` is what every candidate begins with, and the reference where it can.

    `dry_run` says what would be trained, and trains nothing. `records` is a ledger, or the folder of a study, that
    answers alone: then nothing is trained, and images, protocol, strategy and executor play no part; `records_of` is
    the key of the kind of trainings to learn from where it holds several.
    """

    search_space: SearchSpaceSettings
    recipe_space: RecipeSpaceSettings
    constraint: ConstraintSettings
    data: DataSettings
    protocol: ProtocolSettings
    method: MethodSettings
    predictor: PredictorSettings
    strategy: StrategySettings
    evolution: EvolutionSettings
    confirm: ConfirmSettings = later(ConfirmSettings())
    reference: Annotated[PathText | None, AfterValidator(_none)] = later(None)
    latency: LatencySettings = later(LatencySettings())
    start: StartSettings = later(StartSettings())
    executor: ExecutorSettings
    trainer: TrainerSettings
    logger: LoggerSettings
    pretrained: PathText | None = None
    records: PathText | None = later(None)
    records_of: str | None = later(None)
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
    start: StartSettings = later(StartSettings())
    latency: LatencySettings = LatencySettings()
    data: DataSettings
    protocol: ProtocolSettings
    trainer: TrainerSettings
    logger: LoggerSettings


class DetectSettings(StudySettings):
    """`detect.py`: a detector on the network of `candidate`, given as for `train.py`.

    `start` is what the network begins with; all else of the detector is new.
    `mode` evaluate measures `weights` on the validation images; predict looks for objects in `images`, a folder or a
    file, and shows those whose score is at least `score`. `resume` false trains from the first epoch, even what is
    known.
    """

    mode: Literal["train", "evaluate", "predict"] = "train"
    candidate: PathText = "fbnetv3_a0"
    weights: PathText | None = None
    images: PathText | None = None
    score: ClosedFraction = 0.5
    resume: bool = True
    start: StartSettings = StartSettings()
    detector: DetectorSettings
    detection_data: DetectionDataSettings
    detection_protocol: DetectionProtocolSettings
    trainer: TrainerSettings
    logger: LoggerSettings


ExportFormat = Literal["onnx", "onnx_int8", "torch_export", "hub", "onnx_heads"]
ExportInput = Literal["bytes", "normalised"]


class CalibrationSettings(Settings):
    """Training images, not augmented, on which the ranges of activations are measured for 8 bits."""

    images: PositiveInt = 256


class ExportSettings(Settings):
    """`export.py`: trained `weights` as files for other programs, in every `format`, in the folder `output` (null:
    `exported` beside the weights): of a classifier, which is measured on `data`, or of a detector, onnx and onnx_heads
    alone, on `detection_data`.

    `candidate` only where no card lies beside the weights. `input` bytes bakes the normalisation in; `batch` is a
    number, or dynamic; `image_size` null is that of the training. Each file's latency is the median of `latency_runs`
    calls. `push` uploads the hub's layout to `repo`.
    """

    weights: PathText
    candidate: PathText | None = None
    format: Annotated[
        tuple[ExportFormat, ...],
        BeforeValidator(lambda given: (given,) if isinstance(given, str) else tuple(given or ())),
        Field(min_length=1),
    ] = ("onnx",)
    input: ExportInput = "bytes"
    batch: PositiveInt | Literal["dynamic"] = "dynamic"
    image_size: PositiveInt | None = None
    calibration: CalibrationSettings = CalibrationSettings()
    latency_runs: PositiveInt = 50
    output: PathText | None = None
    push: bool = False
    repo: str | None = None
    data: DataSettings
    detection_data: DetectionDataSettings = ScatteredDigitsSettings(name="scattered_digits")
