"""Detectors and their files: built, begun with trained weights, loaded by the card beside theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.detection.detectors import Detector, build_detector
from nars.networks.timm_models import TimmArchitecture
from nars.settings import DetectorSettings
from nars.settings.detection import detector_settings
from nars.spaces.architecture import Architecture
from nars.training.job import StartJob
from nars.training.weights.card import read_card
from nars.training.weights.files import load_weights
from nars.training.weights.start import begun
from nars.training.weights.tuning import Tuning


def new_detector(
    architecture: Architecture | TimmArchitecture,
    settings: DetectorSettings,
    *,
    class_names: Sequence[str],
    start: StartJob | None = None,
    statistics: Mapping[str, Sequence[float]] | None = None,
) -> tuple[Detector, Tuning | None]:
    """The detector of these settings on the network of an architecture, and how it is changed where the network begins
    with trained weights; UserError for weights of another network.

    `statistics` are mean and std of the images that the network knows, None: those of the start, or ImageNet's.
    """
    network = network_of(architecture, num_classes=len(class_names))
    tuning = begun(start, network, architecture, class_names) if start else None
    whole = network.state_dict(keep_vars=True)  # before it is cut
    statistics = statistics or (start.statistics if start else None) or {}
    detector = build_detector(network, settings, num_classes=len(class_names), **statistics)
    return detector, _of_detector(tuning, detector, whole, start) if tuning else None


def _of_detector(tuning: Tuning, detector: Detector, whole: Mapping[str, Tensor], start: StartJob) -> Tuning:
    """How a network of these tensors is changed, by the names that they have in a detector; what the detector adds
    learns as a classifier would."""
    name_of = {id(tensor): name for name, tensor in whole.items()}
    names = {name: name_of.get(id(tensor)) for name, tensor in detector.state_dict(keep_vars=True).items()}
    factors, new = tuning.lr_factors, start.settings.head_lr_multiplier
    rates = {name: factors.get(names[name], new) for name, _ in detector.named_parameters()}
    return replace(
        tuning,
        always=frozenset(name for name, own in names.items() if own in tuning.always),
        at_first=frozenset(name for name, own in names.items() if own in tuning.at_first),
        lr_factors=rates if factors else {},
    )


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
    statistics = {name: card[name] for name in ("mean", "std")}
    settings = detector_settings(card["detector"])
    architecture = architecture_of(card["architecture"])
    detector, _ = new_detector(architecture, settings, class_names=card["classes"], statistics=statistics)
    load_weights(detector, path)
    return detector.eval()
