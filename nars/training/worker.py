"""What worker processes run."""

from nars.costs.constraint import short_number
from nars.records import Record
from nars.training.job import TrainingJob


def train_job(job: TrainingJob) -> Record:
    """`run_training` for worker processes: only the record comes back. MemoryError if the GPU's memory is too small."""
    import torch  # here, as all of Lightning: a process whose trainings are all known need not wait for it

    from nars.training.single.loggers import open_loggers
    from nars.training.single.run import run_training

    try:
        with open_loggers(job) as loggers:
            return run_training(job, loggers=loggers)[0]
    except torch.OutOfMemoryError:
        raise MemoryError(
            f"out of GPU memory with {short_number(job.macs)} MACs, batch {job.protocol.batch_size}: lower "
            "protocol.batch_size (the learning rate follows), or use trainer.precision=bf16-mixed"
        ) from None
