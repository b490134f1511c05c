"""Which blocks of two networks of the FBNet family stand at the same place."""

from nars.costs.rounding import expanded_width
from nars.errors import UserError
from nars.networks.build import block_names
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import PlacedBlock


def counterparts(child: Architecture, parent: Architecture) -> dict[str, str | None]:
    """For the blocks of the child's network by name those of the parent's at the same place of the same stage, and for
    the layer behind all blocks its own; None where there is none of the same kind.

    UserError if the networks have other stages or another head.
    """
    if len(child.stages) != len(parent.stages) or type(child.head) is not type(parent.head):
        raise UserError(
            f"{len(parent.stages)} stages and the head {type(parent.head).__name__.removesuffix('Settings')} there, "
            f"{len(child.stages)} and {type(child.head).__name__.removesuffix('Settings')} here"
        )
    own, theirs = block_names(child), block_names(parent)
    blocks, others = child.placed_blocks, parent.placed_blocks
    found = {
        name: theirs[i, j] if (i, j) in theirs and _alike(blocks[i][j], others[i][j]) else None
        for (i, j), name in own.items()
    }
    return found | {_behind(own): _behind(theirs)}


def _behind(names: dict[tuple[int, int], str]) -> str:
    """The stack after the last block: the head's first layer, where it is one of timm's blocks."""
    stacks = {int(name.split(".")[1]) for name in names.values()}
    return f"blocks.{max(stacks, default=-1) + 1}.0"


def _alike(block: PlacedBlock, other: PlacedBlock) -> bool:
    """Whether slices of the other's layers make sense as those of the block: in groups only where all widths agree."""
    if (block.block.skip, block.block.groups) != (other.block.skip, other.block.groups):
        return False
    if block.block.skip:
        return True
    if block.block.groups > 1:
        return _widths(block) == _widths(other)
    return _expands(block) == _expands(other)


def _widths(placed: PlacedBlock) -> tuple:
    return placed.c_in, placed.block.expansion, placed.block.width


def _expands(placed: PlacedBlock) -> bool:
    return int(expanded_width(placed.c_in, placed.block.expansion, rounding=placed.rounding)) != placed.c_in
