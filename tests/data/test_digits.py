"""The embedded digits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from sklearn.neighbors import KNeighborsClassifier

from nars.data import open_data
from nars.data.digits import shifted
from nars.errors import UserError
from nars.settings import DigitsSettings, parse

CONF = Path(__file__).parents[2] / "conf" / "data" / "digits.yaml"


def digits(**given):
    return open_data(DigitsSettings(name="digits", **given))


def all_of(loader):
    images, labels = zip(*loader, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_shipped_configuration_opens():
    data = open_data(parse(DigitsSettings, OmegaConf.to_container(OmegaConf.load(CONF)), where="data"))
    assert (data.num_classes, data.train_size, data.val_size) == (10, 1437, 360)
    assert data.class_names == tuple("0123456789")


def test_split_is_stratified_disjoint_and_a_matter_of_the_seed():
    data = digits()
    _, val_labels = all_of(data.val_loader(image_size=8, batch_size=360))
    counts = torch.bincount(val_labels)
    assert counts.min() >= 34
    assert counts.max() <= 38
    train = data.train_set(image_size=8, augmentation="none")
    val = data.val_set(image_size=8)
    assert len(train) + len(val) == 1797
    assert {x.numpy().tobytes() for x in train.images}.isdisjoint(x.numpy().tobytes() for x in val.images)
    assert digits().fingerprint == data.fingerprint
    assert len({digits(seed=seed).fingerprint for seed in range(5)}) == 5
    assert digits(val_fraction=0.3).fingerprint != data.fingerprint


def test_images_are_normalised_by_the_train_part():
    data = digits()
    images, _ = all_of(data.train_loader(image_size=8, batch_size=1437, augmentation="none", seed=0))
    images = data.normalise()(images)
    assert images.shape == (1437, 3, 8, 8)
    assert abs(images.mean()) < 1e-4
    assert abs(images.std() - 1) < 1e-2
    assert torch.equal(images[:, 0], images[:, 2])


@pytest.mark.parametrize("max_shift", [1, 4])
def test_shift_moves_each_image_by_as_much_as_its_seed_says_and_no_further(max_shift):
    size, n = 16, 2000
    images = torch.zeros(n, 1, size, size)
    images[:, 0, 8, 8] = 1
    seeds = torch.tensor(np.random.default_rng(0).integers(2**63, size=n))
    moved = shifted(images, seeds, max_shift=max_shift)
    assert moved.shape == images.shape
    assert torch.equal(moved, shifted(images, seeds, max_shift=max_shift))
    places = moved.flatten(1).argmax(1)
    steps = {(int(p) // size - 8, int(p) % size - 8) for p in places}
    assert len(steps) == (2 * max_shift + 1) ** 2
    assert max(abs(step) for pair in steps for step in pair) == max_shift


def test_digits_can_be_told_apart_also_enlarged():
    data = digits()
    train, train_labels = all_of(data.train_loader(image_size=16, batch_size=1437, augmentation="none", seed=0))
    val, val_labels = all_of(data.val_loader(image_size=16, batch_size=360))
    model = KNeighborsClassifier(3).fit(train[:, 0].flatten(1), train_labels)
    assert model.score(val[:, 0].flatten(1), val_labels) > 0.95


def test_unknown_augmentation_is_refused_in_one_line():
    with pytest.raises(UserError) as caught:
        digits().train_loader(image_size=16, batch_size=8, augmentation="autoaugment", seed=0)
    assert str(caught.value) == (
        "data=digits offers no augmentation autoaugment; allowed: none, standard (protocol.augmentation=standard)"
    )


def test_images_smaller_than_the_originals_work():
    images, _ = next(iter(digits().train_loader(image_size=6, batch_size=8, augmentation="standard", seed=0)))
    assert images.shape == (8, 3, 6, 6)
