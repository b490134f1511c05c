"""Tables fitted to whole networks, and what whole networks say of sums."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from nars.costs.latency import LatencyTable
from nars.costs.pricing import Pricing
from nars.costs.shapes import Shape
from nars.costs.statistics import costs, rows_of_space
from nars.errors import UserError
from nars.latency.check import check_sums, fit_base_and_scale
from nars.latency.fitting import Networks, fit_entries, occurrences, read_networks
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace

OUTSIDE = os.environ.get("NARS_TEST_LATENCY")


@pytest.fixture(scope="module")
def fbnet(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "fbnet")))


def predicted(space, points, entries) -> np.ndarray:
    counts, shapes = occurrences(points, space, num_classes=1000)
    return counts @ np.array([entries.get(shape, 0.0) for shape in shapes])


@pytest.mark.parametrize("seed", range(2))
def test_an_additive_device_is_recovered_exactly(fbnet, seed):
    """97 of the 104 blocks can be told apart; the rest are parts of every network or of none."""
    rng = np.random.default_rng(seed)
    truth = {Shape.of_row(row): float(rng.uniform(0.05, 2)) for row in rows_of_space(fbnet, 1000)}
    points = fbnet.sample(400, seed)
    pricing = Pricing(latency=LatencyTable(truth))
    ms = costs(fbnet, points, ("latency_ms",), pricing)[:, 0]
    entries, check = fit_entries(Networks(points=points[:160], ms=ms[:160]), fbnet, num_classes=1000)
    assert min(entries.values()) >= 0
    np.testing.assert_allclose(predicted(fbnet, points[160:], entries), ms[160:], rtol=1e-4)
    assert (check.mape < 1e-4, check.kendall_tau > 0.99, check.networks) == (True, True, 160)


def test_a_few_networks_that_were_measured_while_the_device_was_busy_spoil_nothing(fbnet):
    rng = np.random.default_rng(0)
    truth = {Shape.of_row(row): float(rng.uniform(0.05, 2)) for row in rows_of_space(fbnet, 1000)}
    points = fbnet.sample(500, 0)
    ms = costs(fbnet, points, ("latency_ms",), Pricing(latency=LatencyTable(truth)))[:, 0]
    noisy = ms * rng.normal(1, 0.002, len(ms))
    noisy[:250:25] *= 1.5
    entries, _ = fit_entries(Networks(points=points[:250], ms=noisy[:250]), fbnet, num_classes=1000)
    errors = np.abs(predicted(fbnet, points[250:], entries) / ms[250:] - 1)
    assert errors.mean() < 0.004


@pytest.mark.skipif(OUTSIDE is None, reason="NARS_TEST_LATENCY names no CSV of measured FBNet networks")
@pytest.mark.parametrize(
    ("device", "networks", "error", "tau"), [("raspi4_ms", 110, 1e-5, 0.9999), ("titan_rtx_1_ms", 200, 0.006, 0.93)]
)
@pytest.mark.parametrize("seed", range(3))
def test_devices_of_others(fbnet, tmp_path, device, networks, error, tau, seed):
    """HW-NAS-Bench's and HELP's FBNet networks: columns op0 to op21 and one for each device."""
    with open(OUTSIDE, newline="") as file:
        rows = list(csv.DictReader(file))
    order = np.random.default_rng(seed).permutation(len(rows))
    names = [dimension.name for dimension in fbnet.dimensions]
    parts = []
    for name, some in (("known", order[:networks]), ("others", order[networks:])):
        table = [[rows[i][f"op{layer}"] for layer in range(len(names))] + [rows[i][device]] for i in some]
        lines = [",".join(line) for line in ([*names, "ms"], *table)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
        parts.append(read_networks(tmp_path / f"{name}.csv", fbnet))
    known, others = parts
    entries, _ = fit_entries(known, fbnet, num_classes=1000)
    found = predicted(fbnet, others.points, entries)
    assert np.mean(np.abs(found / others.ms - 1)) <= error
    assert kendalltau(found, others.ms).statistic >= tau


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:5], "4 networks are too few"),
        (lambda lines: [lines[0].replace("ms", "us"), *lines[1:]], "no column ms; needed: ms and the dimensions of "),
        (lambda lines: [*lines[:3], lines[3].replace("skip", "jump"), *lines[4:]], "line 4: stage"),
        (
            lambda lines: [*lines[:3], lines[3].rpartition(",")[0] + ",-1", *lines[4:]],
            "line 4: ms: '-1' is no positive",
        ),
        (lambda lines: [], "no column"),
    ],
)
def test_files_of_networks_that_are_wrong(fbnet, tmp_path, change, words):
    names = [dimension.name for dimension in fbnet.dimensions]
    points = np.full((12, len(fbnet)), fbnet.dimensions[0].index("k3_e1"), dtype=np.int16)
    lines = [",".join([*names, "ms"])]
    for point in points:
        values = [str(value) for value in fbnet.values(point).values()]
        lines.append(",".join([*values[:-1], "skip", "3.5"]))
    file = tmp_path / "networks.csv"
    file.write_text("\n".join(change(lines)))
    with pytest.raises(UserError) as error:
        read_networks(Path(file), fbnet)
    assert str(error.value).startswith(f"networks={file}")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(5))
def test_base_and_scale_are_found(seed):
    rng = np.random.default_rng(seed)
    sums = rng.uniform(3, 20, size=20)
    base, scale = rng.uniform(0.1, 1), rng.uniform(0.7, 1.4)
    wholes = base + scale * sums
    assert fit_base_and_scale(sums, wholes) == pytest.approx((base, scale), rel=1e-6)
    check = check_sums(sums, wholes)
    assert (check.networks, check.mape, check.kendall_tau) == (20, pytest.approx(0, abs=1e-6), 1.0)
    noisy = wholes * rng.normal(1, 0.03, size=20)
    assert 0.01 < check_sums(sums, noisy).mape < 0.06
    assert fit_base_and_scale(sums[:2], 2 * sums[:2]) == (0.0, pytest.approx(2))
