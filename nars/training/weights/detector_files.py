"""Detectors and their files: built, loaded by the card beside the weights."""

from pathlib import Path

from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.detection.detectors import Detector, build_detector
from nars.networks.timm_models import TimmArchitecture
from nars.settings import DetectorSettings
from nars.settings.detection import detector_settings
from nars.spaces.architecture import Architecture
from nars.training.weights.card import read_card
from nars.training.weights.files import load_weights


def untrained_detector(
    architecture: Architecture | TimmArchitecture, settings: DetectorSettings, *, num_classes: int
) -> Detector:
    """The detector of these settings on the network of an architecture."""
    # How many classes the classifier tells apart plays no part: it is cut off.
    network = network_of(architecture, num_classes=2)
    return build_detector(network, settings, num_classes=num_classes)


def detector_card(weights: Path) -> dict:
    """The card beside the weights of a detector; UserError if there is none, or that of something else."""
    if not weights.is_file():
        raise UserError(f"weights={weights}: no such file")
    card = read_card(weights)
    if card is None:
        raise UserError(f"weights={weights}: no card.yaml beside them, as detect.py writes it")
    if "detector" not in card:
        raise UserError(f"weights={weights}: of a classifier, not of a detector; they are measured by train.py")
    return card


def load_detector(weights: Path | str) -> Detector:
    """The detector of `weights` and their card, in evaluation mode: images uint8 (3, h, w), their longer side as long
    as the card's `image_size`, to boxes in their pixels, scores, and labels, of which 0 is the card's first class."""
    path = Path(weights)
    card = detector_card(path)
    settings = detector_settings(card["detector"])
    detector = untrained_detector(architecture_of(card["architecture"]), settings, num_classes=len(card["classes"]))
    load_weights(detector, path)
    return detector.eval()
