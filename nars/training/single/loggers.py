"""Where the curves of a training go: CSV files, TensorBoard, Weights & Biases, several of them, or nowhere."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from nars.records import Record
from nars.wandb_run import WandbRun, candidate_scalars, scalars


class WandbLogger(Logger):
    """Lightning's way to a W&B run; its own logger would let W&B's errors end the training."""

    name, version = "wandb", None

    def __init__(self, run: WandbRun):
        super().__init__()
        self.run = run

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.run.log(metrics, step)

    def log_hyperparams(self, params, *args, **kwargs) -> None:
        """Nothing: the run was begun with its configuration."""


def flat_config(job) -> dict:
    """Scalar configuration keys of a training, for dashboards: `recipe/lr`, `arch/stage3/expansion_first`, ..."""
    protocol = scalars(job.protocol.model_dump(mode="json"), "protocol/")
    return candidate_scalars(job.candidate.to_dict()) | protocol | {"seed": job.seed, "data": job.data.name}


@contextmanager
def open_loggers(job) -> Iterator[list[Logger]]:
    """The loggers that `job.logger` asks for, of the first process of a training. A W&B run ends with the block."""
    folder = Path(job.folder)
    where = {"save_dir": folder.parent, "name": "", "version": folder.name}
    loggers: list[Logger] = []
    if job.logger.csv:
        loggers.append(CSVLogger(**where))
    if job.logger.tensorboard:
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()  # what is resumed logs again what it knows
        loggers.append(TensorBoardLogger(**where, default_hp_metric=False))
    if job.logger.wandb is None:
        yield loggers
        return
    with WandbRun(
        job.logger.wandb,
        folder.parents[1],
        key=folder.name,
        name=job.candidate.name,
        job_type=job.kind,
        config=flat_config(job),
    ) as run:
        run.summarise(job.known)
        yield [*loggers, WandbLogger(run)]


def wandb_run(loggers: Sequence[Logger]) -> WandbRun | None:
    """The W&B run among loggers."""
    return next((logger.run for logger in loggers if isinstance(logger, WandbLogger)), None)


def log_known_epochs(logger: Logger, curves: Mapping[str, Sequence[float]], *, steps_per_epoch: int) -> None:
    """Log the epochs that an earlier process trained, as it did, so that the curve of a resumed training is whole."""
    for epoch, values in enumerate(zip(*curves.values(), strict=True)):
        single = torch.tensor(values).tolist()  # Lightning logs in single precision
        row = dict(zip(curves, single, strict=True)) | {"epoch": epoch}
        logger.log_metrics(row, (epoch + 1) * steps_per_epoch - 1)


def log_record(loggers: Sequence[Logger], job, record: Record) -> None:
    """Log how a training ended, for comparisons with others."""
    accuracy = record.accuracies[-1] if record.accuracies else None
    run = wandb_run(loggers)
    if run is not None:
        run.summarise({"epochs": len(record.accuracies), "status": record.status, "seconds": record.seconds})
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger) and accuracy is not None:
            logger.log_hyperparams(flat_config(job), {"final_accuracy": accuracy})
            logger.finalize(record.status)
