"""Training recipes, and the space of those that can be chosen."""

from collections.abc import Mapping

import numpy as np

from nars.errors import UserError
from nars.settings import Recipe, RecipeSpaceSettings
from nars.spaces.dimension import Dimension, choices_of
from nars.spaces.space import Space

__all__ = ["Recipe", "RecipeSpace", "recipe_space"]


def recipe_space(settings: RecipeSpaceSettings) -> "RecipeSpace":
    """The space of a `recipe_space` YAML; every key that it names is a dimension, also one with a single choice.

    Raises UserError if a choice is not a valid value of its recipe key.
    """
    given = {key: getattr(settings, key) for key in Recipe.model_fields}
    choices = {key: choices_of(values) for key, values in given.items() if values is not None}
    base = {key: values[0] for key, values in choices.items()}
    dimensions = []
    for key, values in choices.items():
        recipes = [Recipe.from_dict(base | {key: v}, where=f"recipe_space {settings.name}") for v in values]
        dimensions.append(Dimension(name=key, choices=tuple(getattr(recipe, key) for recipe in recipes)))
    return RecipeSpace(settings.name, dimensions)


def fixed_recipe(recipe: Recipe) -> "RecipeSpace":
    """The space of one recipe, each of whose keys is a dimension with one choice; keys that came later and are neutral
    are none."""
    return RecipeSpace("fixed", [Dimension(name=key, choices=(value,)) for key, value in recipe.to_dict().items()])


class RecipeSpace(Space):
    """Recipes whose keys are dimensions; keys that are none are neutral in all of them."""

    def decode(self, point: np.ndarray) -> dict:
        """The whole recipe, as `Recipe.to_dict` writes it."""
        return Recipe.from_dict(self.values(point)).to_dict()

    def locate(self, decoded: Mapping) -> np.ndarray:
        """The point of a recipe; UserError names the first key in which the space cannot express it."""
        recipe = Recipe.from_dict(decoded)
        searched = {dimension.name for dimension in self.dimensions}
        for key, neutral in Recipe.neutral().items():
            if key not in searched and getattr(recipe, key) != neutral:
                raise UserError(f"space {self.name} cannot express {key} = {getattr(recipe, key)}: it has no such key")
        return self.point({key: getattr(recipe, key) for key in searched})
