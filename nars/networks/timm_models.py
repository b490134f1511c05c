"""Networks that timm knows by name, as architectures beside the searched ones."""

from collections.abc import Mapping
from difflib import get_close_matches

import timm
import torch
from pydantic import PositiveInt
from timm.models import PretrainedCfg, get_arch_pretrained_cfgs, get_deprecated_models
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nars.errors import UserError
from nars.settings import Recipe, Settings, parse

NOT_BUILT = (AssertionError, AttributeError, ImportError, LookupError, RuntimeError, TypeError, ValueError)  # by timm


class TimmArchitecture(Settings):
    """The network that timm builds under the name `timm`, for images of `resolution` pixels."""

    timm: str
    resolution: PositiveInt

    @classmethod
    def from_dict(cls, values: Mapping, *, where: str = "architecture") -> "TimmArchitecture":
        """The architecture that `to_dict` describes; UserError names what is wrong."""
        architecture = parse(cls, dict(values), where=where)
        check_known(architecture.timm, where=f"{where}.timm")
        return architecture

    def to_dict(self) -> dict:
        """Plain containers, as written to files."""
        return self.model_dump(mode="json")


def timm_architecture(name: str, *, where: str) -> TimmArchitecture:
    """timm's network `name` at the resolution that it was made for; UserError, with what is similar, for no name."""
    check_known(name, where=where)
    known = timm.get_pretrained_cfg(name) or PretrainedCfg()  # timm's own assumption of a model that says nothing
    return TimmArchitecture(timm=name, resolution=known.input_size[-1])


def pretrained_statistics(name: str) -> dict[str, list[float]]:
    """`mean` and `std`, as fractions of white, of the images that timm's network `name` was trained on."""
    known = timm.get_pretrained_cfg(name) or PretrainedCfg()
    return {"mean": list(known.mean), "std": list(known.std)}


def build_timm_network(architecture: TimmArchitecture, *, num_classes: int, recipe: Recipe | None = None) -> nn.Module:
    """The network, untrained; UserError if it has no stochastic depth and should, or timm cannot build it.

    How the probability rises with depth to the recipe's `stochastic_depth` is the rule of timm's network.
    """
    name = architecture.timm
    paths = {"drop_path_rate": recipe.stochastic_depth} if recipe and recipe.stochastic_depth else {}
    try:
        network = timm.create_model(name, num_classes=num_classes, drop_rate=recipe.dropout if recipe else 0.0, **paths)
    except NOT_BUILT as error:
        if "drop_path_rate" in str(error):
            raise UserError(
                f"timm:{name} has no stochastic depth; set recipe.stochastic_depth=0.0 (in a search "
                "recipe_space.stochastic_depth=0.0)"
            ) from None
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"timm:{name} cannot be built with {num_classes} classes ({reason}); try another model"
        ) from None
    if getattr(network, "num_classes", None) != num_classes:  # an encoder that others build upon
        raise UserError(f"timm:{name} has no classifier, so it cannot tell {num_classes} classes apart; take another")
    return network


def measured_costs(network: nn.Module, side: int) -> dict[str, float]:
    """Costs by name for one image of `side` pixels: MACs, matrix products of attention included, trainable parameters,
    and activations, the elements that leave convolution and linear layers.

    UserError if the network does not take such images.
    """
    training, activations = network.training, []
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(lambda *call: activations.append(call[-1].numel())) for layer in layers]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counted:
            network.eval()(torch.zeros(1, 3, side, side))
    except NOT_BUILT as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"the network does not take images of {side} px ({reason}); change protocol.image_scale (1.0 is the size "
            "that it was made for)"
        ) from None
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    params = sum(p.numel() for p in network.parameters() if p.requires_grad)
    return {
        "macs": counted.get_total_flops() / 2,
        "params": float(params),
        "activations": float(sum(activations)),
    }


def check_known(name: str, *, where: str) -> None:
    """UserError if timm has no such model, calls it otherwise now, or has no such tag of it."""
    model, dot, tag = name.partition(".")
    now = get_deprecated_models().get(model)
    if now:
        raise UserError(f"{where}: timm calls this model {now} now: give timm:{now}")
    if not timm.is_model(name):
        similar = get_close_matches(model.lower(), timm.list_models(), n=3, cutoff=0.4)
        raise UserError(f"{where}: timm has no model {name}" + (f"; similar: {', '.join(similar)}" * bool(similar)))
    known = get_arch_pretrained_cfgs(model)
    if dot and name not in known:
        tags = ", ".join(known).replace(f"{model}.", "") or "none"
        raise UserError(f"{where}: timm has no tag {tag} of {model}; its tags: {tags}")
