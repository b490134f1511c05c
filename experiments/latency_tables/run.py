"""How far sums of blocks are from networks by the way of timing, how many measurements are needed, and speed."""

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau
from sklearn.ensemble import RandomForestRegressor

from experiments.tables import markdown_table, write_found
from nars.commands.latency import measure_latency
from nars.console import open_console
from nars.costs.latency import LatencyTable
from nars.costs.pricing import Pricing
from nars.costs.shapes import Shape, shapes_of
from nars.costs.statistics import costs, rows_of_space
from nars.files import write_whole
from nars.latency.backends import open_backend
from nars.latency.check import check_sums, fit_base_and_scale
from nars.latency.fitting import Networks, fit_entries, occurrences, read_networks
from nars.latency.measure import shapes_prepared
from nars.latency.opening import shapes_of_space
from nars.latency.prediction import BlockPredictor
from nars.latency.table import read_device, read_table
from nars.machine import cores, processor
from nars.networks.build import build_network
from nars.options import stated
from nars.settings import ArchitectureSpaceSettings, MeasureSettings, parse
from nars.spaces.architecture import ArchitectureSpace

SECONDS = 2e-3  # of repeated runs for one measurement, as the product has it
PASSES = (1, 3, 6)
NETWORKS = 16
RESOLUTION = 224
KNOWN = (25, 50, 100, 200)
HELD_OUT = 150
SEEDS = 5
GIVEN = (97, 110, 150, 200, 400)
PARTS = ("all", "timing", "blocks", "networks", "predicted", "outside", "speed", "show")


def space_of(name: str, **changes) -> ArchitectureSpace:
    """A shipped space, with some keys changed."""
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, stated("search_space", name) | changes))


def settings_of(space: ArchitectureSpace, table: Path, **given) -> MeasureSettings:
    """Settings of `measure_latency.py`."""
    return MeasureSettings(search_space=space.settings, table=str(table), **given)


def both_clocks() -> np.ndarray:
    """Seconds that this thread had its core, and that have passed."""
    return np.array([time.thread_time(), time.perf_counter()])


def times_of(runs: Sequence[Callable], passes: int, *, interleaved: bool) -> np.ndarray:
    """Milliseconds (passes, n, 2) of n things by both clocks: pass after pass over all, or thing after thing."""
    found = np.empty((passes, len(runs), 2))
    repeats = []
    for run in runs:
        run()
        repeats.append(min(1000, max(1, int(np.ceil(SECONDS / max(min(run()[0] for _ in range(2)), 1e-9))))))
    order = [(p, i) for p in range(passes) for i in range(len(runs))]
    for p, i in order if interleaved else sorted(order, key=lambda place: place[1]):
        found[p, i] = sum(runs[i]() for _ in range(repeats[i])) / repeats[i] * 1e3
    return found


def timing(folder: Path, backend_name: str, *, interleaved: bool) -> None:
    """Blocks and whole networks of FBNet's space at 224 pixels, timed by both clocks."""
    file = folder / f"timing-{backend_name}-{'interleaved' if interleaved else 'together'}.json"
    if file.exists():
        return
    space = space_of("fbnet")
    points = space.sample(NETWORKS, 0)
    counts, shapes = occurrences(points, space, num_classes=1000)
    with open_backend(settings_of(space, folder, backend=backend_name, check_networks=0)) as backend:
        backend.timer = both_clocks
        blocks = [prepare() for prepare in shapes_prepared(shapes, backend)]
        wholes = [
            backend.prepare(
                build_network(space.architecture(point), num_classes=1000).eval(), torch.randn(1, 3, 224, 224)
            )
            for point in points
        ]
        times = times_of([*blocks, *wholes], max(PASSES), interleaved=interleaved)
    n = len(blocks)
    content = {"counts": counts.tolist(), "blocks": times[:, :n].tolist(), "wholes": times[:, n:].tolist()}
    write_whole(file, json.dumps(content))


def timing_rows(folder: Path) -> Iterator[list]:
    """How far sums are from networks, by way of timing; the networks' truth is the least of all passes by the core's
    clock, measured among the blocks."""
    for file in sorted(folder.glob("timing-*.json")):
        content = json.loads(file.read_text())
        counts, blocks = np.array(content["counts"]), np.array(content["blocks"])
        truth = np.array(content["wholes"])[:, :, 0].min(axis=0)
        _, backend, order = file.stem.split("-")
        for clock, column in (("core", 0), ("wall", 1)):
            for statistic, of in (("minimum", np.min), ("median", np.median)):
                for passes in PASSES:
                    sums = counts @ of(blocks[:passes, :, column], axis=0)
                    check, (base, scale) = check_sums(sums, truth), fit_base_and_scale(sums, truth)
                    r2 = np.corrcoef(sums, truth)[0, 1] ** 2
                    row = [backend, order, clock, statistic, passes, f"{check.mape:.1%}", f"{check.kendall_tau:.2f}"]
                    yield [*row, f"{r2:.2f}", f"{base:.2f} + {scale:.2f} x"]


def blocks(folder: Path, *, entries: int, networks: int) -> None:
    """Blocks of FBNetV3's space at one resolution by the product's own command, and what whole networks say of them."""
    space = space_of("fbnetv3", resolution=RESOLUTION)
    given = {"entries": entries, "check_networks": networks}
    measure_latency(settings_of(space, folder / "fbnetv3", **given), open_console())


def predicted(folder: Path) -> None:
    """Mean relative error on blocks that were held out, by the number that was measured."""
    result = []
    entries = read_table(folder / "fbnetv3").entries
    shapes, ms = list(entries), np.array(list(entries.values()))
    for n in KNOWN:
        errors = {name: [] for name in ("ours", "roofline", "forest")}
        for seed in range(SEEDS):
            order = np.random.default_rng(seed).permutation(len(shapes))
            known, held = order[: min(n, len(shapes) - HELD_OUT)], order[-HELD_OUT:]
            learned, asked = [shapes[i] for i in known], [shapes[i] for i in held]
            ours = BlockPredictor(learned, ms[known])
            rows = [np.array([shape.row for shape in some]) for some in (learned, asked)]
            forest = RandomForestRegressor(200, random_state=seed, n_jobs=1).fit(rows[0], np.log(ms[known]))
            found = {
                "ours": ours(asked),
                "roofline": ours.roofline(asked),
                "forest": np.exp(forest.predict(rows[1])),
            }
            for name, of_it in found.items():
                errors[name].append(np.mean(np.abs(of_it / ms[held] - 1)))
        result.append([n, *(f"{np.median(several):.1%}" for several in errors.values())])
    write_whole(folder / "predicted.json", json.dumps(result))


def outside(folder: Path, file: Path) -> None:
    """Tables fitted to networks that others measured, judged by those that are left."""
    space, result = space_of("fbnet"), []
    names = [dimension.name for dimension in space.dimensions]
    rows = list(csv.DictReader(file.read_text().splitlines()))
    for device in ("raspi4_ms", "titan_rtx_1_ms"):
        lines = [",".join([*(row[f"op{i}"] for i in range(len(names))), row[device]]) for row in rows]
        own = folder / f"{device}.csv"
        own.write_text("\n".join([",".join([*names, "ms"]), *lines]))
        all_of_it = read_networks(own, space)
        counts, shapes = occurrences(all_of_it.points, space, num_classes=1000)
        for n in GIVEN:
            for seed in range(SEEDS):
                order = np.random.default_rng(seed).permutation(len(rows))
                known, held = order[:n], order[n:]
                given = Networks(points=all_of_it.points[known], ms=all_of_it.ms[known])
                entries, _ = fit_entries(given, space, num_classes=1000)
                found = counts[held] @ np.array([entries.get(shape, 0.0) for shape in shapes])
                error = np.mean(np.abs(found / all_of_it.ms[held] - 1))
                tau = kendalltau(found, all_of_it.ms[held]).statistic
                result.append([device.removesuffix("_ms"), n, seed, float(error), float(tau)])
    write_whole(folder / "outside.json", json.dumps(result))


def outside_rows(folder: Path) -> Iterator[list]:
    """Medians and the worst over seeds."""
    result = json.loads((folder / "outside.json").read_text())
    for device, n in dict.fromkeys((row[0], row[1]) for row in result):
        errors, taus = np.array([row[3:] for row in result if row[:2] == [device, n]]).T
        yield [device, n, f"{np.median(errors):.2%} ({errors.max():.2%})", f"{np.median(taus):.3f} ({taus.min():.3f})"]


def speed(folder: Path) -> None:
    """Architectures of FBNetV3's space priced in a CPU second: MACs, parameters and latency by arrays; latency alone by
    a dictionary with strings for keys, as Once-for-all's tables have them."""
    space = space_of("fbnetv3")
    rng = np.random.default_rng(0)
    entries = {Shape.of_row(row): float(rng.uniform(0.01, 1)) for row in rows_of_space(space, 1000)}
    pricing = Pricing(latency=LatencyTable(entries))
    points, names = space.sample(500_000, 0), ("macs", "params", "latency_ms")
    costs(space, points[:10], names, pricing)
    found = [_rate(partial(costs, space, points, names, pricing), len(points)) for _ in range(3)]
    texts = {_text(shape): ms for shape, ms in entries.items()}
    few = [list(_blocks(space.architecture(point))) for point in points[:200]]

    def by_strings() -> list[float]:
        return [sum(texts[_text(shape)] * n for shape, n in blocks) for blocks in few]

    equal = np.allclose(by_strings(), costs(space, points[:200], names, pricing)[:, 2])
    rates = {"arrays": max(found), "strings": max(_rate(by_strings, len(few)) for _ in range(3)), "equal": bool(equal)}
    write_whole(folder / "speed.json", json.dumps(rates))


def _rate(work: Callable, n: int) -> float:
    start = time.process_time()
    work()
    return n / (time.process_time() - start)


def _text(shape: Shape) -> str:
    return "-".join(f"{name}:{value}" for name, value in shape._asdict().items())


def _blocks(architecture) -> Iterator[tuple[Shape, float]]:
    """The blocks of a network, once and how often."""
    for some in shapes_of(architecture.table, 1000):
        rows, count = some.rows()
        if count[0]:
            yield Shape.of_row(rows[0]), count[0]


def found(folder: Path) -> str:
    """All tables."""
    text = [f"{cores()} cores of {processor()}, other work on all of them, one thread, November 2026."]
    head = ["backend", "order", "clock", "statistic", "passes", "mean error", "tau", "R2", "network ="]
    text += [
        f"### Sums of blocks against {NETWORKS} networks of FBNet's space",
        markdown_table(head, list(timing_rows(folder))),
    ]
    table = folder / "fbnetv3"
    check, shapes = read_device(table).check, shapes_of_space(space_of("fbnetv3", resolution=RESOLUTION), 1000)
    known = len(read_table(table).entries)
    text += [f"### FBNetV3's space at {RESOLUTION} pixels: {known:,} of its {len(shapes):,} blocks measured"]
    if check is not None:
        words = f"{check.networks} whole networks are predicted with a mean error of {check.mape:.1%}, tau"
        text += [f"{words} {check.kendall_tau:.2f}; the blocks that were not measured are predicted."]
    head = ["measured", "ours", "roofline alone", "random forest on the keys"]
    text += [
        f"Mean error on {HELD_OUT} others, median of {SEEDS} draws:",
        markdown_table(head, json.loads((folder / "predicted.json").read_text())),
    ]
    if (folder / "outside.json").exists():
        head = ["device", "networks given", "mean error on the others (worst)", "tau (worst)"]
        text += ["### Tables from whole networks that others measured, FBNet's space, 5,000 networks"]
        text += [f"Median of {SEEDS} draws:", markdown_table(head, list(outside_rows(folder)))]
    rates = json.loads((folder / "speed.json").read_text())
    rows = [
        ["arrays: MACs, params and latency", f"{rates['arrays']:,.0f}", f"{rates['arrays'] / rates['strings']:,.0f}"],
        ["strings: latency alone", f"{rates['strings']:,.0f}", "1"],
    ]
    text += ["### Architectures priced per CPU second", markdown_table(["way", "architectures", "ratio"], rows)]
    text += [f"The same latencies: {rates['equal']}."]
    return "\n\n".join(text)


def main() -> None:
    """Run some parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="+", choices=("all", "timing", "blocks", "networks", "predicted", "outside", "speed", "show")
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/latency_tables"))
    parser.add_argument("--entries", type=int, default=400, help="blocks of FBNetV3's space that are measured")
    parser.add_argument("--csv", type=Path, help="FBNet networks with what they take on two devices")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder, parts = arguments.folder, set(arguments.parts)
    folder.mkdir(parents=True, exist_ok=True)
    if parts & {"all", "timing"}:
        for backend, interleaved in (("onnxruntime", True), ("onnxruntime", False), ("torch", True)):
            timing(folder, backend, interleaved=interleaved)
    if parts & {"all", "blocks"}:
        blocks(folder, entries=arguments.entries, networks=0)
    if parts & {"all", "networks"}:
        blocks(folder, entries=arguments.entries, networks=NETWORKS)
    if parts & {"all", "predicted"}:
        predicted(folder)
    if parts & {"all", "outside"} and arguments.csv is not None:
        outside(folder, arguments.csv)
    if parts & {"all", "speed"}:
        speed(folder)
    if parts & {"all", "show"}:
        write_found(__file__, found(folder))


if __name__ == "__main__":
    main()
