"""How a network that begins with trained weights is changed: what stays as it is, and how fast the rest learns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nars.errors import UserError
from nars.networks.layers import layers_of
from nars.settings import StartSettings
from nars.training.weights.inherit import Filled


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Tensors by name that stay as they are, `always` or in the first `epochs` epochs (`at_first`), and what learning
    rates are multiplied by, by name; no factors: nothing."""

    always: frozenset[str] = frozenset()
    at_first: frozenset[str] = frozenset()
    epochs: int = 0
    lr_factors: Mapping[str, float] = field(default_factory=dict)

    def frozen(self, epoch: int) -> frozenset[str]:
        """What stays as it is in epoch `epoch`, 0 = the first: all there is to know, so a training that goes on after a
        stop is that without one."""
        return self.always | self.at_first if epoch < self.epochs else self.always

    def apply(self, network: nn.Module, epoch: int) -> None:
        """Freeze of `network`, which is in training, what stays as it is in this epoch, and nothing else: parameters
        get no gradients, and modules do as in evaluation, so that batch norms keep their statistics and nothing is
        dropped."""
        frozen, ever = self.frozen(epoch), self.always | self.at_first
        for name, parameter in network.named_parameters():
            if name in ever:
                parameter.requires_grad_(name not in frozen)
        for name, module in network.named_modules() if ever else ():  # what lies within a module comes after it
            tensors = {f"{name}.{own}" if name else own for own in module.state_dict()}
            if tensors and tensors <= ever:
                module.train(not tensors <= frozen)


def tuning_of(settings: StartSettings, network: nn.Module, filled: Filled, head: tuple[str, ...]) -> Tuning:
    """What `settings` say of a network that was `filled` and whose classifier's tensors begin with one of `head`.

    UserError for stages that it does not have, and for what would be frozen without having been trained.
    """
    frozen = _frozen(settings, network, head)
    untrained = sorted(frozen - filled.whole)
    if untrained:
        raise UserError(
            f"start.freeze={settings.freeze}: the weights do not fill {untrained[0]} and {len(untrained) - 1} more, "
            "which would stay untrained; give start.freeze=none, or the weights of the whole network"
        )
    norms = _norms(network, filled) if settings.norm == "frozen" else frozenset()
    for_good = settings.freeze_epochs is None
    return Tuning(
        always=norms | frozen if for_good else norms,
        at_first=frozenset() if for_good else frozen,
        epochs=settings.freeze_epochs or 0,
        lr_factors=lr_factors(settings, network, head),
    )


def lr_factors(settings: StartSettings, network: nn.Module, head: Collection[str]) -> dict[str, float]:
    """What the learning rate of each parameter is multiplied by: layer_decay ^ (the layers behind its own), those of
    the classifier by head_lr_multiplier; none if that is 1 for all (ours; the decay is that of BEiT, paper)."""
    if settings.layer_decay == 1 == settings.head_lr_multiplier:
        return {}
    names = [name for name, _ in network.named_parameters()]
    layer = layers_of(network) if settings.layer_decay < 1 else dict.fromkeys(names, 0)
    last = max(layer.values())
    return {
        name: settings.layer_decay ** (last - layer[name])
        * (settings.head_lr_multiplier if name.startswith(tuple(head)) else 1.0)
        for name in names
    }


def _frozen(settings: StartSettings, network: nn.Module, head: tuple[str, ...]) -> frozenset[str]:
    tensors = frozenset(network.state_dict())
    if settings.freeze == "none":
        return frozenset()
    if settings.freeze == "trunk":
        return frozenset(name for name in tensors if not name.startswith(head))
    stage = layers_of(network, stages=True)
    stages = max(stage.values()) - 1  # the first group is the stem, the last one the classifier's
    if settings.freeze > stages:
        raise UserError(
            f"start.freeze={settings.freeze}: this network has {stages} stages; give 1 to {stages}, or trunk"
        )
    return frozenset(name for name in tensors if stage[name] <= settings.freeze)


def _norms(network: nn.Module, filled: Filled) -> frozenset[str]:
    """The tensors of batch norms that are trained."""
    norms = {name: module for name, module in network.named_modules() if isinstance(module, _BatchNorm)}
    tensors = [{f"{name}.{own}" for own in module.state_dict()} for name, module in norms.items()]
    return frozenset().union(*(some for some in tensors if some <= filled.whole))
