"""What a predictor makes of the features of a space: ordered choices of few values become steps ("thermometer")."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

MOST_STEPS = 8  # choices of more values stay one number, min-max scaled

Choices = list[list[float]]  # for each column the values that become steps, rising; none: the column stays as it is


class Thermometer:
    """Features (n, f) -> (n, `outputs`): a column of k values becomes k - 1 columns of 0 and 1, each of which says
    whether its value lies above the middle between two neighbours; other columns stay as they are.

    Each choice is told apart, as in one-hot codes, but neighbours share all steps but one, so that order is kept. For
    architectures, whose steps the pretraining weighs; of recipes they would make too much of what has few choices
    (ours, measured in experiments/predictor_pretraining).
    """

    def __init__(self, choices: Choices):
        self.choices = choices
        middles = [(np.array(values[:-1]) + np.array(values[1:])) / 2 if values else [np.nan] for values in choices]
        self._source = torch.as_tensor(np.repeat(np.arange(len(choices)), [len(middle) for middle in middles]))
        self._middle = torch.as_tensor(np.concatenate([*middles, []]), dtype=torch.float32)
        self._as_it_is = self._middle.isnan()
        self.outputs = len(self._middle)

    def __call__(self, x: Tensor) -> Tensor:
        """Float32 (n, `outputs`) of features float32 (n, f)."""
        taken = x.index_select(1, self._source)
        return torch.where(self._as_it_is, taken, (taken > self._middle).float())


def scaled_choices(columns: Sequence[str], specification: Mapping[str, Sequence]) -> Choices:
    """The values that become steps of columns named as their dimensions in `specification` (`Space.specification`), as
    `Space.encode` scales them: those of three or more numbers, up to `MOST_STEPS`."""
    return [_scaled(specification.get(column, ())) for column in columns]


def seen_choices(x: np.ndarray) -> Choices:
    """The same, of the columns of rows x (n, f) that are thought to hold all choices."""
    return [_few(np.unique(column)) for column in x.T]


def _scaled(choices: Sequence) -> list[float]:
    if any(isinstance(choice, bool | str) for choice in choices) or len(choices) < 3:
        return []
    return _few((np.array(choices, dtype=float) - choices[0]) / (choices[-1] - choices[0]))


def _few(values: np.ndarray) -> list[float]:
    return values.tolist() if 2 < len(values) <= MOST_STEPS else []
