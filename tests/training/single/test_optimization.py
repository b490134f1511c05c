"""Learning rates and optimizers."""

import math

import pytest
import torch
from timm.optim import RMSpropTF

from nars.networks.build import build_network
from nars.settings import ProtocolSettings
from nars.spaces.architecture import Architecture
from nars.spaces.recipe import Recipe
from nars.training.single.optimization import base_lr, build_optimizer, lr_factor


def protocol(**given) -> ProtocolSettings:
    return ProtocolSettings(**({"epochs": 10, "batch_size": 256} | given))


@pytest.fixture
def recipe(candidate):
    """A function: a recipe changed as given."""
    return lambda **given: Recipe.from_dict(candidate(**given).recipe)


@pytest.fixture
def network(smallest):
    return build_network(Architecture.from_dict(smallest), num_classes=10)


def test_sgd_has_four_times_the_learning_rate(recipe):
    """Paper (recalled)."""
    assert base_lr(recipe(lr=0.025), protocol()) == 0.025
    assert base_lr(recipe(lr=0.025, optimizer="sgd"), protocol()) == 4 * 0.025
    assert base_lr(recipe(lr=0.025, optimizer="sgd"), protocol(sgd_lr_multiplier=2.0)) == 0.05


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
def test_the_learning_rate_is_proportional_to_the_batch_size(recipe, optimizer):
    """lr x 8 for batch 2048 against 256: paper (recalled)."""
    wanted = recipe(optimizer=optimizer)
    assert base_lr(wanted, protocol(batch_size=2048)) == pytest.approx(8 * base_lr(wanted, protocol()))
    assert base_lr(wanted, protocol(batch_size=32, lr_batch_size=64)) == pytest.approx(base_lr(wanted, protocol()) / 2)


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_without_warm_up_the_rate_falls_with_every_epoch_begun(steps):
    schedule = protocol(lr_decay=0.963)
    for step in range(5 * steps):
        assert lr_factor(step, steps, schedule) == pytest.approx(0.963 ** (step // steps))
    assert lr_factor(0, steps, schedule) == 1


@pytest.mark.parametrize("warmup", [0.5, 1, 2, 2.5])
@pytest.mark.parametrize("steps", [2, 7, 40])
def test_warm_up_rises_linearly_then_the_decay_begins(steps, warmup):
    schedule = protocol(lr_decay=0.9, warmup_epochs=warmup)
    factors = [lr_factor(step, steps, schedule) for step in range(8 * steps)]
    warm = math.ceil(warmup * steps) - 1
    assert factors[:warm] == pytest.approx([(i + 1) / (warmup * steps) for i in range(warm)])
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == 1
    whole = math.ceil(warmup)
    assert all(factor == 1 for factor in factors[warm : (whole + 1) * steps])
    for epoch in range(whole, 8):
        expected = pytest.approx(0.9 ** (epoch - whole))
        assert all(factor == expected for factor in factors[epoch * steps : (epoch + 1) * steps])


def test_the_rate_does_not_depend_on_the_number_of_epochs():
    for step in range(100):
        rates = {lr_factor(step, 10, protocol(epochs=epochs, warmup_epochs=1.5)) for epochs in (1, 4, 400)}
        assert len(rates) == 1


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
def test_norms_and_biases_do_not_decay(recipe, network, optimizer):
    built = build_optimizer(network, recipe(optimizer=optimizer, weight_decay=1.4e-5), protocol())
    decay = {id(p): group["weight_decay"] for group in built.param_groups for p in group["params"]}
    assert len(decay) == len(list(network.parameters()))
    seen = set()
    for name, parameter in network.named_parameters():
        is_weight = parameter.ndim > 1
        assert decay[id(parameter)] == (1.4e-5 if is_weight else 0.0), name
        seen.add(("bn" in name, name.endswith("bias"), is_weight))
    assert {(True, False, False), (True, True, False), (False, True, False), (False, False, True)} <= seen


def test_optimizers_are_those_of_the_recipe(recipe, network):
    settings = protocol(momentum=0.8, rmsprop_alpha=0.7, rmsprop_eps=0.01)
    rmsprop = build_optimizer(network, recipe(optimizer="rmsprop", lr=0.02), settings)
    assert isinstance(rmsprop, RMSpropTF)
    keys = ("lr", "momentum", "alpha", "eps")
    assert [rmsprop.param_groups[0][key] for key in keys] == [0.02, 0.8, 0.7, 0.01]
    sgd = build_optimizer(network, recipe(optimizer="sgd", lr=0.02), settings)
    assert isinstance(sgd, torch.optim.SGD)
    assert [sgd.param_groups[0][key] for key in ("lr", "momentum")] == [0.08, 0.8]
