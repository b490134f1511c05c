"""What trainings have in common whatever their task: epochs, the average of the weights, divergence, curves."""

import math
from abc import abstractmethod

import pytorch_lightning as pl
import torch
from torch import distributed, nn

from nars.settings import ScheduleSettings
from nars.training.single.averaging import WeightAverage
from nars.training.single.optimization import lr_factor
from nars.training.weights.tuning import Tuning


class BaseModule(pl.LightningModule):
    """Trains `network` epoch by epoch and measures it after each; a subclass is a task.

    A task says what optimizer it takes, what the loss of a batch is, and what is measured on the validation batches,
    first of all its `metric`, by which epochs are compared: a fraction, the more the better.

    `tuning`: what of the network stays as it is, and in which epochs; None, nothing does.
    `average`: whether the mean of the weights (EMA) is what is measured and kept. In one process or, each with its
    share of every batch, in several (DDP).
    `curves`: by name one value per finished epoch: `loss`, the mean training loss, the metric, and what else is
    measured. They are part of a checkpoint.
    `diverged` turns true, and the training ends, when the loss of an epoch or a weight is NaN or infinite.
    """

    metric = "accuracy"
    one_shape = True  # of all batches, for which cuDNN then looks for its fastest algorithms if the training is long

    def __init__(
        self,
        network: nn.Module,
        *,
        protocol: ScheduleSettings,
        average: bool,
        steps_per_epoch: int,
        seed: int,
        tuning: Tuning | None = None,
    ):
        super().__init__()
        self.network = network
        self.protocol = protocol
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.tuning = tuning or Tuning()
        self.tuning.apply(network, self.tuning.epochs)  # for optimizer and DDP, what is frozen for good is not there
        # Warm-up (ours): without it, the EMA of a short training is still mostly its untrained start. The decay after n
        # steps is at most 1 - (1 + n)^(-2/3): 0.9998 is reached after 350,000 steps, 0.99985 after 540,000.
        self.ema = WeightAverage(network, decay=protocol.ema_decay, use_warmup=True) if average else None
        if self.ema is not None:
            self.ema.requires_grad_(False)  # else DDP would wait for its gradients
        self.curves: dict[str, list[float]] = {"loss": [], self.metric: []}
        self.diverged = False

    @abstractmethod
    def build_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of `network`, at the learning rate after warm-up."""

    @abstractmethod
    def loss_of(self, batch) -> torch.Tensor:
        """The loss (scalar) of a training batch."""

    @abstractmethod
    def begin_measuring(self) -> None:
        """Called before the first validation batch of an epoch."""

    @abstractmethod
    def measure(self, batch) -> None:
        """Look at a validation batch, with the `evaluated_network`."""

    @abstractmethod
    def measured(self) -> dict[str, float]:
        """What the validation batches of all processes gave, by name, the metric among it."""

    @property
    def accuracies(self) -> list[float]:
        """The metric after each finished epoch."""
        return self.curves[self.metric]

    @property
    def losses(self) -> list[float]:
        """The mean training loss of each finished epoch."""
        return self.curves["loss"]

    @property
    def evaluated_network(self) -> nn.Module:
        """The network whose metric counts."""
        return self.ema.module if self.ema is not None else self.network

    def configure_optimizers(self) -> dict:
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer := self.build_optimizer(), lambda step: lr_factor(step, self.steps_per_epoch, self.protocol)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        if self.ema is not None:
            self.ema.follow(self.network)

    def on_train_epoch_start(self) -> None:
        # All that is random inside an epoch (dropout, stochastic depth, mixup) follows from (seed, epoch, rank). Ranks
        # are far apart in the lower 32 bits of the seed: a CPU's generator looks at no others.
        torch.manual_seed(self.seed * 100_003 + self.current_epoch + self.global_rank * 2_654_435_769)
        self._loss_sum = torch.zeros((), device=self.device)
        self.tuning.apply(self.network, self.current_epoch)

    def training_step(self, batch, batch_index: int) -> torch.Tensor:
        loss = self.loss_of(batch)
        self._loss_sum += loss.detach()
        return loss

    def on_train_batch_end(self, outputs, batch, batch_index: int) -> None:
        if self.ema is not None:
            self.ema.update(self.network, step=self.global_step)

    def on_train_epoch_end(self) -> None:
        # After validation: Lightning calls this last in an epoch.
        self.log("loss", self._loss)
        if not self.diverged:
            self.losses.append(self._loss)
            for name, values in self.curves.items():
                if name != "loss":
                    self.log(name, values[-1])

    def on_validation_epoch_start(self) -> None:
        self.begin_measuring()
        processes = self.trainer.world_size
        self._loss = float(self.sum_of_processes(self._loss_sum)) / (self.steps_per_epoch * processes)
        finite = torch.tensor(math.isfinite(self._loss) and all_finite(self.network), device=self.device)
        self.diverged = bool(self.sum_of_processes((~finite).int()) > 0)  # running statistics differ by process
        self.trainer.should_stop = self.diverged
        share_buffers(self.evaluated_network)

    def validation_step(self, batch, batch_index: int) -> None:
        if not self.diverged:
            self.measure(batch)

    def on_validation_epoch_end(self) -> None:
        if not self.diverged:
            for name, value in self.measured().items():
                self.curves.setdefault(name, []).append(value)

    def sum_of_processes(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor that each process has."""
        return self.trainer.strategy.reduce(tensor, reduce_op="sum")

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["curve"] = self.curves

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        earlier = {"losses": "loss", "accuracies": "accuracy"}  # names of curves in checkpoints of earlier versions
        self.curves = {earlier.get(name, name): list(values) for name, values in checkpoint["curve"].items()}


def share_buffers(network: nn.Module) -> None:
    """Give every process the first one's running statistics, with which all then validate; the weights are equal."""
    if distributed.is_available() and distributed.is_initialized():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)


def all_finite(network: nn.Module) -> bool:
    """Whether no parameter or buffer holds NaN or infinity."""
    state = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    return bool(torch.stack([tensor.isfinite().all() for tensor in state]).all())
