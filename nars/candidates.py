"""Candidates by name: a file of a search or a training, a published one, or any network of timm; and search spaces,
which may be one of them."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from nars.errors import UserError
from nars.files import CONF, NumberLoader
from nars.options import stated
from nars.settings import FixedSpaceSettings, RecipeSpaceSettings, SearchSpaceSettings, parse, search_space_of
from nars.spaces.architecture import Architecture, ArchitectureSpace
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.fixed import Architectures, FixedArchitecture
from nars.spaces.recipe import Recipe, recipe_space

FOLDER = CONF / "candidates"


def load_candidate(name: str, recipe: Mapping | None = None, *, key: str = "candidate") -> Candidate:
    """The candidate of a YAML file, of a name in conf/candidates, or of `timm:<model>`; keys of `recipe` replace its
    own, and those in neither are neutral. UserError if there is none, it is invalid, or a key without a neutral value
    is missing; it says that `key` was given so."""
    architecture, own = _load(name, key)
    merged = own | dict(recipe or {})
    missing = [key for key in Recipe.required() if key not in merged]
    if missing and name.startswith("timm:"):
        needed = " and ".join(f"recipe.{key}=..." for key in Recipe.required())
        raise UserError(
            f"{key}={name} has no recipe of its own: give recipe=middle, or at least {needed} "
            f"(missing: {', '.join(missing)})"
        )
    return Candidate(architecture=architecture, recipe=Recipe.from_dict(merged, where=f"{name}: recipe").to_dict())


def load_reference(name: str) -> Candidate:
    """The candidate that is called so, a network of timm with the middle of the recipe space; UserError as above."""
    recipe = _recipe_named("middle", where=name) if name.startswith("timm:") else None
    return load_candidate(name, recipe, key="reference")


def predicted_accuracy(name: str) -> float | None:
    """What the search that wrote the YAML file predicted of its candidate; None of any other candidate."""
    path = Path(name)
    return read_yaml(path).get("predicted_accuracy") if path.suffix in (".yaml", ".yml") else None


def load_architecture(name: str) -> dict:
    """The architecture alone of the candidate of that name, in plain containers."""
    return _load(name, "candidate")[0]


def load_space(architectures: str = "fbnetv3", recipes: str = "fbnetv3") -> JointSpace:
    """The joint space of two names in conf/search_space and conf/recipe_space, or of YAML files such as those hold, of
    one network (`name: fixed`, `candidate: ...`) too. UserError if there is no such file, or what it says is wrong."""
    architecture = open_architectures(search_space_of(stated("search_space", architectures)))
    recipe = parse(RecipeSpaceSettings, stated("recipe_space", recipes), where="recipe_space")
    return JointSpace(architecture, recipe_space(recipe))


def with_architecture(settings: SearchSpaceSettings) -> SearchSpaceSettings:
    """Settings of a search space that say which network its `candidate` is, if it has one and they do not yet;
    UserError if there is no such network."""
    if not isinstance(settings, FixedSpaceSettings) or settings.architecture is not None:
        return settings
    architecture, _ = _load(settings.candidate, "search_space.candidate")
    if settings.resolution is not None:
        architecture = architecture | {"resolution": settings.resolution}
    return settings.model_copy(update={"architecture": architecture})


def open_architectures(settings: SearchSpaceSettings) -> Architectures:
    """The space that the settings describe: of many architectures, or of the one that `with_architecture` has found."""
    if not isinstance(settings, FixedSpaceSettings):
        return ArchitectureSpace(settings)
    from nars.networks.architectures import architecture_of, costs_of  # torch is imported where it is needed

    network = architecture_of(with_architecture(settings).architecture, where="search_space.architecture")
    return FixedArchitecture(settings.name, settings.candidate, network, lambda pricing: costs_of(network, pricing))


def _load(name: str, key: str) -> tuple[dict, dict]:
    """Architecture, checked, and recipe."""
    if name.startswith("timm:"):
        from nars.networks.timm_models import timm_architecture  # timm and torch take seconds

        return timm_architecture(name.removeprefix("timm:"), where=f"{key}={name}").to_dict(), {}
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else FOLDER / f"{name}.yaml"
    if not path.is_file():
        published = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise UserError(
            f"{key}={name}: no such file; give a best-N.yaml of a search, timm:<model name>, or one of {published}"
        )
    values = read_yaml(path)
    if isinstance(values.get("recipe"), str):
        values["recipe"] = _recipe_named(values["recipe"], where=str(path))
    candidate = Candidate.from_dict(values, where=str(path))
    return _checked(candidate.architecture, where=f"{path}: architecture"), candidate.recipe


def _checked(architecture: Mapping, *, where: str) -> dict:
    if "timm" not in architecture:
        return Architecture.from_dict(architecture, where=where).to_dict()
    from nars.networks.timm_models import TimmArchitecture

    return TimmArchitecture.from_dict(architecture, where=where).to_dict()


def _recipe_named(name: str, *, where: str) -> dict:
    """What a file of conf/recipe says."""
    paths = {file.stem: file for file in CONF.glob("recipe/*.yaml") if file.stem != "candidate"}
    if name not in paths:
        names = ", ".join(sorted(paths))
        raise UserError(f"{where}: recipe: {name} is not in conf/recipe; give the recipe's keys, or one of {names}")
    return read_yaml(paths[name])


def read_yaml(path: Path, loader: type = NumberLoader) -> dict:
    """The mapping in a YAML file, with numbers as in configuration files; UserError if it holds none."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: no candidate; it must have an architecture and a recipe")
    return values
