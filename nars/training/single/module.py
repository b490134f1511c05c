"""The training of a classifier: its steps call functions that are tested without a Trainer."""

from dataclasses import dataclass

import torch
from torch import nn
from torchvision.transforms import v2

from nars.settings import ProtocolSettings
from nars.spaces.recipe import Recipe
from nars.training.single.base import BaseModule
from nars.training.single.losses import training_loss
from nars.training.single.optimization import build_optimizer
from nars.training.weights.tuning import Tuning


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained network in evaluation mode, whose output makes `share` of the loss. Not a module: what is trained,
    counted and kept is the student alone."""

    network: nn.Module
    share: float


class CandidateModule(BaseModule):
    """Trains `network` by `recipe` under `protocol` and records the accuracy, a top-1 fraction, after every epoch, that
    of the EMA's weights where the recipe asks for EMA.

    Batches arrive as loaders give them; `normalise` makes the network's inputs of their images.
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
        tuning: Tuning | None = None,
    ):
        steps = {"steps_per_epoch": steps_per_epoch, "seed": seed}
        super().__init__(network, protocol=protocol, average=recipe.ema, tuning=tuning, **steps)
        self.normalise = normalise
        self.recipe = recipe
        self.teacher = teacher
        self.mixing = mixing(recipe, num_classes=num_classes)

    def build_optimizer(self) -> torch.optim.Optimizer:
        return build_optimizer(self.network, self.recipe, self.protocol, self.tuning.lr_factors)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self.teacher is not None:
            self.teacher.network.to(self.device)

    def on_after_batch_transfer(self, batch, dataloader_index: int):
        images, labels = batch
        return self.normalise(images), labels

    def loss_of(self, batch) -> torch.Tensor:
        images, labels = batch
        if self.mixing is not None:
            images, labels = self.mixing(images, labels)
        images = images.contiguous(memory_format=torch.channels_last)  # last: what mixes need not keep it
        return training_loss(
            self.network(images),
            labels,
            label_smoothing=self.protocol.label_smoothing,
            teacher_logits=self._teacher_logits(images),
            teacher_share=self.teacher.share if self.teacher is not None else 0.0,
        )

    def _teacher_logits(self, images: torch.Tensor) -> torch.Tensor | None:
        if self.teacher is None:
            return None
        with torch.no_grad():
            return self.teacher.network(images)

    def begin_measuring(self) -> None:
        self._right_and_seen = torch.zeros(2, dtype=torch.int64, device=self.device)

    def measure(self, batch) -> None:
        images, labels = batch
        images = images.contiguous(memory_format=torch.channels_last)
        right = (self.evaluated_network(images).argmax(dim=1) == labels).sum()
        self._right_and_seen += torch.stack([right, torch.full_like(right, len(labels))])

    def measured(self) -> dict[str, float]:
        right, seen = self.sum_of_processes(self._right_and_seen).tolist()
        return {self.metric: right / seen}


def mixing(recipe: Recipe, *, num_classes: int) -> nn.Module | None:
    """What mixes the images (b, 3, s, s) and labels (b,) of a batch, by which labels become probabilities (b, c); None
    if the recipe asks for nothing of the kind. Of two ways, each batch draws one, from the epoch's random numbers."""
    ways: list[nn.Module] = []
    if recipe.mixup > 0:
        ways.append(v2.MixUp(alpha=recipe.mixup, num_classes=num_classes))
    if recipe.cutmix > 0:
        ways.append(v2.CutMix(alpha=recipe.cutmix, num_classes=num_classes))
    return v2.RandomChoice(ways) if len(ways) > 1 else next(iter(ways), None)
