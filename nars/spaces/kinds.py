"""What one block of a space may be: a kind by name, and what the kind leaves open."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nars.errors import UserError
from nars.settings import BlockKind
from nars.spaces.blocks import Block

NEEDED = ("kernel", "expansion")  # of a block that is no skip


@dataclass(frozen=True, kw_only=True)
class BlockKinds:
    """The kinds that one block chooses among, by name, and the keys (`own`) that it chooses by themselves.

    A block without kinds has one, of no name. UserError if a kind and the block say the same key, if neither says one
    that is needed, or if two kinds are the same.
    """

    where: str
    kinds: Mapping[str, BlockKind]
    own: Collection[str]

    def __post_init__(self):
        seen = {}
        for name, kind in self.kinds.items():
            twice = sorted(kind.model_fields_set & set(self.own))
            if twice:
                raise UserError(f"{self.where}: {twice[0]} is given by kind {name} and by the block; leave one out")
            for key in NEEDED:
                if getattr(kind, key) is None and key not in self.own and not kind.skip:
                    raise UserError(f"{self.where}: no {key}; give it" + f", or in kind {name}" * bool(name))
            other = seen.setdefault(tuple(self._said(kind).items()), name)
            if other != name:
                raise UserError(f"{self.where}: kinds {other} and {name} are the same; leave one out")

    def _said(self, block: BlockKind) -> dict:
        return {key: getattr(block, key) for key in BlockKind.model_fields if key not in self.own}

    def block(self, kind: str, own: Mapping) -> Block:
        """The block of that kind with the values of `own`."""
        return Block(**self._said(self.kinds[kind]), **own)

    def kind_of(self, block: Block) -> str | None:
        """The kind of a block; None if it is of none of them."""
        said = self._said(block)
        return next((name for name, kind in self.kinds.items() if self._said(kind) == said), None)
