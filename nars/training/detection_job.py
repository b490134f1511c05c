"""The training of a detector as plain values."""

from nars.data.detection import DetectionData
from nars.settings import DetectionDataSettings, DetectionProtocolSettings, DetectorSettings
from nars.training.job import Job, training_identity


class DetectionJob(Job):
    """The training of a detector on the network of an architecture."""

    kind = "detector"
    group = "detection_protocol"
    lr = "detection_protocol.lr"

    data: DetectionDataSettings
    detector: DetectorSettings
    protocol: DetectionProtocolSettings


def detection_identity(
    data: DetectionData, detector: DetectorSettings, protocol: DetectionProtocolSettings, trainer
) -> dict:
    """What decides the outcome beside architecture, seed and epochs: part of a record and of its key."""
    return training_identity(data, protocol, trainer) | {"detector": detector.model_dump(mode="json")}
