"""What worker processes run."""

from nars.records import Record
from nars.training.job import TrainingJob


def train_job(job: TrainingJob) -> Record:
    """`run_training` for worker processes: only the record comes back."""
    # here, as all of Lightning: a process whose trainings are all known need not wait for it
    from nars.training.single.loggers import open_loggers
    from nars.training.single.run import run_training

    with open_loggers(job) as loggers:
        return run_training(job, loggers=loggers)[0]
