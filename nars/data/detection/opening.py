"""From the settings of the group `detection_data` to images with objects."""

from nars.data.detection.contract import DetectionData
from nars.settings import DetectionDataSettings


def open_detection_data(settings: DetectionDataSettings) -> DetectionData:
    """The images that `settings` name; UserError for all that can be wrong with them or their boxes."""
    match settings.name:
        case "scattered_digits":
            from nars.data.detection.scattered import ScatteredDigits

            return ScatteredDigits(settings)
        case "coco":
            from nars.data.detection.coco import open_coco

            return open_coco(settings)
        case "voc":
            from nars.data.detection.voc import open_voc

            return open_voc(settings)
        case "yolo":
            from nars.data.detection.yolo import open_yolo

            return open_yolo(settings)
