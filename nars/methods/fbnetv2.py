"""FBNetV2's method: Gumbel-softmax over widths, expansions, resolutions and blocks of one masked network
(DMaskingNAS)."""

import numpy as np

from nars.methods.differentiable import DifferentiableMethod
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.choices import without_idle_choices
from nars.supernet.contract import MixtureCosts
from nars.supernet.effective import EffectiveCosts
from nars.supernet.loop import Course
from nars.supernet.masked import MaskedSupernet, check_space


class Fbnetv2Method(DifferentiableMethod):
    """See `DifferentiableMethod`. Resolutions whose images `protocol.image_scale` makes equally large are
    told apart by their costs."""

    def check_space(self, space: ArchitectureSpace) -> None:
        """See `DifferentiableMethod`."""
        check_space(space)

    def open_supernet(self, space: ArchitectureSpace, *, num_classes: int) -> MaskedSupernet:
        """See `DifferentiableMethod`."""
        return MaskedSupernet(space, num_classes=num_classes, sides=self._sides(space))

    def open_costs(self, space: ArchitectureSpace) -> MixtureCosts:
        """See `DifferentiableMethod`."""
        if self.own.costs == "effective":
            return EffectiveCosts(space, self.problem.costs, self.problem.pricing)
        return super().open_costs(space)

    def _sides(self, space: ArchitectureSpace) -> list[int]:
        """Of the images of each resolution in a training of its own."""
        points = np.zeros((1, len(space)), dtype=np.int16)
        for column in space.deciding(["resolution"]):
            points = np.repeat(points, space.sizes[column], axis=0)
            points[:, column] = np.arange(len(points))
        scale = self.settings.protocol.image_scale
        return [space.architecture(point).image_side(scale) for point in points]

    def _points(self, course: Course) -> np.ndarray:
        points = super()._points(course)
        space = self.problem.space.architecture
        architectures, recipes = self.problem.space.split(points)
        architectures = without_idle_choices(space, check_space(space), architectures)
        points = np.concatenate([architectures, recipes], axis=1)
        return points[np.sort(np.unique(points, axis=0, return_index=True)[1])]
