"""The card of trained weights: a YAML file beside them with all one must know to use them; a candidate file too."""

import os
from pathlib import Path

import yaml
from torch import nn

from nars.candidates import load_architecture, read_yaml
from nars.data import ImageData
from nars.errors import UserError
from nars.files import write_whole
from nars.networks.architectures import architecture_of, image_size, network_of
from nars.records import Record
from nars.training.job import TrainingJob
from nars.training.weights.accuracy import validation_accuracy
from nars.training.weights.files import load_weights

WEIGHTS = "weights.safetensors"
IN_TIMM = ("fbnetv3_d", "fbnetv3_g")  # timm has fbnetv3_b too, but pads two of its convolutions otherwise than released


class _Code(str):
    """Text that is copied from the file: it stands there as it is, whatever quotes it holds."""


class _Dumper(yaml.SafeDumper):
    """Of cards."""


_Dumper.add_representer(_Code, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def make_card(job: TrainingJob, record: Record, data: ImageData, weights: Path) -> dict:
    """The card of a finished training's best `weights`, with the accuracy measured from the file."""
    architecture = architecture_of(job.architecture)
    side = image_size(architecture, job.protocol)
    network = network_of(architecture, num_classes=data.num_classes)
    load_weights(network, weights)
    statistics = (job.start and job.start.statistics) or data.statistics
    accuracy = validation_accuracy(
        data,
        network,
        normalise=data.normalise(job.start and job.start.statistics),
        image_size=side,
        batch_size=job.protocol.batch_size,
        outputs=range(data.num_classes),
        trainer=job.trainer,
    )
    return {
        **record.candidate.to_dict(),
        **vars(accuracy),
        "epoch": record.accuracies.index(max(record.accuracies)) + 1,
        "epochs": len(record.accuracies),
        "seconds": record.seconds,
        **job.costs,
        "resolution": architecture.resolution,
        "image_size": side,
        **statistics,
        "num_classes": data.num_classes,
        "classes": list(data.class_names),
        **({"shots": job.data.shots} if getattr(job.data, "shots", None) else {}),
        "training": job.training,
        "seed": job.seed,
        "versions": record.versions,
        "weights": WEIGHTS,
        "load": _load_line(job.architecture, data.num_classes, os.path.abspath(Path(job.folder) / WEIGHTS)),
    }


def write_card(weights: Path, card: dict) -> None:
    """Write the card of `weights` beside them."""
    card = card | ({"load": _Code(card["load"])} if "load" in card else {})
    write_whole(_path(weights), yaml.dump(card, Dumper=_Dumper, sort_keys=False, allow_unicode=True))


def remove_card(weights: Path) -> None:
    """Remove the card beside `weights`, because these are about to be others."""
    _path(weights).unlink(missing_ok=True)


def read_card(weights: Path) -> dict | None:
    """The card that lies beside `weights`, or None."""
    # As it was written, since a class may be called 1e5.
    return read_yaml(_path(weights), loader=yaml.SafeLoader) if _path(weights).is_file() else None


def classifier_card(weights: Path) -> dict | None:
    """The card that lies beside the weights of a classifier, or None; UserError if they are a detector's."""
    card = read_card(weights)
    if card is not None and "detector" in card:
        raise UserError(
            f"weights={weights}: of a detector, not of a classifier; detect.py mode=evaluate and mode=predict take "
            "them, nars.load_detector loads them"
        )
    return card


def load_trained(weights: Path | str) -> nn.Module:
    """The network of `weights` and their card, in evaluation mode."""
    card = classifier_card(Path(weights))
    if card is None:
        raise UserError(f"weights={weights}: no card.yaml beside them")
    network = network_of(architecture_of(card["architecture"]), num_classes=card["num_classes"])
    load_weights(network, Path(weights))
    return network.eval()


def _path(weights: Path) -> Path:
    return weights.with_name("card.yaml")


def name_in_timm(architecture: dict) -> str | None:
    """What timm calls the network of an architecture in plain containers, if it has it."""
    names = [name for name in IN_TIMM if load_architecture(name) == architecture]
    return architecture.get("timm", names[0] if names else None)


def _load_line(architecture: dict, num_classes: int, weights: str) -> str:
    """A line of Python, for any folder, that gives the network with its weights: timm's where timm knows its name."""
    if (name := name_in_timm(architecture)) is not None:
        made = f"timm.create_model({name!r}, num_classes={num_classes}, checkpoint_path={weights!r})"
        return f"import timm; network = {made}.eval()"
    return f"import nars; network = nars.load_trained({weights!r})"
