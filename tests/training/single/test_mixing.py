"""Mixed images and labels: what arrives of a recipe, how often, and in which parts."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from nars.settings import ProtocolSettings, Recipe
from nars.training.single.losses import training_loss
from nars.training.single.module import CandidateModule, Teacher, mixing

CLASSES = 4
BOTH = {"mixup": 0.3, "cutmix": 0.7}


def recipe(**keys) -> Recipe:
    return Recipe(lr=0.1, optimizer="sgd", **keys)


def module(network: nn.Module, *, teacher: Teacher | None = None, **keys) -> CandidateModule:
    protocol = ProtocolSettings(epochs=1, batch_size=4, label_smoothing=0.2)
    values = {"num_classes": CLASSES, "steps_per_epoch": 1, "seed": 0, "teacher": teacher}
    return CandidateModule(network, normalise=nn.Identity(), recipe=recipe(**keys), protocol=protocol, **values)


def batch(side: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose pixels are all their own class."""
    labels = torch.arange(CLASSES)
    return labels.float()[:, None, None, None].expand(-1, 3, side, side).contiguous(), labels


@pytest.mark.parametrize("key", BOTH)
def test_the_alpha_of_the_recipe_arrives(key):
    way = module(nn.Flatten(), **{key: 0.7}).mixing
    assert type(way).__name__.lower() == key
    assert way.alpha == way._dist.concentration0 == way._dist.concentration1 == pytest.approx(0.7)
    assert way.num_classes == CLASSES


def test_both_alphas_arrive():
    ways = module(nn.Flatten(), **BOTH).mixing.transforms
    assert {type(way).__name__.lower(): way.alpha for way in ways} == BOTH


def test_nothing_is_mixed_by_a_neutral_recipe():
    assert module(nn.Flatten()).mixing is None


def kinds(seed: int, batches: int) -> list[str]:
    """Which way each batch took: cut images have pixels of whole classes only."""
    torch.manual_seed(seed)
    mix, given = mixing(recipe(mixup=1.0, cutmix=1.0), num_classes=CLASSES), batch()
    mixed = [mix(*given)[0] for _ in range(batches)]
    return ["cut" if torch.equal(images, images.round()) else "blended" for images in mixed]


def test_every_batch_draws_one_of_both_about_as_often():
    drawn = kinds(0, 1000)
    assert 430 < drawn.count("cut") < 570  # 500 +- 4.4 standard deviations
    assert drawn == kinds(0, 1000)
    assert drawn != kinds(1, 1000)
    changes = sum(a != b for a, b in pairwise(drawn))
    assert 430 < changes < 570  # by batch, not by epoch


@pytest.mark.parametrize("keys", [{"mixup": 0.5}, {"cutmix": 0.5}, BOTH])
def test_labels_are_mixed_as_the_images_are(keys):
    """The share of a class is that of its pixels, or of its grey."""
    torch.manual_seed(0)
    mix, (images, labels) = mixing(recipe(**keys), num_classes=CLASSES), batch()
    shares = []
    for _ in range(200):
        mixed, probabilities = mix(images, labels)
        assert mixed.shape == images.shape
        assert probabilities.shape == (CLASSES, CLASSES)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(CLASSES))
        torch.testing.assert_close(mixed.mean((1, 2, 3)), probabilities @ labels.float())
        shares.append(float(probabilities[0, 0]))
    assert min(shares) < 0.35  # boxes that the edge cuts leave more of an image
    assert max(shares) > 0.8


@pytest.mark.parametrize("keys", [{"mixup": 0.5}, {"cutmix": 0.5}, BOTH])
@pytest.mark.parametrize("taught", [False, True])
def test_the_loss_is_that_of_the_mixed_batch(keys, taught):
    """Smoothed labels, and the teacher's answer to the same mixed images."""
    torch.manual_seed(0)
    student, teacher = (nn.Sequential(nn.Flatten(), nn.Linear(3 * 9 * 9, CLASSES)) for _ in range(2))
    trained = module(student, teacher=Teacher(network=teacher, share=0.8) if taught else None, **keys)
    for seed in range(5):
        torch.manual_seed(seed)
        trained._loss_sum = torch.zeros(())
        loss = trained.training_step(batch(), 0)
        torch.manual_seed(seed)
        images, labels = trained.mixing(*batch())
        logits = teacher(images) if taught else None
        share = 0.8 if taught else 0.0
        wanted = training_loss(student(images), labels, label_smoothing=0.2, teacher_logits=logits, teacher_share=share)
        torch.testing.assert_close(loss, wanted)
        assert loss != training_loss(student(batch()[0]), batch()[1], label_smoothing=0.2)
