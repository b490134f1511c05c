"""From settings to a method."""

from collections.abc import MutableMapping

from nars.methods.contract import Method, Watch
from nars.methods.fbnetv1 import Fbnetv1Method
from nars.methods.nars import NarsMethod
from nars.methods.recorded import RecordedMethod
from nars.problem import Problem
from nars.settings import SearchSettings

METHODS = {"nars": NarsMethod, "fbnetv1": Fbnetv1Method}


def open_method(
    settings: SearchSettings, problem: Problem, watch: Watch, *, memory: MutableMapping | None = None
) -> Method:
    """The method of `settings.method`, or the one that answers from `settings.records`; `memory` is what the jobs of
    one sweep share, None outside of sweeps."""
    method = METHODS[settings.method.name] if settings.records is None else RecordedMethod
    return method(settings, problem, watch, memory=memory)
