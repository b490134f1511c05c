"""Images with objects in them: opened by their settings, served as batches."""

from nars.data.detection.contract import DetectionData, Objects
from nars.data.detection.opening import open_detection_data

__all__ = ["DetectionData", "Objects", "open_detection_data"]
