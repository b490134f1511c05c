"""What stays as it is and how fast the rest learns, as it arrives in the tensors of real, short trainings."""

import pytest
import torch
from torch import nn

from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.layers import head_of
from nars.settings import ProtocolSettings, Recipe, StartSettings, TrainerSettings
from nars.training.job import StartJob
from nars.training.single.optimization import base_lr, build_optimizer
from nars.training.single.run import run_training
from nars.training.weights.inherit import Filled
from nars.training.weights.start import open_start
from nars.training.weights.tuning import Tuning, tuning_of

TIMM = {"timm": "test_efficientnet", "resolution": 32}


def of_start(**keys) -> StartSettings:
    return StartSettings(**{"name": "finetune", "weights": "x"} | keys)


@pytest.fixture
def deeper(smallest) -> dict:
    """A network with three blocks in its last stack."""
    *stages, last = smallest["stages"]
    return smallest | {"stages": [*stages, last | {"depth": 3}]}


def tuned(architecture: dict, *, new: tuple[str, ...] = (), **keys) -> tuple[nn.Module, Tuning]:
    """A network of which all but what begins with one of `new` was trained, and how it is changed."""
    network = network_of(architecture_of(architecture), num_classes=10)
    names = frozenset(network.state_dict())
    untrained = frozenset(name for name in names if new and name.startswith(new))
    filled = Filled(whole=names - untrained, part=frozenset(), new=untrained)
    return network, tuning_of(of_start(**keys), network, filled, head_of(network))


def changed(job) -> tuple[set[str], nn.Module]:
    """The tensors of a network that a training has changed, and the network."""
    start = torch.load(job.start.weights, weights_only=True) if job.start.weights.endswith("pt") else None
    _, module = run_training(job)
    return {n for n, t in module.network.state_dict().items() if not torch.equal(t, start[n])}, module


@pytest.fixture
def begun(make_job, tmp_path, deeper):
    """A function: a job that begins with a random network, and with keys of `start` as given."""

    def make(folder: str = "training", *, protocol=None, architecture=None, **keys):
        architecture = architecture or deeper
        torch.manual_seed(77)
        network = network_of(architecture_of(architecture), num_classes=10)
        path = tmp_path / "weights.pt"
        torch.save(network.state_dict(), path)
        start = open_start(of_start(weights=str(path), **keys), folder=tmp_path)
        start = start.model_copy(update={"classes": [str(digit) for digit in range(10)]})
        recipe = {"lr": 0.1, "dropout": 0.2, "stochastic_depth": 0.2, "optimizer": "sgd", "ema": False}
        trainer = TrainerSettings(accelerator="cpu")
        values = {"architecture": architecture, "trainer": trainer, "recipe": recipe, "protocol": protocol}
        return make_job(tmp_path / folder, start=start, **values)

    return make


@pytest.mark.parametrize("architecture", ["searched", "timm"])
@pytest.mark.parametrize(
    ("keys", "frozen"),
    [
        ({"freeze": "trunk"}, lambda name: not name.startswith("classifier.")),
        ({"freeze": 1}, lambda name: name.startswith(("conv_stem.", "bn1.", "blocks.0."))),
        ({"norm": "frozen"}, lambda name: "bn" in name),
    ],
)
def test_frozen_tensors_stay_to_the_bit_and_others_learn(begun, architecture, keys, frozen):
    job = begun(architecture=TIMM if architecture == "timm" else None, **keys)
    names, module = changed(job)
    everything = module.network.state_dict()
    still = {name for name in everything if name not in names}
    assert still == {name for name in everything if frozen(name)}
    assert {p.requires_grad for n, p in module.network.named_parameters() if frozen(n)} == {False}
    [optimizer] = module.trainer.optimizers
    tuned = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert tuned == {id(p) for n, p in module.network.named_parameters() if not frozen(n)}


def test_a_trunk_thaws_and_a_resumed_training_is_the_uninterrupted_one(begun):
    """Stopped while the trunk is frozen, and after: the same accuracies and tensors to the bit."""
    keys = {"freeze": "trunk", "freeze_epochs": 1, "norm": "frozen", "layer_decay": 0.8, "head_lr_multiplier": 3.0}
    protocol = {"steps_per_epoch": 2}
    record, module = run_training(begun("whole", protocol=protocol | {"epochs": 3}, **keys))
    for stop in (1, 2):
        names, stopped = changed(begun(f"{stop}", protocol=protocol | {"epochs": stop}, **keys))
        everything = set(stopped.network.state_dict())
        learn = {name for name in everything if name.startswith("classifier.") or (stop > 1 and "bn" not in name)}
        assert names == learn
        told = []
        job = begun(f"{stop}", protocol=protocol | {"epochs": 3}, **keys)
        resumed, other = run_training(job, on_epoch=lambda epoch, _, told=told: told.append(epoch))
        assert told == list(range(stop + 1, 4))
        assert resumed.accuracies == record.accuracies
        for name, tensor in module.network.state_dict().items():
            assert torch.equal(tensor, other.network.state_dict()[name]), name


def test_learning_rates_are_those_of_the_formula(deeper):
    """layer_decay ^ (layers behind): the stem, each block, and one layer of head and classifier (timm's count)."""
    network, tuning = tuned(deeper, layer_decay=0.7, head_lr_multiplier=5.0)
    recipe = Recipe(lr=0.04, optimizer="sgd", weight_decay=1e-3)
    protocol = ProtocolSettings(epochs=1, batch_size=16)
    optimizer = build_optimizer(network, recipe, protocol, tuning.lr_factors)
    blocks = [f"blocks.{i}.{j}." for i, stack in enumerate(network.blocks) for j in range(len(stack))]
    layers = [("conv_stem.", "bn1."), *((block,) for block in blocks), ("conv_head.", "classifier.")]
    found = {id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        behind = len(layers) - 1 - next(i for i, layer in enumerate(layers) if name.startswith(layer))
        factor = 0.7**behind * (5.0 if name.startswith("classifier.") else 1.0)
        lr, decay = found.pop(id(parameter))
        assert lr == pytest.approx(base_lr(recipe, protocol) * factor, rel=1e-12), name
        assert decay == (0.0 if parameter.ndim == 1 else 1e-3)
    assert not found


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_a_step_goes_as_far_as_the_learning_rate_says(smallest, optimizer):
    """Of two steps with equal gradients, the classifier's goes ten times as far, the stem's as far as its decay."""
    recipe, protocol = Recipe(lr=0.04, optimizer=optimizer), ProtocolSettings(epochs=1, batch_size=16)
    moved = []
    for keys in ({}, {"layer_decay": 0.5, "head_lr_multiplier": 10.0}):
        network, tuning = tuned(smallest, **keys)
        before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        build_optimizer(network, recipe, protocol, tuning.lr_factors).step()
        moved.append({name: float((p - before[name]).detach().mean()) for name, p in network.named_parameters()})
    plain, factored = moved
    assert factored["classifier.bias"] == pytest.approx(10 * plain["classifier.bias"], rel=1e-4)
    blocks = len({tuple(name.split(".")[:3]) for name in plain if name.startswith("blocks.")})
    assert factored["bn1.bias"] == pytest.approx(plain["bn1.bias"] * 0.5 ** (blocks + 1), rel=1e-3)


def test_without_a_start_nothing_is_touched():
    """Some networks have parameters that they never train."""
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    network[0].weight.requires_grad_(False)
    network[1].eval()
    Tuning().apply(network, 0)
    assert not network[0].weight.requires_grad
    assert not network[1].training


def test_untrained_norms_are_not_frozen(smallest):
    _, tuning = tuned(smallest, norm="frozen", new=("blocks.0.",))
    assert any(name.startswith("bn1.") for name in tuning.always)
    assert not any(name.startswith("blocks.0.") for name in tuning.always)


@pytest.mark.parametrize(
    ("architecture", "keys", "message"),
    [
        ("searched", {"freeze": 9}, "start.freeze=9: this network has 4 stages; give 1 to 4, or trunk"),
        (
            "searched",
            {"freeze": "trunk", "new": ("blocks.1.",)},
            "start.freeze=trunk: the weights do not fill blocks.1.0.",
        ),
        ("resnet", {"freeze": 5}, "start.freeze=5: this network has 4 stages"),
    ],
)
def test_what_cannot_be_frozen_is_one_line(smallest, architecture, keys, message):
    with pytest.raises(UserError) as error:
        tuned(smallest if architecture == "searched" else {"timm": "test_resnet", "resolution": 32}, **keys)
    assert message in str(error.value)


def test_thawing_needs_one_device(begun):
    job = begun(freeze="trunk", freeze_epochs=1)
    job = job.model_copy(update={"trainer": TrainerSettings(accelerator="cpu", devices=2)})
    with pytest.raises(UserError, match=r"start\.freeze_epochs with trainer\.devices=2"):
        run_training(job)


def test_images_are_normalised_as_the_parent_s(begun):
    job = begun(protocol={"epochs": 1, "steps_per_epoch": 1})
    start = job.start.model_copy(update={"statistics": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}})
    assert isinstance(start, StartJob)
    _, module = run_training(job.model_copy(update={"start": start}))
    assert module.normalise.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert module.normalise.std.flatten().tolist() == pytest.approx([0.5, 0.6, 0.7])
