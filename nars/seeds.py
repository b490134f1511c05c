"""A seed of its own for every stage of a study, so that none repeats what another has drawn."""

from enum import IntEnum

import numpy as np


class Stage(IntEnum):
    """What draws random numbers; the numbers are part of every study's results and never change."""

    POOL = 0
    PRETRAINING_POOL = 1
    EVOLUTION = 2
    PREDICTOR = 3
    CHOICE = 4
    IMPORTANCE = 5
    FOLDS = 6
    SUPERNET = 7


def stage_seed(seed: int, stage: Stage) -> int:
    """The seed of `stage` in a study with `seed`."""
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])
