"""Blocks that were not measured are predicted from those that were, and flagged."""

import numpy as np
import pytest

from nars.costs.shapes import Shape
from nars.costs.statistics import rows_of_space
from nars.errors import UserError
from nars.latency.opening import open_latency, shapes_of_space
from nars.latency.prediction import FEWEST, BlockPredictor, _work, held_out_error
from nars.latency.table import DeviceFile, write_table
from nars.settings import LatencySettings


@pytest.fixture(scope="module")
def shapes(fbnetv3):
    """Blocks at one resolution."""
    rows = rows_of_space(fbnetv3, 1000)
    rows = np.random.default_rng(0).permutation(rows)[:1200]
    return [Shape.of_row(row) for row in rows]


def planted(shapes, *, penalty: float) -> np.ndarray:
    """What a processor would take that does so much a second, and is slower where widths are no multiples of 8."""
    ms = _work(shapes) @ np.array([2e-8, 8e-8, 3e-8, 1e-7, 4e-8, 1e-7, 3e-8, 2e-8, 3e-8, 0.005, 0.002])
    odd = np.array([sum(width % 8 > 0 for width in (s.c_in, s.c_out)) for s in shapes])
    return ms * (1 + penalty * odd)


@pytest.mark.parametrize(("penalty", "most"), [(0.0, 0.02), (0.3, 0.06)])
def test_a_planted_processor_is_learned(shapes, penalty, most):
    ms = planted(shapes, penalty=penalty)
    predict = BlockPredictor(shapes[:300], ms[:300])
    errors = np.abs(predict(shapes[300:]) / ms[300:] - 1)
    assert errors.mean() < most
    assert held_out_error(shapes[:300], ms[:300]) == pytest.approx(errors.mean(), abs=0.03)


def test_too_few_blocks_are_said_to_be(shapes):
    with pytest.raises(UserError, match=f"{FEWEST - 1} measured blocks are too few to learn from"):
        BlockPredictor(shapes[: FEWEST - 1], np.ones(FEWEST - 1))


def test_missing_entries_are_predicted_and_counted(tiny, tmp_path):
    shapes = shapes_of_space(tiny, 1000)
    ms = dict(zip(shapes, planted(shapes, penalty=0.1).tolist(), strict=True))
    left_out = shapes[::5]
    known = {shape: value for shape, value in ms.items() if shape not in left_out}
    write_table(tmp_path, known, DeviceFile())
    asked = LatencySettings(table=str(tmp_path), missing="predict")
    found = open_latency(asked, shapes, of=())
    assert (found.predicted, found.measured) == (len(left_out), len(known))
    assert len(found.table) == len(shapes)
    assert 0 < found.error < 0.2
    assert found.summary["predicted"] == len(left_out)
    again = open_latency(asked, shapes, of=())
    assert again.table == found.table
    complete = open_latency(asked, list(known), of=())
    assert (complete.predicted, complete.error) == (0, None)
    with pytest.raises(UserError, match=f"{len(left_out)} of the {len(shapes)} blocks"):
        open_latency(LatencySettings(table=str(tmp_path)), shapes, of=())
