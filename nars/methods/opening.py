"""From settings to a method."""

from collections.abc import MutableMapping
from importlib import import_module

from nars.methods.contract import Method, Watch
from nars.methods.recorded import RecordedMethod
from nars.problem import Problem
from nars.settings import SearchSettings

METHODS = {  # module and class; imported when they are asked for, since supernets import what trains
    "nars": ("nars.methods.nars", "NarsMethod"),
    "fbnetv1": ("nars.methods.fbnetv1", "Fbnetv1Method"),
    "fbnetv2": ("nars.methods.fbnetv2", "Fbnetv2Method"),
}


def open_method(
    settings: SearchSettings, problem: Problem, watch: Watch, *, memory: MutableMapping | None = None
) -> Method:
    """The method of `settings.method`, or the one that answers from `settings.records`; `memory` is what the jobs of
    one sweep share, None outside of sweeps."""
    if settings.records is not None:
        return RecordedMethod(settings, problem, watch, memory=memory)
    module, name = METHODS[settings.method.name]
    return getattr(import_module(module), name)(settings, problem, watch, memory=memory)
