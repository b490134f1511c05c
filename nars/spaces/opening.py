"""Spaces by name."""

from nars.options import stated
from nars.settings import ArchitectureSpaceSettings, RecipeSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space


def load_space(architectures: str = "fbnetv3", recipes: str = "fbnetv3") -> JointSpace:
    """The joint space of two names in conf/search_space and conf/recipe_space, or of YAML files such as those hold.

    UserError if there is no such file, or what it says is wrong.
    """
    architecture = parse(ArchitectureSpaceSettings, stated("search_space", architectures), where="search_space")
    recipe = parse(RecipeSpaceSettings, stated("recipe_space", recipes), where="recipe_space")
    return JointSpace(ArchitectureSpace(architecture), recipe_space(recipe))
