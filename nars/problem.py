"""The question of a search: which architecture-recipe pair is best within the limits?"""

import json
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from nars.candidates import open_architectures
from nars.costs.constraint import Constraint, check_reachable, extremes, priced
from nars.costs.joint import price
from nars.costs.pricing import Pricing
from nars.costs.table import LATENCY, by_name
from nars.data import ImageData, open_data
from nars.errors import UserError
from nars.latency.opening import MeasuredLatency, open_latency, shapes_of_space
from nars.search.evolution import random_feasible
from nars.settings import DataSettings, LatencySettings, SearchSettings, search_space_of
from nars.shell import override, word
from nars.spaces.candidate import Candidate, JointSpace
from nars.spaces.fixed import Architectures, FixedArchitecture
from nars.spaces.recipe import RecipeSpace, fixed_recipe, recipe_space
from nars.study.answers import SPLIT

PREDICTORS = "predictors"
ENCODERS = ".encoders"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Which pair of `space` is best within `constraint`, trained on the images of `data_settings`?

    Costs count a classifier of `classes_counted` classes, None = those of the images; `cost_axis` is the one over which
    fronts are drawn, `latency` whose latency is one, None = nobody's. `seed` decides all that is random. `folder` is
    the study's, where what a method learns on the way is kept and shared with other questions. Images are opened when
    they are needed.

    Of a dry run `scratch` is a folder of its own, in which all is written, so that nothing is left behind.
    """

    space: JointSpace
    constraint: Constraint
    classes_counted: int | None
    cost_axis: str
    data_settings: DataSettings
    seed: int
    folder: Path
    scratch: Path | None = None
    latency: LatencySettings | None = None

    @classmethod
    def of(cls, settings: SearchSettings, *, scratch: Path | None = None) -> "Problem":
        """The question that `search.py` is asked."""
        limits = (settings.constraint, settings.strategy.window)
        names = priced(settings.strategy.cost_axis, *limits, latency=settings.latency.table is not None)
        if LATENCY in names and settings.latency.table is None:
            raise UserError(
                f"{LATENCY} of which device? give the folder of its table: latency.table=...; "
                f"python measure_latency.py search_space={settings.search_space.name} makes one"
            )
        return cls(
            space=JointSpace(_architectures(settings.search_space.model_dump_json()), _recipes(settings)),
            constraint=Constraint.of(settings.constraint, names),
            classes_counted=settings.constraint.num_classes,
            cost_axis=settings.strategy.cost_axis,
            latency=None if settings.latency.table is None else settings.latency,
            data_settings=settings.data if scratch is None else _without_new_split(settings.data),
            seed=settings.seed,
            folder=Path(settings.runs_dir) / settings.study,
            scratch=scratch,
        )

    @property
    def split_file(self) -> Path:
        """Which images validate."""
        kept = self.folder / SPLIT
        return kept if self.scratch is None or kept.exists() else self.scratch / SPLIT

    @property
    def predictors(self) -> Path:
        """The folder of pretrained and fitted predictors."""
        return (self.scratch or self.folder) / PREDICTORS

    @property
    def encoders(self) -> Path:
        """The folder of pretrained predictors that all studies beside this one share."""
        return (self.scratch or self.folder.parent) / ENCODERS

    @cached_property
    def data(self) -> ImageData:
        """The images."""
        return open_data(self.data_settings, split_file=self.split_file)

    @property
    def num_classes(self) -> int:
        """How many classes the classifier has whose costs are counted."""
        return self.classes_counted or self.data.num_classes

    @property
    def pricing(self) -> Pricing:
        """How architectures are priced."""
        measured = self.measured_latency
        return Pricing(num_classes=self.num_classes, latency=measured and measured.table)

    @cached_property
    def measured_latency(self) -> MeasuredLatency | None:
        """What each block of the space takes on the device of `latency`; None if it is not priced."""
        if self.latency is None:
            return None
        space = self.space.architecture
        fixed = isinstance(space, FixedArchitecture)
        what = override("candidate", space.candidate) if fixed else override("search_space", space.name)
        of = (what, word("num_classes", str(self.num_classes)))
        return open_latency(self.latency, shapes_of_space(space, self.num_classes), of=of)

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the costs that are priced."""
        return self.constraint.names

    @property
    def noise_level(self) -> float:
        """The accuracy that a network which has learnt nothing hardly exceeds: chance, as if all classes were equally
        frequent, and three standard errors."""
        chance = 1 / self.data.num_classes
        return chance + 3 * math.sqrt(chance * (1 - chance) / self.data.val_size)

    @property
    def axis(self) -> int:
        """Which of `costs` is `cost_axis`."""
        return self.costs.index(self.cost_axis)

    def price(self, points: np.ndarray) -> np.ndarray:
        """`costs` float64 (n, k) of joint points (n, d)."""
        return price(self.space, points, self.costs, self.pricing)

    def price_candidate(self, candidate: Candidate) -> dict[str, float]:
        """`costs` of one candidate of the space, by name."""
        return by_name(self.costs, self.price(self.space.locate_candidate(candidate)[None])[0])

    def feasible(self, points: np.ndarray) -> np.ndarray:
        """Bool (n,): whether joint points (n, d) keep the constraint."""
        return self.constraint.feasible(self.price(points))

    @property
    def extremes(self) -> np.ndarray:
        """Joint points (k, d): architectures at the ends of what is limited, with the middle of the recipe space."""
        ends = extremes(self.constraint, self.space.architecture, self.pricing)
        recipe = np.tile(self.space.recipe.sizes // 2, (len(ends), 1))
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
        check_reachable(limits, self.space.architecture, self.pricing, what=what)


def _recipes(settings: SearchSettings) -> RecipeSpace:
    """The recipes to choose among: one, where the method has a recipe of its own for all networks."""
    recipe = getattr(settings.method, "recipe", None)
    if recipe is None or settings.records is not None:
        return recipe_space(settings.recipe_space)
    return fixed_recipe(recipe)


@lru_cache(maxsize=2)
def _architectures(settings: str) -> Architectures:
    """The space of settings as JSON. Jobs of a sweep share it, and the tables of costs that belong to it."""
    return open_architectures(search_space_of(json.loads(settings)))


def _without_new_split(data: DataSettings) -> DataSettings:
    """The settings without a split file that would be written."""
    split = getattr(data, "split_file", None)
    return data if split is None or Path(split).exists() else data.model_copy(update={"split_file": None})
