"""Where the curves of one training go: CSV files, Weights & Biases, or nowhere."""

from collections.abc import Sequence
from pathlib import Path

import torch
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger


def flat_config(job) -> dict:
    """Scalar configuration keys of a training, for dashboards: `recipe/lr`, `arch/stage3/expansion_first`, ..."""
    flat = {f"recipe/{key}": value for key, value in job.recipe.items()}
    for key, value in job.architecture.items():
        if key == "stages":
            for i, stage in enumerate(value, start=1):
                flat |= {f"arch/stage{i}/{name}": choice for name, choice in stage.items()}
        elif key != "head":
            flat[f"arch/{key}"] = value
    flat |= {f"protocol/{key}": value for key, value in job.protocol.model_dump(mode="json").items()}
    return flat | {"seed": job.seed, "macs": job.macs, "params": job.params, "data": job.data.name}


def open_logger(job) -> Logger | None:
    """The logger that `job.logger` names, or None."""
    folder = Path(job.folder)
    if job.logger.name == "csv":
        return CSVLogger(save_dir=folder.parent, name="", version=folder.name)
    if job.logger.name == "wandb":
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        logger = WandbLogger(
            project=job.logger.project,
            entity=job.logger.entity,
            offline=job.logger.offline,
            save_dir=folder,
            id=job.key,
            name=job.candidate.name,
            group=job.study,
            job_type="candidate",
            reinit="finish_previous",
            resume=None if job.logger.offline else "allow",
            settings=wandb.Settings(silent=True, console="off"),
        )
        logger.experiment.config.update(flat_config(job), allow_val_change=True)
        return logger
    return None


def log_known_epochs(
    logger: Logger, losses: Sequence[float], accuracies: Sequence[float], *, steps_per_epoch: int
) -> None:
    """Log the epochs that an earlier process trained, as it did, so that the curve of a resumed training is whole."""
    if isinstance(logger, WandbLogger) and logger.experiment.resumed:
        return  # the server still has them
    for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
        single = torch.tensor([loss, accuracy]).tolist()  # Lightning logs in single precision
        row = dict(zip(("loss", "accuracy"), single, strict=True)) | {"epoch": epoch}
        logger.log_metrics(row, (epoch + 1) * steps_per_epoch - 1)


def close_logger(job) -> None:
    """End the W&B run, so that the next training of this process gets its own."""
    if job.logger.name == "wandb":
        import wandb

        wandb.finish()
