"""How long the plan of a dry run takes."""

import pytest

from nars.methods.dry_run import Plan
from nars.settings import ConfirmSettings


@pytest.mark.parametrize(("workers", "seconds"), [(1, 30.0), (2, 6 + 10 + 4), (4, 4 + 10 + 2), (50, 4 + 10 + 1)])
def test_rounds_of_one_take_their_time_however_many_could_train_at_once(workers, seconds):
    """Three trainings of the next round, ten seconds of later rounds of one, and eight trainings that confirm."""
    plan = Plan(
        number=1,
        jobs=(),
        known=frozenset(),
        epochs=1,
        seconds_per_mac=1e-6,
        measured="",
        later=10,
        batch=1,
        confirm=ConfirmSettings(),
        reference_macs=None,
        workers=workers,
    )
    assert plan.wall_seconds((12.0, 3), (10.0, plan.batch), (8.0, 8)) == seconds
    assert plan.wall_seconds((12.0, 3), (0.0, 0)) == 12.0 / min(workers, 3)
