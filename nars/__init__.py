"""NARS: joint search of neural architectures and training recipes (FBNetV3, arXiv 2006.02049).

What notebooks use lies here under one name each, and is imported when it is asked for: importing `nars` is fast, and
does without torch.
"""

from importlib import import_module

_ROOM_OF = {
    "EvolutionSettings": "settings",
    "Predictor": "predictor.predictor",
    "Pricing": "costs.pricing",
    "UserError": "errors",
    "architecture_of": "networks.architectures",
    "costs_of": "networks.architectures",
    "evolve": "search.evolution",
    "load_candidate": "candidates",
    "load_detector": "training.weights.detector_files",
    "load_space": "candidates",
    "load_trained": "training.weights.card",
    "network_of": "networks.architectures",
    "open_study": "api",
    "price": "costs.joint",
}
__all__ = sorted(_ROOM_OF)


def __getattr__(name: str):
    """What notebooks use, from the room that it belongs to."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'nars' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(import_module(f"nars.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})
