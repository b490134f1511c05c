"""A candidate: one architecture with one recipe; and the joint space of both."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nars.errors import UserError
from nars.files import content_key
from nars.settings import Recipe
from nars.spaces.architecture import Architecture
from nars.spaces.space import Space


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An architecture and a recipe as plain containers of values, as files hold them."""

    architecture: dict
    recipe: dict

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "candidate") -> "Candidate":
        """Inverse of `to_dict`; UserError if a part is missing."""
        for part in ("architecture", "recipe"):
            if not isinstance(values.get(part), Mapping):
                raise UserError(f"{where}: no {part}; a candidate has an architecture and a recipe")
        return cls(architecture=dict(values["architecture"]), recipe=dict(values["recipe"]))

    def to_dict(self) -> dict:
        """Plain containers."""
        return {"architecture": self.architecture, "recipe": self.recipe}

    def checked(self) -> "Candidate":
        """The same values as `Architecture` and `Recipe` write them, so that `mixup: 0`, `mixup: 0.0` and no mixup are
        one candidate; parts of other spaces stay as they are. UserError names what is wrong."""
        architecture, recipe = self.architecture, self.recipe
        if "stages" in architecture:
            architecture = Architecture.from_dict(architecture).to_dict()
        if set(Recipe.required()) <= set(recipe):
            recipe = Recipe.from_dict(recipe).to_dict()
        return Candidate(architecture=architecture, recipe=recipe)

    @property
    def name(self) -> str:
        """Eight hex digits of the content: a short name for tables and logs."""
        return content_key(self.to_dict())[:8]


class JointSpace(Space):
    """Architecture dimensions first, then recipe dimensions; either part may be any `Space`."""

    def __init__(self, architecture: Space, recipe: Space):
        self.architecture = architecture
        self.recipe = recipe
        shared = {d.name for d in architecture.dimensions} & {d.name for d in recipe.dimensions}
        if shared:
            raise UserError(f"architecture and recipe space both have a dimension {min(shared)}")
        super().__init__(f"{architecture.name}+{recipe.name}", architecture.dimensions + recipe.dimensions)

    @property
    def specification(self) -> dict[str, list]:
        """Both parts' specifications."""
        return self.architecture.specification | self.recipe.specification

    def split(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Architecture points (n, d_a) and recipe points (n, d_r) of joint points (n, d)."""
        return points[:, : len(self.architecture)], points[:, len(self.architecture) :]

    def candidate(self, point: np.ndarray) -> Candidate:
        """The candidate of one point (d,)."""
        architecture, recipe = self.split(np.asarray(point)[None])
        return Candidate(architecture=self.architecture.decode(architecture[0]), recipe=self.recipe.decode(recipe[0]))

    def locate_candidate(self, candidate: Candidate) -> np.ndarray:
        """The point of a candidate; UserError names what the space does not offer."""
        return np.concatenate(
            [self.architecture.locate(candidate.architecture), self.recipe.locate(candidate.recipe)]
        ).astype(np.int16)
