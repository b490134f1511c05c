"""Input resolutions in one network: nearest subsampling of a map, and spreading it back (paper).

The maps of a supernet have the side that the largest images give them. For a smaller resolution a layer is computed on
the pixels that nearest subsampling takes, and its output is spread to the pixels that it takes there, with zeros
between. So a decided resolution is the network on the subsampled image, and those of several resolutions meet at
aligned places.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The sides of the maps at one place of a network, for each resolution; the largest is that of the supernet's."""

    sides: tuple[int, ...]

    @property
    def halved(self) -> "Grid":
        """After a layer with stride 2."""
        return Grid(sides=tuple((side + 1) // 2 for side in self.sides))

    def subsampled(self, x: torch.Tensor, i: int) -> torch.Tensor:
        """What resolution `i` sees of maps (b, c, s, s): (b, c, sides[i], sides[i])."""
        if self.sides[i] == x.shape[-1]:
            return x
        taken = self._taken(i, x.device)
        return x.index_select(2, taken).index_select(3, taken)

    def spread(self, x: torch.Tensor, i: int) -> torch.Tensor:
        """Maps of resolution `i` at the pixels that subsampling takes, zeros elsewhere: (b, c, s, s)."""
        full = max(self.sides)
        if x.shape[-1] == full:
            return x
        taken = self._taken(i, x.device)
        wide = x.new_zeros(*x.shape[:3], full).index_copy(3, taken, x)
        return x.new_zeros(*x.shape[:2], full, full).index_copy(2, taken, wide)

    def _taken(self, i: int, device: torch.device) -> torch.Tensor:
        return torch.arange(self.sides[i], device=device) * max(self.sides) // self.sides[i]


def mixed_over(
    grids: tuple[Grid, Grid | None], x: torch.Tensor, weights: Sequence[torch.Tensor | None], layer: Callable
) -> torch.Tensor:
    """`layer` of x for every resolution, each times its weight; None = it has none and is left out.

    x lies on the first of the `grids`, the output on the second, or is no map (None).
    """
    before, after = grids
    total = None
    for i, weight in enumerate(weights):
        if weight is None:
            continue
        y = layer(before.subsampled(x, i))
        y = weight * (y if after is None else after.spread(y, i))
        total = y if total is None else total + y
    return total
