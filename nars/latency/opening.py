"""From a table's folder to the latency of what is asked for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nars.candidates import open_architectures
from nars.costs.latency import LatencyTable
from nars.costs.shapes import Shape, distinct_rows, shapes_of
from nars.costs.statistics import rows_of_space
from nars.errors import UserError
from nars.files import content_key
from nars.latency.table import DeviceFile, TableFile, read_table
from nars.settings import LatencySettings, SearchSpaceSettings
from nars.shell import command, override
from nars.spaces.architecture import Architecture
from nars.spaces.fixed import Architectures, FixedArchitecture


@dataclass(frozen=True, kw_only=True)
class MeasuredLatency:
    """The `table` of all that was asked for, from the `folder` of a device; how many of its entries were measured and
    how many predicted, and then the mean absolute relative error of predictions of measured ones that were held out."""

    folder: Path
    table: LatencyTable
    file: DeviceFile
    measured: int
    predicted: int
    error: float | None

    @property
    def summary(self) -> dict:
        """Plain containers: `nars.study.summary.LatencySummary`."""
        return {
            "table": str(self.folder),
            "device": self.file.words,
            "blocks": self.measured + self.predicted,
            "predicted": self.predicted,
            "prediction_error": self.error,
            "sum_error": self.file.check and self.file.check.mape,
        }


def shapes_of_space(space: Architectures, num_classes: int) -> list[Shape]:
    """Every block that a network of the space can have; UserError for a network of timm."""
    if isinstance(space, FixedArchitecture):
        if not isinstance(space.network, Architecture):
            raise UserError(f"{space.candidate} has no latency: blocks of timm's networks are not measured")
        return shapes_of_architecture(space.network, num_classes)
    return [Shape.of_row(row) for row in rows_of_space(space, num_classes)]


def shapes_of_architecture(architecture: Architecture, num_classes: int) -> list[Shape]:
    """Every block of a network, once."""
    return [Shape.of_row(row) for row in distinct_rows(shapes_of(architecture.table, num_classes))]


def open_latency(settings: LatencySettings, shapes: Sequence[Shape], *, of: Sequence[str]) -> MeasuredLatency:
    """The latency of these blocks; those that are missing are predicted, or a UserError says how many they are, with
    the command that measures the blocks `of` what was asked for (words for `measure_latency.py`)."""
    known = read_table(Path(settings.table))
    entries = _with_classifiers(known.entries, shapes)
    missing = [shape for shape in shapes if shape not in entries]
    asked, error = {shape: entries[shape] for shape in shapes if shape in entries}, None
    if missing and settings.missing == "error":
        raise UserError(_missing(known, missing, len(shapes), of))
    if missing:
        from nars.latency.prediction import BlockPredictor, held_out_error  # imports scikit-learn

        learned = list(entries), list(entries.values())
        asked |= dict(zip(missing, BlockPredictor(*learned)(missing).tolist(), strict=True))
        error = held_out_error(*learned)
    return MeasuredLatency(
        folder=known.folder,
        table=LatencyTable(asked, base=known.file.base, scale=known.file.scale),
        file=known.file,
        measured=len(asked) - len(missing),
        predicted=len(missing),
        error=error,
    )


def _with_classifiers(entries: dict[Shape, float], shapes: Sequence[Shape]) -> dict[Shape, float]:
    """The entries with classifiers of other numbers of classes than were measured, in proportion to the nearest one: a
    table serves data of any classes, and a classifier is a small part of a network."""
    measured = [shape for shape in entries if shape.kind == "classifier"]
    found = dict(entries)
    for shape in shapes:
        alike = [other for other in measured if other.c_in == shape.c_in]
        if shape.kind == "classifier" and alike and shape not in entries:
            nearest = min(alike, key=lambda other: abs(math.log(other.c_out / shape.c_out)))
            found[shape] = entries[nearest] * shape.c_out / nearest.c_out
    return found


def _missing(known: TableFile, missing: Sequence[Shape], asked: int, of: Sequence[str]) -> str:
    measure = command("measure_latency.py", *of, override("table", known.folder))
    return (
        f"latency.table={known.folder}: {len(missing):,} of the {asked:,} blocks that can occur are not in it, such as "
        f"{missing[0].words}; measure them ({measure}), or give latency.missing=predict"
    )


def answer_key(settings: LatencySettings, space: SearchSpaceSettings) -> str:
    """Stands for all of a table that decides an answer: what it holds of the space, with classifiers of any number of
    classes, so that a table which gains other entries gives the same. Where entries are predicted, all of it
    decides."""
    known = read_table(Path(settings.table))
    entries = known.entries
    if settings.missing == "error":
        shapes = set(shapes_of_space(open_architectures(space), num_classes=1))
        entries = {
            shape: ms
            for shape, ms in entries.items()
            if (shape._replace(c_out=1) if shape.kind == "classifier" else shape) in shapes
        }
    table = LatencyTable(entries, base=known.file.base, scale=known.file.scale)
    return content_key([table.digest, settings.missing])
