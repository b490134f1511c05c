"""Blocks that were not measured, predicted from those that were (ours).

A roofline with non-negative weights first: multiply-adds, elements that are moved and parameters of each layer, and a
constant for every call. What is left is learned by gradient boosting, which sees how widths fall on multiples of 4, 8
and 16 and how large the map is: kernels of processors are made for those.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from nars.costs.shapes import KINDS, Shape
from nars.errors import UserError

FEWEST = 20
FOLDS = 5
TREES = {"max_iter": 200, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 5, "l2_regularization": 1.0}


class BlockPredictor:
    """Fitted to shapes with their milliseconds (n,); UserError if they are too few."""

    def __init__(self, shapes: Sequence[Shape], ms: Sequence[float]):
        from sklearn.ensemble import HistGradientBoostingRegressor

        if len(shapes) < FEWEST:
            raise UserError(
                f"latency.missing=predict: {len(shapes)} measured blocks are too few to learn from; measure at least "
                f"{FEWEST}, better 200 (measure_latency.py entries=200)"
            )
        ms = np.asarray(ms, dtype=np.float64)
        work = _work(shapes)
        self._weights, _ = nnls(work / ms[:, None], np.ones(len(ms)), maxiter=100 * work.shape[1])
        self._trees = HistGradientBoostingRegressor(**TREES, random_state=0)
        self._trees.fit(_features(shapes), np.log(ms / self.roofline(shapes)))

    def __call__(self, shapes: Sequence[Shape]) -> np.ndarray:
        """Milliseconds (n,), all positive."""
        return self.roofline(shapes) * np.exp(self._trees.predict(_features(shapes)))

    def roofline(self, shapes: Sequence[Shape]) -> np.ndarray:
        """What the work alone takes, in milliseconds (n,)."""
        return np.maximum(_work(shapes) @ self._weights, 1e-6)


def held_out_error(shapes: Sequence[Shape], ms: Sequence[float]) -> float:
    """The mean absolute relative error of predictions of blocks that were left out, a fifth of all at a time."""
    shapes, ms = list(shapes), np.asarray(ms, dtype=np.float64)
    folds = np.random.default_rng(0).permutation(len(shapes)) % FOLDS
    errors = []
    for fold in range(FOLDS):
        known, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        predict = BlockPredictor([shapes[i] for i in known], ms[known])
        errors.append(np.abs(predict([shapes[i] for i in held]) / ms[held] - 1))
    return float(np.mean(np.concatenate(errors)))


def _work(shapes: Sequence[Shape]) -> np.ndarray:
    """What the layers of blocks do, float64 (n, f): multiply-adds and elements that are moved, by kind of layer."""
    return np.array([_work_of(shape) for shape in shapes], dtype=np.float64)


def _work_of(s: Shape) -> list[float]:
    side_out = (s.side + 2 * s.padding - s.kernel) // s.stride + 1
    before, after = s.side**2, side_out**2
    has = {kind: s.kind == kind for kind in KINDS}
    expands = (has["block"] and s.middle != s.c_in) or has["head"]
    pointwise = s.c_in * s.middle * before * expands
    pointwise += (has["block"] * s.middle / max(s.groups, 1) * after + has["head"] * s.middle) * s.c_out
    pointwise += (has["skip"] * after + has["conv_head"] * before + has["classifier"]) * s.c_in * s.c_out
    depthwise = has["block"] * s.middle * s.kernel**2 * after
    full = has["stem"] * s.c_in * s.c_out * s.kernel**2 * after
    weights = s.c_in * s.middle * expands + s.middle * s.c_out + s.c_in * s.c_out * (s.middle == 0)
    moved = s.c_in * before + s.c_out * after + s.middle * before * expands + s.middle * after * has["block"]
    squeeze = s.squeezed * s.middle
    gated = s.middle * after * (s.squeezed > 0)
    hard = (s.activation == "hswish") * (s.middle * (before * expands + after * has["block"]))
    calls = 1 + expands + 2 * has["block"] + 4 * (s.squeezed > 0) + 3 * (s.groups > 1)
    shuffled = s.c_out * after * (s.groups > 1)
    return [pointwise, depthwise, full, weights, moved, squeeze, gated, hard, shuffled, 1.0, calls]


def _features(shapes: Sequence[Shape]) -> np.ndarray:
    rows = np.array([shape.row for shape in shapes], dtype=np.float64)
    work = _work(shapes)
    widths = [np.array([getattr(shape, name) for shape in shapes]) for name in ("c_in", "middle", "c_out", "squeezed")]
    remainders = [(width % n).astype(np.float64) for width in widths for n in (4, 8, 16)]
    side_out = (rows[:, 9] + 2 * rows[:, 6] - rows[:, 4]) // rows[:, 5] + 1
    ratios = [np.log1p(work[:, 0]), np.log1p(work[:, 1]), np.log1p(work[:, 4]), work[:, 1] / (work[:, 0] + 1), side_out]
    return np.column_stack([rows, *remainders, *ratios])
