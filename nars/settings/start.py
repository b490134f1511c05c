"""Settings of the group `start`: what a training begins with."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from nars.settings.base import TOGETHER, PathText, Settings


class StartSettings(Settings):
    """Trained `weights` that a training begins with, and how much of them it changes (`start=none`: nothing, a
    training begins with the weights that follow from its seed).

    `weights` is a file (a card.yaml beside it tells classes, mean and std) or a pretrained network of timm's,
    `timm:<model>.<tag>`. `inherit`: `exact`, the file is of the same network but for the classifier; `matching`, what
    has the same name and shape is taken; `sliced`, stages, blocks, channels and kernels take what the parent has in
    the same place. A classifier is taken where the parent knows all classes, and new otherwise.

    Of what was taken, `freeze` keeps the `trunk` (all but the classifier) or the stem and the first so many stages, as
    timm counts them, as they are for `freeze_epochs` epochs, null = for good; `norm` frozen keeps all batch norms.
    Learning rates: `layer_decay` to the power of how many layers lie behind, the classifier's times
    `head_lr_multiplier`.
    """

    name: Literal["none", "finetune", "linear_probe", "inherit"] = "none"
    weights: PathText | None = None
    inherit: Literal["exact", "matching", "sliced"] = "exact"
    freeze: Literal["none", "trunk"] | PositiveInt = "none"
    freeze_epochs: PositiveInt | None = None
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    head_lr_multiplier: PositiveFloat = 1.0
    norm: Literal["train", "frozen"] = "train"

    @model_validator(mode="after")
    def _begins_with_weights(self) -> "StartSettings":
        wrong = None
        if self.name == "none" and self != StartSettings.model_construct():
            wrong = "nothing is begun with; give start=finetune, linear_probe or inherit beside its keys"
        elif self.name != "none" and not self.weights:
            wrong = f"{self.name} begins with trained weights: start.weights=..."
        elif self.freeze_epochs is not None and self.freeze == "none":
            wrong = "freeze_epochs, but nothing is frozen: give start.freeze=trunk, or a number of stages"
        if wrong:
            raise PydanticCustomError(TOGETHER, "{wrong}", {"wrong": wrong})
        return self
