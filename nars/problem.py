"""The question of a search: which architecture-recipe pair is best within the limits?"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nars.costs.constraint import COSTS, Constraint, check_reachable
from nars.costs.statistics import costs
from nars.data import ImageData, open_data
from nars.errors import UserError
from nars.search.evolution import random_feasible
from nars.settings import DataSettings, SearchSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.recipe import recipe_space
from nars.study.answers import SPLIT


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Which pair of `space` is best within `constraint`, trained on the images of `data_settings`?

    Costs count a classifier of `num_classes` classes. `seed` decides all that is random. `folder` is the study's, where
    what a method learns on the way is kept and shared with other questions. Images are opened when they are needed.
    """

    space: JointSpace
    constraint: Constraint
    num_classes: int
    data_settings: DataSettings
    seed: int
    folder: Path

    @classmethod
    def of(cls, settings: SearchSettings) -> "Problem":
        """The question that `search.py` is asked."""
        return cls(
            space=JointSpace(ArchitectureSpace(settings.search_space), recipe_space(settings.recipe_space)),
            constraint=Constraint.of(settings.constraint),
            num_classes=settings.constraint.num_classes,
            data_settings=settings.data,
            seed=settings.seed,
            folder=Path(settings.runs_dir) / settings.study,
        )

    @property
    def split_file(self) -> Path:
        """Which images validate."""
        return self.folder / SPLIT

    @cached_property
    def data(self) -> ImageData:
        """The images."""
        return open_data(self.data_settings, split_file=self.split_file)

    def price(self, points: np.ndarray) -> np.ndarray:
        """`COSTS` float64 (n, 2) of joint points (n, d)."""
        architectures, _ = self.space.split(points)
        return costs(self.space.architecture, architectures, COSTS, num_classes=self.num_classes)

    def price_candidate(self, candidate: Candidate) -> tuple[float, float]:
        """`COSTS` of one candidate of the space."""
        macs, params = self.price(self.space.locate_candidate(candidate)[None])[0]
        return float(macs), float(params)

    def feasible(self, points: np.ndarray) -> np.ndarray:
        """Bool (n,): whether joint points (n, d) keep the constraint."""
        return self.constraint.feasible(self.price(points))

    @property
    def extremes(self) -> np.ndarray:
        """The smallest and the largest architecture, as joint points (2, d) with the middle of the recipe space."""
        recipe = np.tile(self.space.recipe.sizes // 2, (2, 1))
        ends = np.stack([np.zeros(len(self.space.architecture), dtype=np.int16), self.space.architecture.sizes - 1])
        return np.concatenate([ends, recipe], axis=1).astype(np.int16)

    def check(self, *, tries: int) -> None:
        """UserError if the constraint cannot be met, or if none of `tries` random architectures meets it."""
        self.check_reachable(self.constraint, what="constraint")
        if self.feasible(self.extremes).any():
            return
        found, tried = random_feasible(1, self.feasible, self.space, np.random.default_rng(0), tries=tries)
        if not len(found):
            raise UserError(
                f"constraint {self.constraint.label}: none of {tried:,} random architectures keeps it; "
                "loosen it, or raise evolution.tries"
            )

    def check_reachable(self, limits: Constraint, *, what: str) -> None:
        """UserError if no architecture keeps one of the limits; `what` names them."""
        check_reachable(limits, self.space.architecture, num_classes=self.num_classes, what=what)
