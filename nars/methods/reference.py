"""A known network beside the answer: trained as the pairs that confirm it, to tell how good these are (ours)."""

from dataclasses import replace

from nars.candidates import load_reference
from nars.costs.pricing import Pricing
from nars.methods.confirm import Reference
from nars.networks.architectures import architecture_of, check_trainable, costs_of
from nars.problem import Problem
from nars.settings import Recipe, SearchSettings
from nars.spaces.fixed import FixedArchitecture


def open_reference(settings: SearchSettings, problem: Problem) -> Reference | None:
    """The reference of a search, None without one; UserError if there is no such network or it cannot be trained so.

    It sees images as those of the space: its resolution is the nearest one that the space has. Its costs count the
    classes that the search counts. A network of timm, beside one whose recipe alone is searched, has what its recipes
    share.
    """
    if settings.reference is None:
        return None
    known = load_reference(settings.reference)
    choices = problem.space.architecture.specification["resolution"]
    resolution = min(choices, key=lambda side: abs(side - known.architecture["resolution"]))
    own = known.recipe | (_decided(problem) if settings.reference.startswith("timm:") else {})
    candidate = replace(known, architecture={**known.architecture, "resolution": resolution}, recipe=own)
    architecture, recipe = architecture_of(candidate.architecture), Recipe.from_dict(own)
    check_trainable(architecture, recipe, settings.protocol, num_classes=problem.num_classes)
    costs = costs_of(architecture, Pricing(num_classes=problem.num_classes))
    costs = {name: costs[name] for name in problem.costs if name in costs}
    return Reference(name=settings.reference, candidate=candidate, costs=costs)


def _decided(problem: Problem) -> dict:
    """What all recipes of a fixed network share, as it may not be trained otherwise."""
    if not isinstance(problem.space.architecture, FixedArchitecture):
        return {}
    return {d.name: d.choices[0] for d in problem.space.recipe.dimensions if len(d.choices) == 1}
