"""The latency table of a device: a folder with a line for every measurement and a description of the device.

Lines are appended and never changed, so that a kill loses at most the one that was being written. The last column is a
word out of a few: a line that was torn is not a shorter whole one, and readers pass over it.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from nars.costs.shapes import ACTIVATIONS, KINDS, Shape
from nars.errors import UserError
from nars.files import write_whole
from nars.json_lines import append_text
from nars.settings import Settings, parse

LINES, DEVICE = "latency.csv", "device.yaml"
COLUMNS = (*Shape._fields[:-1], "ms", "activation")
HEAD = ",".join(COLUMNS)


class Device(Settings):
    """What a table was measured with; entries of different ones are not put together.

    `clock`: `cpu` counts the time that the measuring thread had a core, `wall` all that passed, `given` is what a
    command said or a file held. Milliseconds are those of a whole `batch`.
    """

    processor: str
    device: str
    backend: str
    version: str
    threads: int
    batch: int
    clock: str


class Check(Settings):
    """What whole networks say of a table: of how many, the mean absolute relative error of its sums after `base` and
    `scale` were fitted, for each network to the others, and Kendall's tau."""

    networks: int
    mape: float
    kendall_tau: float


class DeviceFile(Settings):
    """`device.yaml`: the device, None if somebody else made the table; a network takes `base` ms and `scale` times the
    sum over its blocks."""

    device: Device | None = None
    base: float = 0.0
    scale: float = 1.0
    check: Check | None = None

    @property
    def words(self) -> str:
        """The device in a few words."""
        if self.device is None:
            return "a device that its table does not describe"
        d = self.device
        threads = "one thread" if d.threads == 1 else f"{d.threads} threads"
        batch = "" if d.batch == 1 else f", batches of {d.batch}"
        return f"{d.processor}, {d.backend} {d.version}, {threads}{batch}"


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """What a table's folder holds: all measurements of each shape, in ms, and how many lines could not be read."""

    folder: Path
    measurements: Mapping[Shape, tuple[float, ...]]
    damaged: int
    file: DeviceFile

    @property
    def entries(self) -> dict[Shape, float]:
        """The least that was measured of each shape: whatever else the machine does only adds to it."""
        return {shape: min(several) for shape, several in self.measurements.items()}


def read_table(folder: Path) -> TableFile:
    """The table in a folder; UserError if there is none, or its columns are others."""
    path = folder / LINES
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder}: no latency table ({LINES}); python measure_latency.py makes one") from None
    head, _, lines = text.partition("\n")
    if head.strip() != HEAD:
        raise UserError(f"{path}: its first line must be {HEAD}")
    measurements: dict[Shape, list[float]] = {}
    damaged = 0
    for cells in csv.reader(io.StringIO(lines)):
        entry = _entry(cells)
        if entry is not None:
            measurements.setdefault(entry[0], []).append(entry[1])
        elif cells:
            damaged += 1
    return TableFile(
        folder=folder,
        measurements={shape: tuple(several) for shape, several in measurements.items()},
        damaged=damaged,
        file=read_device(folder),
    )


def _entry(cells: list[str]) -> tuple[Shape, float] | None:
    """Shape and milliseconds of a line; None if it is not whole."""
    try:
        kind, *numbers, ms, activation = cells
        shape, ms = Shape(kind, *map(int, numbers), activation), float(ms)
    except (ValueError, TypeError):
        return None
    whole = kind in KINDS and activation in ACTIVATIONS and 0 <= ms < float("inf") and min(shape[1:-1]) >= 0
    return (shape, ms) if whole else None


def append_measurement(folder: Path, shape: Shape, ms: float) -> None:
    """Add a line, with the head before it if it is the first."""
    path = folder / LINES
    append_text(path, _line(shape, ms) + "\n", head=HEAD + "\n")


def write_table(folder: Path, entries: Mapping[Shape, float], file: DeviceFile) -> None:
    """Write a whole table at once."""
    write_device(folder, file)
    write_whole(folder / LINES, "\n".join([HEAD, *(_line(shape, ms) for shape, ms in entries.items()), ""]))


def _line(shape: Shape, ms: float) -> str:
    return ",".join(map(str, (*shape[:-1], f"{ms:.6f}", shape.activation)))


def read_device(folder: Path) -> DeviceFile:
    """What `device.yaml` says; neutral if there is none. UserError if it cannot be read."""
    path = folder / DEVICE
    if not path.exists():
        return DeviceFile()
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); mend or remove it") from None
    return parse(DeviceFile, values or {}, where=str(path))


def write_device(folder: Path, file: DeviceFile) -> None:
    """Write `device.yaml`."""
    write_whole(folder / DEVICE, yaml.safe_dump(file.model_dump(mode="json"), sort_keys=False))
