"""Trained tensors into a network that is about to be trained, whatever it is trained for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from nars.errors import UserError
from nars.training.weights.files import first_wrong


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Which tensors of a network, by name, hold what was trained: in `whole`, in `part`, or not (`new`)."""

    whole: frozenset[str]
    part: frozenset[str]
    new: frozenset[str]

    @property
    def words(self) -> str:
        """In short."""
        in_part = f", {len(self.part)} in part" if self.part else ""
        new = f", {len(self.new)} new ({min(self.new)}{', ...' * (len(self.new) > 1)})" if self.new else ""
        return f"{len(self.whole)} tensors taken{in_part}{new}"


@torch.no_grad()
def fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    inherit: Literal["exact", "matching", "sliced"],
    *,
    new: tuple[str, ...] = (),
    unused: tuple[str, ...] = (),
    source: Callable[[str], str | None] = str,
    where: str,
) -> Filled:
    """Fill `network` with the trained tensors of `state`.

    Tensors whose names begin with one of `new` stay as they are, those of the state that begin with one of `unused`
    may be left over. `exact`: all others must be in both, with the same shape. `matching`: those are taken that have
    the same name and shape. `sliced`: a tensor takes the first entries, along every axis, of the one that `source`
    names for it, and a kernel the middle of a larger one (a larger kernel is filled with zeros around it); what no
    entry is left for stays as it is. UserError, which begins with `where`, if the state is of another network, or
    nothing of it fits.
    """
    own = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(new or ("\0",))}
    given = {name: tensor for name, tensor in state.items() if not name.startswith(unused or ("\0",))}
    if inherit == "exact":
        _check_same(own, given, where=where)
    whole, part = set(), set()
    for name, tensor in own.items():
        taken = given.get((source(name) or "") if inherit == "sliced" else name)
        if taken is None or (taken.shape != tensor.shape if inherit != "sliced" else taken.ndim != tensor.ndim):
            continue
        (whole if _take(tensor, taken) else part).add(name)
    if not whole | part:
        raise UserError(f"{where}: of another network: no tensor fits; give the weights of a network of this kind")
    return Filled(
        whole=frozenset(whole), part=frozenset(part), new=frozenset(network.state_dict()) - frozenset(whole | part)
    )


def _check_same(own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, where: str) -> None:
    wrong = first_wrong(own, given)
    if wrong is not None:
        raise UserError(
            f"{where}: of another network: {wrong}; start.inherit=matching takes what fits, sliced slices of a larger "
            "network"
        )


def _take(tensor: Tensor, taken: Tensor) -> bool:
    """Fill a tensor with the other's first entries along every axis, of kernels with the middle; whether that is all of
    it."""
    channels = tuple(slice(min(sizes)) for sizes in zip(tensor.shape[:2], taken.shape[:2], strict=True))
    taken = taken[channels]
    if tensor.ndim == 4:
        margins = [(side - kernel) // 2 for side, kernel in zip(tensor.shape[2:], taken.shape[2:], strict=True)]
        # A negative margin cuts. Pads are given from the last axis on, before and behind.
        taken = nn.functional.pad(taken, [margins[1]] * 2 + [margins[0]] * 2)
    tensor[channels] = taken.to(tensor)
    return taken.shape == tensor.shape
