"""What `measure_latency.py` does: a table of what the blocks of a space take on this device, and whether sums hold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from nars.candidates import load_architecture
from nars.costs.pricing import Pricing
from nars.costs.shapes import KINDS, Shape
from nars.costs.statistics import costs
from nars.costs.table import LATENCY
from nars.errors import UserError
from nars.latency.backends import Backend, open_backend
from nars.latency.check import check_sums, fit_base_and_scale
from nars.latency.fitting import fit_entries, read_networks
from nars.latency.measure import measure, shapes_prepared
from nars.latency.opening import open_latency, shapes_of_architecture, shapes_of_space
from nars.latency.prediction import FEWEST
from nars.latency.table import (
    LINES,
    Check,
    Device,
    DeviceFile,
    append_measurement,
    read_device,
    read_table,
    write_device,
    write_table,
)
from nars.networks.architectures import architecture_of
from nars.networks.build import build_network
from nars.reporting.screen.progress import ProgressDisplay
from nars.settings import LatencySettings, MeasureSettings
from nars.shell import command, override
from nars.spaces.architecture import Architecture, ArchitectureSpace

OF_EACH_KIND = 8  # are measured of stems, heads and so on before others, where only some blocks are


def measure_latency(settings: MeasureSettings, console: Console) -> Path:
    """Measure what the table lacks, or fit it to whole networks; check sums, say what was found. Returns the folder."""
    space = ArchitectureSpace(settings.search_space)
    folder = Path(settings.table)
    if settings.backend == "networks":
        _fit(settings, space, folder, console)
    else:
        with open_backend(settings) as backend:
            file = _described(folder, backend.device)
            _say(console, f"device: {file.words}")
            measured = _measure(settings, _asked(settings, space), backend, folder, console)
            if settings.candidate is None and (measured or file.check is None):
                _check(settings, space, backend, folder, console)
    _say(console, f"written: {folder} ({len(read_table(folder).measurements):,} blocks)")
    limit = "constraint.max_latency_ms=..."
    search = command("search.py", override("search_space", space.name), override("latency.table", folder), limit)
    _say(console, f"search with it: {search}")
    return folder


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)


def _asked(settings: MeasureSettings, space: ArchitectureSpace) -> list[Shape]:
    """The blocks to measure, in an order in which more of them begin with fewer."""
    if settings.candidate is not None:
        architecture = architecture_of(load_architecture(settings.candidate), where=f"candidate={settings.candidate}")
        if not isinstance(architecture, Architecture):
            raise UserError(f"candidate={settings.candidate}: networks of timm have other blocks; none is measured")
        return shapes_of_architecture(architecture, settings.num_classes)
    shapes = shapes_of_space(space, settings.num_classes)
    if settings.entries == "all":
        return shapes
    order = np.random.default_rng(settings.seed).permutation(len(shapes))
    shuffled = [shapes[i] for i in order]
    first = [shape for kind in KINDS for shape in [s for s in shuffled if s.kind == kind][:OF_EACH_KIND]]
    return list(dict.fromkeys([*first, *shuffled]))[: settings.entries]


def _described(folder: Path, device: Device) -> DeviceFile:
    """The description of the table, made if it is new; UserError if the table is another device's."""
    file = read_device(folder)
    if file.device is None and (folder / LINES).exists():
        raise UserError(f"table={folder}: does not say whose it is; give a folder of its own to this device")
    if file.device is None:
        file = DeviceFile(device=device)
        write_device(folder, file)
    differing = [key for key in Device.model_fields if getattr(file.device, key) != getattr(device, key)]
    if differing:
        words = ", ".join(f"{key} {getattr(file.device, key)}, now {getattr(device, key)}" for key in differing)
        raise UserError(f"table={folder}: was measured with {words}; give another folder: table=...")
    return file


def _measure(
    settings: MeasureSettings, shapes: Sequence[Shape], backend: Backend, folder: Path, console: Console
) -> int:
    """Measure what is missing; returns how many blocks were."""
    known = read_table(folder).measurements if (folder / LINES).exists() else {}
    passes = settings.passes if backend.quick else 1
    left = [passes - len(known.get(shape, ())) for shape in shapes]
    missing = [(shape, n) for shape, n in zip(shapes, left, strict=True) if n > 0]
    known_before = len(shapes) - len(missing)
    _say(console, f"{len(shapes):,} blocks, {known_before:,} of them known")
    if not missing:
        return 0
    progress, total = ProgressDisplay(console), sum(n for _, n in missing)
    progress.start(f"measuring {len(missing):,} blocks", total=total)
    try:
        prepared = shapes_prepared((shape for shape, _ in missing), backend)
        for done, timed in enumerate(measure(prepared, [n for _, n in missing], backend), start=1):
            append_measurement(folder, missing[timed.number][0], timed.ms)
            progress.update(done, "")
    finally:
        progress.stop()
    return len(missing)


def _check(
    settings: MeasureSettings, space: ArchitectureSpace, backend: Backend, folder: Path, console: Console
) -> None:
    """Measure whole networks, fit base and scale to them, and keep both with what they say of the table."""
    n = settings.check_networks
    shapes = shapes_of_space(space, settings.num_classes)
    entries = read_table(folder).entries
    predicted = sum(shape not in entries for shape in shapes)
    if n == 0 or (predicted and len(entries) < FEWEST):
        return
    file = DeviceFile(device=backend.device)
    write_device(folder, file)  # sums as they are
    asked = LatencySettings(table=str(folder), missing="predict" if predicted else "error")
    pricing = Pricing(num_classes=settings.num_classes, latency=open_latency(asked, shapes, of=()).table)
    points = space.sample(n, settings.seed)
    sums = costs(space, points, (LATENCY,), pricing)[:, 0]
    wholes = _whole_networks(settings, [space.architecture(point) for point in points], backend, console)
    base, scale = fit_base_and_scale(sums, wholes)
    check = check_sums(sums, wholes) if n > 2 else None
    write_device(folder, file.model_copy(update={"base": base, "scale": scale, "check": check}))
    _say_check(console, check, base, scale, predicted=predicted)


def _whole_networks(
    settings: MeasureSettings, architectures: Sequence[Architecture], backend: Backend, console: Console
) -> np.ndarray:
    """Milliseconds (n,) of whole networks."""
    import torch

    def prepared(architecture: Architecture):
        size = (settings.batch, 3, architecture.resolution, architecture.resolution)
        network = build_network(architecture, num_classes=settings.num_classes).eval()
        return lambda: backend.prepare(network, torch.randn(size, generator=torch.Generator().manual_seed(0)))

    passes = settings.passes if backend.quick else 1
    best, progress = np.full(len(architectures), np.inf), ProgressDisplay(console)
    progress.start(f"measuring {len(architectures)} whole networks", total=len(architectures) * passes)
    try:
        timings = measure([prepared(a) for a in architectures], [passes] * len(architectures), backend)
        for done, timed in enumerate(timings, start=1):
            best[timed.number] = min(best[timed.number], timed.ms)
            progress.update(done, "")
    finally:
        progress.stop()
    return best


def _say_check(console: Console, check: Check | None, base: float, scale: float, *, predicted: int) -> None:
    fitted = f"a network takes {base:.3g} ms and {scale:.3g} times the sum over its blocks"
    if check is None:
        _say(console, fitted)
        return
    of = f", {predicted:,} of the blocks predicted" if predicted else ""
    _say(
        console,
        f"{check.networks} whole networks{of}: {fitted}; each is predicted by the others with a mean error of "
        f"{check.mape:.1%}, ranks agree with Kendall tau {check.kendall_tau:.2f}",
    )


def _fit(settings: MeasureSettings, space: ArchitectureSpace, folder: Path, console: Console) -> None:
    """A table fitted to whole networks that somebody else measured."""
    if settings.networks is None:
        raise UserError("backend=networks: give the file of whole networks and what they take: networks=mine.csv")
    if (folder / LINES).exists():
        raise UserError(f"table={folder}: holds a table already; give a new folder: table=...")
    networks = read_networks(Path(settings.networks), space)
    entries, check = fit_entries(networks, space, num_classes=settings.num_classes)
    device = Device(
        processor=f"that of {Path(settings.networks).name}",
        device=settings.device,
        backend="networks",
        version="",
        threads=settings.threads,
        batch=settings.batch,
        clock="given",
    )
    write_table(folder, entries, DeviceFile(device=device, check=check))
    _say(
        console,
        f"{len(entries):,} blocks fitted to {check.networks:,} whole networks; held out in fifths, they are predicted "
        f"with a mean error of {check.mape:.2%} and Kendall tau {check.kendall_tau:.3f}",
    )
    every = shapes_of_space(space, settings.num_classes)
    unseen = sum(shape not in entries for shape in every)
    if unseen:
        _say(console, f"{unseen:,} of the {len(every):,} blocks of the space occur in none of them")
