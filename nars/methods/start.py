"""What all candidates of a search begin with: trained weights, or nothing."""

from collections.abc import Mapping

import numpy as np

from nars.errors import UserError
from nars.problem import Problem
from nars.settings import SearchSettings
from nars.spaces.candidate import Candidate
from nars.training.job import StartJob


def start_of(settings: SearchSettings, problem: Problem) -> StartJob | None:
    """What every candidate begins with, None for nothing; UserError if it is not there."""
    if settings.start.weights is None or settings.records is not None:
        return None
    from nars.training.weights.start import PRETRAINED, open_start  # timm takes a second

    return open_start(settings.start, folder=(problem.scratch or problem.folder.parent) / PRETRAINED)


def with_start(training: Mapping, start: StartJob | None) -> dict:
    """A training's identity with that of what it begins with."""
    if start is None:
        return dict(training)
    from nars.training.weights.start import start_identity

    return {**training, "start": start_identity(start)}


def check_start(settings: SearchSettings, problem: Problem) -> None:
    """UserError if candidates cannot begin so: the first and the last architecture of the space are tried."""
    start = start_of(settings, problem)
    if start is None:
        return
    space = problem.space.architecture
    if start.settings.inherit == "exact" and space.cardinality > 1:
        raise UserError(
            f"start.inherit=exact: the weights are of one network, and search_space={space.name} holds many; "
            "start=inherit takes slices of them"
        )
    for point in (np.zeros(len(space), dtype=np.int16), (space.sizes - 1).astype(np.int16)):
        _begin(start, space.decode(point), problem)


def begins_so(start: StartJob | None, candidate: Candidate, problem: Problem) -> bool:
    """Whether a network of no space can begin with the same."""
    try:
        if start is not None:
            _begin(start, candidate.architecture, problem)
    except UserError:
        return False
    return True


def _begin(start: StartJob, architecture: dict, problem: Problem) -> None:
    from nars.networks.architectures import architecture_of, network_of
    from nars.training.weights.start import begun

    known = architecture_of(architecture)
    begun(start, network_of(known, num_classes=problem.data.num_classes), known, problem.data.class_names)
