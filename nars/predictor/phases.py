"""The phases of learning as LightningModules, and the quiet Trainer that runs them on the CPU."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

Loss = Callable[..., Tensor]  # (network, x, targets, ...) -> scalar


class Phase(pl.LightningModule):
    """Minimise `loss(network, *batch)` over `parameters` with AdamW; if `decay`, lr falls to 0 along a cosine."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        *,
        parameters: list[nn.Parameter],
        lr: float,
        weight_decay: float,
        decay: bool,
    ):
        super().__init__()
        self.network = network
        self.loss = loss
        self.trained = parameters
        self.lr = lr
        self.weight_decay = weight_decay
        self.decay = decay

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        """The loss of one batch."""
        return self.loss(self.network, *batch)

    def configure_optimizers(self):
        """AdamW, and the schedule if any."""
        optimizer = torch.optim.AdamW(self.trained, lr=self.lr, weight_decay=self.weight_decay, fused=True)
        if not self.decay:
            return optimizer
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Progress(pl.Callback):
    def __init__(self, report: Callable[[float], None]):
        self.report = report

    def on_train_epoch_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        self.report((trainer.current_epoch + 1) / trainer.max_epochs)


def batches(*tensors: Tensor, batch_size: int, generator: torch.Generator) -> DataLoader:
    """Shuffled batches of rows; the order comes from `generator` alone."""
    dataset = TensorDataset(*tensors)
    sampler = BatchSampler(RandomSampler(dataset, generator=generator), batch_size=batch_size, drop_last=False)
    # Whole batches are indexed at once; a row at a time would cost more than the network does.
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)


def run(phase: Phase, loader: DataLoader, *, epochs: int, progress: Callable[[float], None] | None = None) -> None:
    """Train for `epochs` on the CPU, printing nothing; `progress` is told the fraction done after each epoch."""
    others = {p for p in phase.network.parameters() if p.requires_grad} - set(phase.trained)
    with quiet(), frozen(others):
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[_Progress(progress)] if progress else [],
            # Never reach for a cluster's processes: this is a few seconds of one core.
            plugins=[LightningEnvironment()],
        )
        trainer.fit(phase, loader)


@contextmanager
def frozen(parameters: set[nn.Parameter]) -> Iterator[None]:
    """No gradients for `parameters` inside the block."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def quiet() -> Iterator[None]:
    """No notices and warnings of Lightning inside the block."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
            warnings.filterwarnings("ignore", message=".*(num_workers|log_every_n_steps).*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
