"""Settings of detection: groups `detector`, `detection_data` and `detection_protocol`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from nars.settings.base import ClosedFraction, Fraction, NonNegativeInt, PathText, Settings, parse
from nars.settings.training import ScheduleSettings

AspectRatios = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


class ScatteredDigitsSettings(Settings):
    """scikit-learn's digits on canvases of `side` pixels, up to `digits` on each (`detection_data=scattered_digits`).

    `seed` decides which of the 1,797 digits validate, a fifth, and where all lie.
    """

    name: Literal["scattered_digits"]
    side: Annotated[int, Field(ge=64)] = 128
    digits: PositiveInt = 6
    train_images: PositiveInt = 2000
    val_images: PositiveInt = 200
    seed: NonNegativeInt = 0


class CocoSettings(Settings):
    """COCO's layout (`detection_data=coco`): annotations/instances_<split>.json and the images in <split>/, under
    `root`, for the splits `train` and `val`; other places are given as `<split>_annotations` and `<split>_folder`."""

    name: Literal["coco"]
    root: PathText
    train: str = "train2017"
    val: str = "val2017"
    train_annotations: PathText | None = None
    train_folder: PathText | None = None
    val_annotations: PathText | None = None
    val_folder: PathText | None = None


class VocSettings(Settings):
    """Pascal VOC's layout (`detection_data=voc`): JPEGImages, Annotations and ImageSets/Main/<split>.txt under `root`;
    objects marked as difficult count as crowds."""

    name: Literal["voc"]
    root: PathText
    train: str = "train"
    val: str = "val"


class YoloSettings(Settings):
    """Ultralytics' layout (`detection_data=yolo`): `root` is a folder with data.yaml, or such a file; a label file lies
    in labels/ as its image lies in images/."""

    name: Literal["yolo"]
    root: PathText


DetectionDataSettings = Annotated[
    ScatteredDigitsSettings | CocoSettings | VocSettings | YoloSettings, Field(discriminator="name")
]


class DetectorLimits(Settings):
    """What all detectors are told: boxes below `score_threshold` are no detections, of two of a class that overlap by
    more than `nms_threshold` (intersection over union) the better counts, and of an image at most `detections` do.
    """

    score_threshold: Fraction = 0.05
    nms_threshold: ClosedFraction = 0.5
    detections: PositiveInt = 100


class TwoStageSettings(DetectorLimits):
    """What detectors share that propose boxes and then decide: of `proposals` an image, in training `boxes_per_image`
    are compared with the truth, and before `anchors_per_image` anchors; of both at most `positive_fraction` are
    objects."""

    aspect_ratios: AspectRatios = (0.5, 1.0, 2.0)
    proposals: PositiveInt = 100
    anchors_per_image: PositiveInt = 64
    boxes_per_image: PositiveInt = 32
    positive_fraction: Annotated[float, Field(gt=0, le=1)] = 0.5


class FasterRcnnSettings(TwoStageSettings):
    """Faster R-CNN on a feature pyramid (`detector=faster_rcnn`): torchvision's, with batch norm in the pyramid.

    An anchor's side is `anchor_scale` times its level's stride; `hidden` units lie behind a proposal.
    """

    name: Literal["faster_rcnn"]
    channels: PositiveInt = 64
    anchor_scale: PositiveFloat = 4.0
    hidden: PositiveInt = 256


class FasterRcnnC4Settings(TwoStageSettings):
    """Faster R-CNN without a pyramid (`detector=faster_rcnn_c4`): the paper's. Proposals come from the map of stride
    16, the network's last stage looks at each. `anchor_sizes` are sides in pixels."""

    name: Literal["faster_rcnn_c4"]
    anchor_sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (32, 64, 128, 256, 512)
    proposals: PositiveInt = 75


class FcosSettings(DetectorLimits):
    """FCOS on a feature pyramid (`detector=fcos`): torchvision's, `layers` deep heads with group norm of 32 groups."""

    name: Literal["fcos"]
    channels: Annotated[int, Field(ge=32, multiple_of=32)] = 64
    layers: PositiveInt = 2


class RetinanetSettings(DetectorLimits):
    """RetinaNet on a feature pyramid (`detector=retinanet`): torchvision's, three sizes of anchors a level, the
    smallest `anchor_scale` times its stride."""

    name: Literal["retinanet"]
    channels: PositiveInt = 64
    anchor_scale: PositiveFloat = 4.0
    aspect_ratios: AspectRatios = (0.5, 1.0, 2.0)


DetectorSettings = Annotated[
    FasterRcnnSettings | FasterRcnnC4Settings | FcosSettings | RetinanetSettings, Field(discriminator="name")
]


class DetectionProtocolSettings(ScheduleSettings):
    """How a detector is trained (group `detection_protocol`).

    Images are resized so that their longer side has `image_size` pixels. The learning rate is `lr` for batches of
    `lr_batch_size`, and in proportion for others; `momentum` is SGD's. `ema`: the mean of the weights is what is
    measured. Augmentation `flip` mirrors, `standard` also takes a random part in which objects are kept.
    """

    image_size: Annotated[int, Field(ge=64)]
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: PositiveFloat
    lr_batch_size: PositiveInt = 16
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    ema: bool = True
    augmentation: Literal["none", "flip", "standard"] = "standard"


def detector_settings(values: dict) -> DetectorSettings:
    """The settings of a detector from plain containers, as cards hold them; UserError names what is wrong."""
    return parse(_Any, {"detector": values}).detector


class _Any(Settings):
    detector: DetectorSettings
