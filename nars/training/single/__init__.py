"""One training, from a job to a record: the LightningModule, optimizer and schedule, state, curves, processes.

Nothing outside of this room imports Lightning, which guesses a rank from the environment when it is imported, and fails
on one that is no number.
"""

from nars.training.single.environment import without_launchers

with without_launchers():
    import pytorch_lightning  # noqa: F401
