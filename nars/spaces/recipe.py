"""Training recipes: the seven keys that FBNetV3 searches beside the architecture, and their space."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from nars.settings import Fraction, RecipeSpaceSettings, Settings, parse
from nars.spaces.dimension import Dimension, choices_of
from nars.spaces.space import Space


class Recipe(Settings):
    """How one candidate is trained.

    `lr` is the initial learning rate for RMSProp at the protocol's `lr_batch_size`; SGD multiplies it by the
    protocol's `sgd_lr_multiplier`. `dropout` and `stochastic_depth` are drop probabilities, `mixup` is the alpha of
    the Beta distribution that mixing weights are drawn from (0 = off).
    """

    lr: PositiveFloat
    optimizer: Literal["rmsprop", "sgd"]
    ema: bool
    dropout: Fraction
    stochastic_depth: Fraction
    mixup: Annotated[float, Field(ge=0)]
    weight_decay: Annotated[float, Field(ge=0)]

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "recipe") -> "Recipe":
        """The recipe that `to_dict` describes; UserError names what is wrong."""
        return parse(cls, dict(values), where=where)

    def to_dict(self) -> dict:
        """Plain containers, as written to files."""
        return self.model_dump(mode="json")


def recipe_space(settings: RecipeSpaceSettings) -> Space:
    """The space of a `recipe_space` YAML; every key is a dimension, also one with a single choice.

    Raises UserError if a choice is not a valid value of its recipe key.
    """
    specs = settings.model_dump(exclude={"name"})
    choices = {key: choices_of(getattr(settings, key)) for key in specs}
    space = Space(settings.name, [Dimension(name=key, choices=values) for key, values in choices.items()])
    base = {key: values[0] for key, values in choices.items()}
    for key, values in choices.items():
        for value in values:
            Recipe.from_dict(base | {key: value}, where=f"recipe_space {settings.name}")
    return space
