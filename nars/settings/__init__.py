"""Every setting of the project as strict, frozen values.

One Hydra group = one class here. The scripts turn the composed configuration into plain containers and call
`parse`, which names the first key that is unknown, of the wrong type or out of range, in one line. This package
imports neither torch nor Hydra, so configuration errors and `--help` stay fast.
"""

from nars.settings.base import NonNegativeInt, Settings, SettingsType, later, parse
from nars.settings.blocks import (
    Activation,
    AnyHead,
    BlockKind,
    ConvHeadSettings,
    HeadSettings,
    Kernel,
    Squeeze,
)
from nars.settings.detection import (
    CocoSettings,
    DetectionDataSettings,
    DetectionProtocolSettings,
    DetectorSettings,
    FasterRcnnC4Settings,
    FasterRcnnSettings,
    FcosSettings,
    RetinanetSettings,
    ScatteredDigitsSettings,
    TwoStageSettings,
    VocSettings,
    YoloSettings,
)
from nars.settings.latency import LatencySettings, MeasureSettings
from nars.settings.methods import (
    DifferentiableSettings,
    Fbnetv1Settings,
    Fbnetv2Settings,
    LossSettings,
    MethodSettings,
    NarsMethodSettings,
    TemperatureSettings,
)
from nars.settings.scripts import (
    CalibrationSettings,
    DetectSettings,
    ExportFormat,
    ExportInput,
    ExportSettings,
    PrepareSettings,
    PretrainScriptSettings,
    RecipeOverrides,
    SearchSettings,
    StudySettings,
    TeacherSettings,
    TrainSettings,
)
from nars.settings.search import (
    ConfirmSettings,
    EvolutionSettings,
    FitSettings,
    NarsSettings,
    PredictorSettings,
    PretrainSettings,
    RandomSettings,
    RegularisedEvolutionSettings,
    ReinforceSettings,
    RoundsSettings,
    StrategySettings,
    TpeSettings,
    WindowSettings,
)
from nars.settings.spaces import (
    MAX_CHOICES,
    ArchitectureSpaceSettings,
    BlockSettings,
    BlockStageSettings,
    ConstraintSettings,
    CostLimits,
    FixedSpaceSettings,
    Range,
    Recipe,
    RecipeSpaceSettings,
    SameAs,
    SearchSpaceSettings,
    StageSettings,
    search_space_of,
)
from nars.settings.start import StartSettings
from nars.settings.training import (
    DataSettings,
    DigitsSettings,
    ExecutorSettings,
    FolderSettings,
    ImagenetSubsetSettings,
    LocalExecutorSettings,
    LoggerSettings,
    PreparedSettings,
    ProtocolSettings,
    RayExecutorSettings,
    ScheduleSettings,
    TrainerSettings,
    WandbSettings,
)
