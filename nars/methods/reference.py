"""A known network beside the answer: trained as the pairs that confirm it, to tell how good these are (ours)."""

from dataclasses import replace

from nars.candidates import load_reference
from nars.costs.pricing import Pricing
from nars.methods.confirm import Reference
from nars.networks.architectures import architecture_of, check_image_size, costs_of, image_size, network_of
from nars.problem import Problem
from nars.settings import Recipe, SearchSettings


def open_reference(settings: SearchSettings, problem: Problem) -> Reference | None:
    """The reference of a search, None without one; UserError if there is no such network or it cannot be trained so.

    It sees images as those of the space: its resolution is the nearest one that the space has. Its costs count the
    classes that the search counts.
    """
    if settings.reference is None:
        return None
    known = load_reference(settings.reference)
    choices = problem.space.architecture.specification["resolution"]
    resolution = min(choices, key=lambda side: abs(side - known.architecture["resolution"]))
    candidate = replace(known, architecture={**known.architecture, "resolution": resolution})
    architecture = architecture_of(candidate.architecture)
    check_image_size(architecture, image_size(architecture, settings.protocol))
    recipe = Recipe.from_dict(candidate.recipe)
    network_of(architecture, num_classes=problem.num_classes, recipe=recipe)  # what cannot be built says so now
    costs = costs_of(architecture, Pricing(num_classes=problem.num_classes))
    costs = {name: costs[name] for name in problem.costs if name in costs}
    return Reference(name=settings.reference, candidate=candidate, costs=costs)
