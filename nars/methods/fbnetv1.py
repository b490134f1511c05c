"""FBNetV1's method: Gumbel-softmax over the blocks that each layer may be (DNAS)."""

from nars.methods.differentiable import DifferentiableMethod
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.mixed import MixedSupernet, check_space


class Fbnetv1Method(DifferentiableMethod):
    """See `DifferentiableMethod`."""

    def check_space(self, space: ArchitectureSpace) -> None:
        """See `DifferentiableMethod`."""
        check_space(space)

    def open_supernet(self, space: ArchitectureSpace, *, num_classes: int) -> MixedSupernet:
        """See `DifferentiableMethod`."""
        return MixedSupernet(space, num_classes=num_classes)
