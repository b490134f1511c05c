"""The module of a candidate: what its recipe and protocol ask for arrives in the network, the loss and the steps."""

import pytest
import torch
from scipy.stats import beta, kstest
from timm.layers import DropPath
from torch import nn

from nars.settings import ProtocolSettings
from nars.spaces.recipe import Recipe
from nars.training.single.module import CandidateModule, Teacher
from nars.training.single.run import run_training


class Probe(nn.Module):
    """Its logits are the mean colours of an image, times a scale; it keeps the images that it saw."""

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.seen: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3)."""
        self.seen.append(images)
        return self.scale * images.mean(dim=(2, 3))


class Always(nn.Module):
    """Sees one class in everything."""

    def __init__(self, label: int):
        super().__init__()
        self.logits = nn.Parameter(torch.eye(10)[label])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 10)."""
        return self.logits.expand(len(images), 10)


@pytest.fixture
def module_of(candidate):
    """A function: the module of a network, about to train, with a recipe and a protocol changed as given."""

    def make(network, *, recipe=None, protocol=None, teacher=None) -> CandidateModule:
        module = CandidateModule(
            network,
            normalise=nn.Identity(),
            recipe=Recipe.from_dict(candidate(**{"ema": False} | (recipe or {})).recipe),
            protocol=ProtocolSettings(**{"epochs": 1, "batch_size": 16} | (protocol or {})),
            num_classes=3,
            steps_per_epoch=1,
            seed=0,
            teacher=teacher,
        )
        module._loss_sum = torch.zeros(())
        return module

    return make


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
@pytest.mark.parametrize("network", ["searched", "timm"])
def test_a_recipe_arrives_where_it_acts(make_job, smallest, tmp_path, network, optimizer):
    *stages, last = smallest["stages"]
    deeper = smallest | {"stages": [*stages, last | {"depth": 3}]}  # two blocks with a skip, which can be dropped
    job = make_job(
        tmp_path,
        recipe={"dropout": 0.3, "stochastic_depth": 0.2, "optimizer": optimizer, "lr": 0.023, "weight_decay": 2e-4},
        protocol={"epochs": 1, "steps_per_epoch": 1, "warmup_epochs": 0, "momentum": 0.8, "ema_decay": 0.7},
        architecture=deeper if network == "searched" else {"timm": "test_resnet", "resolution": 32},
    )
    _, module = run_training(job)
    assert module.network.drop_rate == 0.3
    paths = [part.drop_prob for part in module.network.modules() if isinstance(part, DropPath)]
    assert paths == sorted(paths)
    assert paths[-1] == pytest.approx(0.2)
    assert module.ema.decay == 0.7
    [built] = module.trainer.optimizers
    assert {group["weight_decay"] for group in built.param_groups} == {0.0, 2e-4}
    batch, per_batch, factor = 16, 64, {"sgd": 4, "rmsprop": 1}[optimizer]
    for group in built.param_groups:
        assert group["initial_lr"] == pytest.approx(0.023 * factor * batch / per_batch)
        assert group["momentum"] == 0.8


@pytest.mark.parametrize("alpha", [0.2, 0.8])
def test_images_and_labels_are_mixed_with_weights_of_the_recipe_s_beta_distribution(module_of, alpha):
    """A black and a red image: how red one is now is its weight, with which its label must be mixed too."""
    probe = Probe()
    module = module_of(probe, recipe={"mixup": alpha})
    images, labels = torch.zeros(2, 3, 2, 2), torch.tensor([1, 0])
    images[1, 0] = 1.0
    torch.manual_seed(0)
    weights = []
    for _ in range(1500):
        loss = module.training_step((images.clone(), labels), 0)
        red = probe.seen[-1][:, 0, 0, 0]
        logs = probe(probe.seen[-1]).log_softmax(dim=1)
        torch.testing.assert_close(loss, -(red * logs[:, 0] + (1 - red) * logs[:, 1]).mean())
        weights.append(float(red[1]))
        probe.seen.clear()
    assert kstest(weights, beta(alpha, alpha).cdf).pvalue > 0.01
    assert kstest(weights, beta(2 * alpha, 2 * alpha).cdf).pvalue < 1e-4


class Colours(nn.Module):
    """Mixes nothing, but gives images back in PyTorch's own order, as mixing on GPUs does."""

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same."""
        return images.clone(memory_format=torch.contiguous_format), labels


@pytest.mark.parametrize("mixes", [True, False])
def test_the_network_gets_its_images_with_channels_last(module_of, mixes):
    probe = Probe()
    module = module_of(probe, recipe={"mixup": 0.2})
    module.mixing = Colours() if mixes else None
    module.training_step((torch.rand(4, 3, 5, 5), torch.tensor([0, 1, 2, 0])), 0)
    assert probe.seen[0].is_contiguous(memory_format=torch.channels_last)


def test_nothing_is_mixed_where_the_recipe_does_not_ask_for_it(module_of):
    probe, images = Probe(), torch.rand(4, 3, 2, 2)
    module_of(probe).training_step((images, torch.tensor([0, 1, 2, 0])), 0)
    assert torch.equal(probe.seen[0], images)


@pytest.mark.parametrize("share", [None, 0.3])
def test_the_loss_is_smoothed_cross_entropy_and_the_teacher_s_share(module_of, share):
    """By hand: of the label's probability, 0.15 is spread over all three classes."""
    images, labels = torch.rand(5, 3, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    teacher = None if share is None else Teacher(network=Probe(7.0), share=share)
    probe = Probe(2.0)
    loss = module_of(probe, protocol={"label_smoothing": 0.15}, teacher=teacher).training_step((images, labels), 0)
    logs = (2 * images.mean(dim=(2, 3))).log_softmax(dim=1)
    wanted = 0.85 * torch.eye(3)[labels] + 0.05
    expected = -(wanted * logs).sum(dim=1).mean()
    if share is not None:
        taught = (7 * images.mean(dim=(2, 3))).softmax(dim=1)
        expected = (1 - share) * expected - share * (taught * logs).sum(dim=1).mean()
        assert all(not image.requires_grad for image in teacher.network.seen)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert probe.scale.grad is not None


@pytest.mark.parametrize("averaged", [True, False])
def test_the_average_of_the_weights_is_validated_where_there_is_one(module_of, averaged):
    module = module_of(Always(3), recipe={"ema": averaged})
    module.network.logits.data = torch.eye(10)[7]  # learned since; the average has not followed
    module._right_and_seen = torch.zeros(2, dtype=torch.int64)
    labels = torch.tensor([3, 3, 3, 7, 1])
    module.validation_step((torch.zeros(5, 3, 2, 2), labels), 0)
    assert module._right_and_seen.tolist() == [3 if averaged else 1, 5]
