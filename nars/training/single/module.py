"""The LightningModule of a candidate: its steps call functions that are tested without a Trainer."""

import math
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from torch import distributed, nn
from torchvision.transforms import v2

from nars.settings import ProtocolSettings
from nars.spaces.recipe import Recipe
from nars.training.single.averaging import WeightAverage
from nars.training.single.losses import training_loss
from nars.training.single.optimization import build_optimizer, lr_factor


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained network in evaluation mode, whose output makes `share` of the loss. Not a module: what is trained,
    counted and kept is the student alone."""

    network: nn.Module
    share: float


class CandidateModule(pl.LightningModule):
    """Trains `network` by `recipe` under `protocol` and records the accuracy after every epoch.

    Batches arrive as loaders give them; `normalise` makes the network's inputs of their images. In one process or, each
    with its share of every batch, in several (DDP).

    `accuracies`: one top-1 fraction per finished epoch, of the EMA's weights where the recipe asks for EMA; `losses`:
    the mean training loss of each. Both are part of a checkpoint.
    `diverged` turns true, and the training ends, when the loss of an epoch or a weight is NaN or infinite.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        normalise: nn.Module,
        recipe: Recipe,
        protocol: ProtocolSettings,
        num_classes: int,
        steps_per_epoch: int,
        seed: int,
        teacher: Teacher | None = None,
    ):
        super().__init__()
        self.network = network
        self.normalise = normalise
        self.recipe = recipe
        self.protocol = protocol
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.teacher = teacher
        self.mixing = mixing(recipe, num_classes=num_classes)
        # Warm-up (ours): without it, the EMA of a short training is still mostly its untrained start. The decay after n
        # steps is at most 1 - (1 + n)^(-2/3): 0.9998 is reached after 350,000 steps, 0.99985 after 540,000.
        self.ema = WeightAverage(network, decay=protocol.ema_decay, use_warmup=True) if recipe.ema else None
        if self.ema is not None:
            self.ema.requires_grad_(False)  # else DDP would wait for its gradients
        self.accuracies: list[float] = []
        self.losses: list[float] = []
        self.diverged = False

    @property
    def evaluated_network(self) -> nn.Module:
        """The network whose accuracy counts."""
        return self.ema.module if self.ema is not None else self.network

    def configure_optimizers(self) -> dict:
        optimizer = build_optimizer(self.network, self.recipe, self.protocol)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_factor(step, self.steps_per_epoch, self.protocol)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        if self.teacher is not None:
            self.teacher.network.to(self.device)
        if self.ema is not None:
            self.ema.follow(self.network)

    def on_train_epoch_start(self) -> None:
        # All that is random inside an epoch (dropout, stochastic depth, mixup) follows from (seed, epoch, rank). Ranks
        # are far apart in the lower 32 bits of the seed: a CPU's generator looks at no others.
        torch.manual_seed(self.seed * 100_003 + self.current_epoch + self.global_rank * 2_654_435_769)
        self._loss_sum = torch.zeros((), device=self.device)

    def on_after_batch_transfer(self, batch, dataloader_index: int):
        images, labels = batch
        return self.normalise(images), labels

    def training_step(self, batch, batch_index: int) -> torch.Tensor:
        images, labels = batch
        if self.mixing is not None:
            images, labels = self.mixing(images, labels)
        images = images.contiguous(memory_format=torch.channels_last)  # last: what mixes need not keep it
        loss = training_loss(
            self.network(images),
            labels,
            label_smoothing=self.protocol.label_smoothing,
            teacher_logits=self._teacher_logits(images),
            teacher_share=self.teacher.share if self.teacher is not None else 0.0,
        )
        self._loss_sum += loss.detach()
        return loss

    def _teacher_logits(self, images: torch.Tensor) -> torch.Tensor | None:
        if self.teacher is None:
            return None
        with torch.no_grad():
            return self.teacher.network(images)

    def on_train_batch_end(self, outputs, batch, batch_index: int) -> None:
        if self.ema is not None:
            self.ema.update(self.network, step=self.global_step)

    def on_train_epoch_end(self) -> None:
        # After validation: Lightning calls this last in an epoch.
        self.log("loss", self._loss)
        if not self.diverged:
            self.losses.append(self._loss)
            self.log("accuracy", self.accuracies[-1])

    def on_validation_epoch_start(self) -> None:
        self._right_and_seen = torch.zeros(2, dtype=torch.int64, device=self.device)
        processes = self.trainer.world_size
        self._loss = float(self._sum_of_processes(self._loss_sum)) / (self.steps_per_epoch * processes)
        finite = torch.tensor(math.isfinite(self._loss) and all_finite(self.network), device=self.device)
        self.diverged = bool(self._sum_of_processes((~finite).int()) > 0)  # running statistics differ by process
        self.trainer.should_stop = self.diverged
        share_buffers(self.evaluated_network)

    def validation_step(self, batch, batch_index: int) -> None:
        if self.diverged:
            return
        images, labels = batch
        images = images.contiguous(memory_format=torch.channels_last)
        right = (self.evaluated_network(images).argmax(dim=1) == labels).sum()
        self._right_and_seen += torch.stack([right, torch.full_like(right, len(labels))])

    def on_validation_epoch_end(self) -> None:
        if not self.diverged:
            right, seen = self._sum_of_processes(self._right_and_seen).tolist()
            self.accuracies.append(right / seen)

    def _sum_of_processes(self, tensor: torch.Tensor) -> torch.Tensor:
        return self.trainer.strategy.reduce(tensor, reduce_op="sum")

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["curve"] = {"losses": self.losses, "accuracies": self.accuracies}

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.losses = list(checkpoint["curve"]["losses"])
        self.accuracies = list(checkpoint["curve"]["accuracies"])


def mixing(recipe: Recipe, *, num_classes: int) -> nn.Module | None:
    """What mixes the images (b, 3, s, s) and labels (b,) of a batch, by which labels become probabilities (b, c); None
    if the recipe asks for nothing of the kind. Of two ways, each batch draws one, from the epoch's random numbers."""
    ways: list[nn.Module] = []
    if recipe.mixup > 0:
        ways.append(v2.MixUp(alpha=recipe.mixup, num_classes=num_classes))
    if recipe.cutmix > 0:
        ways.append(v2.CutMix(alpha=recipe.cutmix, num_classes=num_classes))
    return v2.RandomChoice(ways) if len(ways) > 1 else next(iter(ways), None)


def share_buffers(network: nn.Module) -> None:
    """Give every process the first one's running statistics, with which all then validate; the weights are equal."""
    if distributed.is_available() and distributed.is_initialized():
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)


def all_finite(network: nn.Module) -> bool:
    """Whether no parameter or buffer holds NaN or infinity."""
    state = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    return bool(torch.stack([tensor.isfinite().all() for tensor in state]).all())
