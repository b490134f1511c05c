"""What a training begins with: which weights are meant, and a network that holds them."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from nars.errors import UserError
from nars.files import content_key, digest
from nars.networks.architectures import architecture_of
from nars.networks.counterparts import counterparts
from nars.networks.layers import head_of
from nars.networks.timm_models import TimmArchitecture, pretrained_statistics
from nars.settings import StartSettings
from nars.spaces.architecture import Architecture
from nars.training.job import StartJob
from nars.training.weights.card import classifier_card
from nars.training.weights.files import read_state
from nars.training.weights.inherit import Filled, fill
from nars.training.weights.pretrained import TIMM, pretrained_file
from nars.training.weights.tuning import Tuning, tuning_of

PRETRAINED = ".pretrained"  # folder, beside studies, of what timm's authors have trained


def open_start(settings: StartSettings, *, folder: Path, architecture: dict | None = None) -> StartJob | None:
    """What trainings with these settings begin with, None for nothing; UserError if it is not there.

    Pretrained weights of timm's are kept in `folder`. Mean and std are those of the card beside the weights, or those
    that timm knows of its network: of the tag, or, for a file without a card, of an `architecture` of timm's. Else
    none are known.
    """
    if settings.weights is None:
        return None
    tag = settings.weights.removeprefix(TIMM) if settings.weights.startswith(TIMM) else None
    path = Path(settings.weights) if tag is None else pretrained_file(tag, folder)
    if not path.is_file():
        raise UserError(f"start.weights={path}: no such file")
    card = classifier_card(path) or {}
    timm = tag or (architecture or {}).get("timm")
    statistics = {name: card[name] for name in ("mean", "std") if name in card}
    if not statistics and timm:
        statistics = pretrained_statistics(timm)
    parent = card.get("architecture") if settings.inherit == "sliced" else None
    if settings.inherit == "sliced" and (parent is None or "timm" in parent):
        what = "has no card.yaml beside it" if parent is None else "is a network of timm's"
        raise UserError(
            f"start.weights={settings.weights} {what}: slices are taken of a network that train.py trained; "
            "start.inherit=matching takes what has the same name and shape"
        )
    return StartJob(
        weights=str(path),
        digest=digest(path),
        settings=settings,
        architecture=parent,
        classes=card.get("classes"),
        statistics=statistics or None,
    )


def start_identity(start: StartJob) -> dict:
    """What of a start decides the outcome of a training: part of a record and of its key. `card` stands for the classes
    that the weights know and the network whose slices are taken."""
    return {
        "weights": start.digest,
        **start.settings.model_dump(mode="json", exclude={"name", "weights"}),
        **(start.statistics or {}),
        "card": content_key([start.architecture, start.classes]),
    }


def begin_with(
    start: StartJob, network: nn.Module, architecture: Architecture | TimmArchitecture, classes: Sequence[str]
) -> Filled:
    """Fill the untrained network of an architecture for these classes; UserError if the weights are of another one, or
    the file is not the one that was opened."""
    where, path = f"start.weights={start.settings.weights}", Path(start.weights)
    state = read_state(path, key="start.weights")
    if digest(path) != start.digest:
        raise UserError(f"{where}: the file has changed since this training was asked for; run the same command again")
    head = head_of(network)
    known = _of_classes(state, head, classes, start.classes)
    left = {"new": () if known else head, "unused": () if known else head}
    if start.settings.inherit != "sliced":
        return fill(network, known or state, start.settings.inherit, where=where, **left)
    if isinstance(architecture, TimmArchitecture):
        raise UserError(
            f"{where}: start.inherit=sliced is for networks of the FBNet family, not for timm:{architecture.timm}; "
            "give exact or matching"
        )
    try:
        blocks = counterparts(architecture, architecture_of(start.architecture))
    except UserError as error:
        raise UserError(f"{where}: of another network, which has no slices for this one: {error}") from None
    return fill(network, known or state, "sliced", source=lambda name: _source(name, blocks), where=where, **left)


def begun(
    start: StartJob, network: nn.Module, architecture: Architecture | TimmArchitecture, classes: Sequence[str]
) -> Tuning:
    """The same; returns how the network is changed from now on. UserError also for what cannot stay as it is."""
    filled = begin_with(start, network, architecture, classes)
    return tuning_of(start.settings, network, filled, head_of(network))


def _source(name: str, blocks: dict[str, str | None]) -> str | None:
    """The parent's tensor for one of the child's."""
    if not name.startswith("blocks."):
        return name
    block = ".".join(name.split(".")[:3])
    theirs = blocks[block]
    return None if theirs is None else theirs + name.removeprefix(block)


def _of_classes(
    state: dict[str, Tensor], head: tuple[str, ...], classes: Sequence[str], known: Sequence[str] | None
) -> dict[str, Tensor] | None:
    """The state with the classifier's outputs of these classes; None if it does not know them all."""
    if known is None or not set(classes) <= set(known):
        return None
    rows = [list(known).index(name) for name in classes]
    return {name: tensor[rows] if name.startswith(head) else tensor for name, tensor in state.items()}
