"""Training recipes: the seven keys that FBNetV3 searches beside the architecture, and their space."""

from nars.settings import Recipe, RecipeSpaceSettings
from nars.spaces.dimension import Dimension, choices_of
from nars.spaces.space import Space

__all__ = ["Recipe", "recipe_space"]


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
