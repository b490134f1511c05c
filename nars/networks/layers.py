"""Layers of a network in their order, and its classifier, as timm tells them of every network that it builds."""

from timm.models._manipulate import group_with_matcher
from torch import nn

from nars.errors import UserError


def head_of(network: nn.Module) -> tuple[str, ...]:
    """What the names of the classifier's tensors begin with; of several classifiers, that of each."""
    heads = network.get_classifier()
    heads = heads if isinstance(heads, tuple) else (heads,)
    return tuple(f"{name}." for name, module in network.named_modules() if any(module is head for head in heads))


def layers_of(network: nn.Module, *, stages: bool = False) -> dict[str, int]:
    """The layer of every tensor by name, 0 = the stem's; the classifier's is the last. Blocks are layers, or whole
    stages of them are. UserError if the network does not tell."""
    if not hasattr(network, "group_matcher"):
        raise UserError(
            "this network does not tell its layers apart; leave start.layer_decay at 1, and start.freeze at none or "
            "trunk"
        )
    tensors = network.state_dict()
    return group_with_matcher(tensors.items(), network.group_matcher(coarse=stages), reverse=True)
