"""One architecture as a space: nothing of it is left to choose, so that a search is for its recipe alone (the paper's
recipe-only search)."""

from collections.abc import Callable, Mapping

import numpy as np

from nars.errors import UserError
from nars.settings import Settings
from nars.spaces.architecture import Architecture, ArchitectureSpace
from nars.spaces.space import Space


class FixedArchitecture(Space):
    """The space without dimensions, whose only point is int16 (0,): `network`, which users call `candidate`.

    It is an `Architecture` or another settings class with a `resolution` and `to_dict`. `costs_of` takes a
    `nars.costs.pricing.Pricing` and returns its costs by name."""

    def __init__(self, name: str, candidate: str, network: Settings, costs_of: Callable[..., Mapping[str, float]]):
        super().__init__(name, ())
        self.candidate = candidate
        self.network = network
        self.costs_of = costs_of

    @property
    def specification(self) -> dict[str, list]:
        """All that is fixed."""
        return {"resolution": [self.network.resolution], "architecture": [self.network.to_dict()]}

    def architecture(self, point: np.ndarray) -> Settings:
        """The architecture of the only point."""
        return self.network

    def decode(self, point: np.ndarray) -> dict:
        """The architecture, whole."""
        return self.network.to_dict()

    def locate(self, decoded: Mapping) -> np.ndarray:
        """The only point; UserError for another architecture than that of the space."""
        given = Architecture.from_dict(decoded).to_dict() if "stages" in decoded else dict(decoded)
        own = self.network.to_dict()
        if given != own:
            other = next(key for key in [*own, *given] if own.get(key) != given.get(key))
            raise UserError(f"space {self.name} holds {self.candidate} alone, not this network: its {other} differs")
        return np.empty(0, dtype=np.int16)


Architectures = ArchitectureSpace | FixedArchitecture  # what a search may have in place of architectures
