"""What `export.py` does: trained weights into files for other programs, each measured as it lies there."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from rich.console import Console
from torch import nn

from nars.candidates import load_architecture
from nars.commands.export_detector import export_detector
from nars.data import ImageData, open_data
from nars.errors import UserError
from nars.exporting.description import Deployed, Description
from nars.exporting.measuring import Measured, measure, rows
from nars.exporting.opening import FILES
from nars.files import digest
from nars.machine import limited_threads, processor
from nars.networks.architectures import architecture_of, check_image_size, network_of
from nars.reporting.screen.exported import print_exported
from nars.reporting.screen.terminal import print_passed_over
from nars.settings import ExportFormat, ExportSettings
from nars.shell import command, override
from nars.study.answers import SPLIT
from nars.training.weights.accuracy import outputs_of_classes
from nars.training.weights.card import read_card, write_card
from nars.training.weights.files import load_weights

BATCH = 32  # images at a time, where any number is taken


def export_weights(settings: ExportSettings, console: Console) -> Path:
    """Write and measure every format, of a classifier or of a detector; returns the folder that holds them."""
    weights = Path(settings.weights)
    if not weights.is_file():
        raise UserError(
            f"weights={weights}: no such file; give the weights.safetensors that train.py or detect.py wrote"
        )
    card = read_card(weights) or {}
    if "detector" in card:
        return export_detector(settings, console)
    _check(settings)
    data = _data(settings, weights)
    print_passed_over(console, data.passed_over)
    export = Export(settings=settings, weights=weights, card=card, data=data)
    with limited_threads():
        for kind in dict.fromkeys(settings.format):
            console.print(f"exporting {kind}: {export.file(kind)}", soft_wrap=True)
            export.write(kind)
        console.print(f"measuring top-1 and latency on {data.val_size:,} validation images", soft_wrap=True)
        measured = export.measured()
    _show(measured, settings, console)
    if card:
        write_card(weights, card | {"exported": card.get("exported", {}) | export.in_card(measured)})
    if settings.push:
        from nars.exporting.hub import push

        console.print(f"pushed: {push(export.file('hub'), settings.repo)}", soft_wrap=True)
    return export.folder


def _check(settings: ExportSettings) -> None:
    """UserError, before anything is done, for what cannot be done with a classifier."""
    if "onnx_heads" in settings.format:
        raise UserError(
            f"format=onnx_heads: weights={settings.weights} are of a classifier, and detectors alone have such heads; "
            "take onnx, onnx_int8, torch_export or hub"
        )
    if settings.detection_data.name != "scattered_digits":
        raise UserError(
            f"detection_data={settings.detection_data.name}: weights={settings.weights} are of a classifier; give "
            "images by class: data=..."
        )
    if settings.push and (settings.repo is None or "hub" not in settings.format):
        raise UserError("push=true uploads format=hub to a repository: give format=hub and repo=USER/NAME")
    if any(kind.startswith("onnx") for kind in settings.format):
        from nars.exporting.onnx_files import check_onnx

        check_onnx(f"format={next(kind for kind in settings.format if kind.startswith('onnx'))}")
    if settings.push:
        from nars.exporting.hub import check_login

        check_login()


def _data(settings: ExportSettings, weights: Path) -> ImageData:
    """The images, split as for the training where the weights lie in its study."""
    study = weights.absolute().parents[min(2, len(weights.absolute().parents) - 1)]
    return open_data(settings.data, split_file=study / SPLIT if (study / SPLIT).exists() else None)


@dataclass(frozen=True, kw_only=True)
class Export:
    """One run of `export.py`, and what follows from its settings."""

    settings: ExportSettings
    weights: Path
    card: dict
    data: ImageData

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return Path(self.settings.output or self.weights.parent / "exported")

    def file(self, kind: ExportFormat) -> Path:
        """The file, or folder, of a format."""
        return self.folder / FILES[kind]

    @cached_property
    def architecture(self):
        """The network's."""
        values = self.card.get("architecture")
        if values is None and self.settings.candidate is None:
            raise UserError(f"weights={self.weights} has no card.yaml beside it: say whose they are: candidate=...")
        return architecture_of(values or load_architecture(self.settings.candidate))

    @cached_property
    def network(self) -> nn.Module:
        """With its weights, in evaluation mode."""
        _ = self.outputs
        network = network_of(self.architecture, num_classes=self.num_classes)
        load_weights(network, self.weights)
        check_image_size(self.architecture, self.image_size)
        return network.eval()

    @property
    def num_classes(self) -> int:
        """As many as the network has outputs."""
        return self.card.get("num_classes", self.data.num_classes)

    @property
    def outputs(self) -> list[int]:
        """The network's output for each class of the data."""
        return outputs_of_classes(self.data.class_names, self.card.get("classes"), num_outputs=self.num_classes)

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return self.settings.image_size or self.card.get("image_size") or self.architecture.resolution

    def description(self, kind: ExportFormat) -> Description:
        """What a file says of itself; the hub's layout holds weights alone, so that whoever makes the network of them
        normalises and batches."""
        s, free = self.settings, kind == "hub"
        return Description(
            format=kind,
            input="normalised" if free else s.input,
            batch=None if free or s.batch == "dynamic" else s.batch,
            image_size=self.image_size,
            **{name: tuple(self.card.get(name) or known) for name, known in self.data.statistics.items()},
            num_classes=self.num_classes,
            classes=tuple(self.card.get("classes") or self.data.class_names),
            architecture=self.architecture.to_dict(),
            weights=digest(self.weights),
        )

    @cached_property
    def program(self):
        """The network as a graph: what ONNX and torch.export files are made from."""
        from nars.exporting.torch_files import program_of

        description = self.description("torch_export")
        return program_of(Deployed(self.network, description), description)

    @cached_property
    def onnx(self):
        """What ONNX files are made from."""
        from nars.exporting.onnx_files import model_of

        return model_of(self.program, any_batch=self.settings.batch == "dynamic")

    def write(self, kind: ExportFormat) -> None:
        """Write one format."""
        file, description = self.file(kind), self.description(kind)
        match kind:
            case "hub":
                from nars.exporting.hub import write_hub

                write_hub(file, self.network, description, repo=self.settings.repo, about=self._about())
            case "torch_export":
                from nars.exporting.torch_files import write_torch_export

                write_torch_export(file, self.program, description)
            case "onnx":
                from nars.exporting.onnx_files import write_onnx

                write_onnx(file, self.onnx, description)
            case "onnx_int8":
                self._write_int8(file, description)

    def _write_int8(self, file: Path, description: Description) -> None:
        from nars.exporting.int8 import write_int8
        from nars.exporting.onnx_files import write_onnx

        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / FILES["onnx"]
            write_onnx(whole, self.onnx, description)
            write_int8(file, whole, self.calibration(description), description)

    def calibration(self, description: Description) -> Iterator[torch.Tensor]:
        """Batches of training images, so that the images that validate have no part in the ranges."""
        n, batch = self.settings.calibration.images, description.batch or BATCH
        loader = self.data.train_loader(image_size=self.image_size, batch_size=batch, augmentation="none", seed=0)
        inputs, seen = description.inputs_of(self.data), 0
        for images, _ in loader:
            if seen >= n or (description.batch and len(images) < batch):
                return
            yield inputs(images)[: None if description.batch else n - seen]
            seen += len(images)

    def _about(self) -> dict:
        """What the hub's README says of the network."""
        known = {
            "Top-1 accuracy": f"{self.card['top1']:.4f}" if "top1" in self.card else None,
            "Image size": f"{self.image_size} x {self.image_size}",
            "Classes": str(self.num_classes),
        }
        return {name: value for name, value in known.items() if value is not None}

    def in_card(self, measured: dict[str, Measured]) -> dict:
        """What the card says of each exported file."""
        return {
            kind: {"file": os.path.relpath(self.file(kind), self.weights.parent), "input": self.description(kind).input}
            | {name: round(value, 6) for name, value in vars(m).items()}
            for kind, m in measured.items()
            if kind != "torch"
        }

    def measured(self) -> dict[str, Measured]:
        """What each file is worth, and before them the network in PyTorch."""
        kinds = list(dict.fromkeys(self.settings.format))
        description = self.description("torch_export")
        results = measure(
            Deployed(self.network, description),
            self.weights,
            [self.file(kind) for kind in kinds],
            self.data,
            description,
            outputs=self.outputs,
            batch_size=BATCH,
            runs=self.settings.latency_runs,
        )
        return dict(zip(["torch", *kinds], results, strict=True))


def _show(measured: dict[str, Measured], settings: ExportSettings, console: Console) -> None:
    print_exported(console, rows(measured))
    console.print(
        f"Difference of logits from PyTorch; ms of processor time on one thread of {processor()}, median and 90th "
        f"percentile of {settings.latency_runs} calls.",
        soft_wrap=True,
    )
    kind = next(kind for kind in measured if kind != "torch")
    file = Path(settings.output or Path(settings.weights).parent / "exported") / FILES[kind]
    evaluate = command("train.py", "mode=evaluate", override("weights", file), "data=folder", "data.root=...")
    console.print(f"measure a file on other images: {evaluate}", soft_wrap=True)
