"""Few images of each class to train on: chosen by hashes, so that fewer are among more."""

import pytest
import torch
from PIL import Image

from nars.data import open_data
from nars.settings import DigitsSettings, FolderSettings


@pytest.fixture
def folder(tmp_path):
    """Thirty small images of each of three classes."""
    for label, name in enumerate("abc"):
        (tmp_path / name).mkdir()
        for i in range(30):
            Image.new("RGB", (8, 8), (8 * i, 80 * label, 0)).save(tmp_path / name / f"{i}.png")
    return tmp_path


@pytest.fixture(params=["digits", "folder", "own validation"])
def opened(request, folder, tmp_path_factory):
    """A function: the images with so many shots."""
    if request.param == "digits":
        return lambda shots, seed=0: open_data(DigitsSettings(name="digits", shots=shots, seed=seed))
    given = {"name": "folder", "root": str(folder)}
    if request.param == "own validation":
        val = tmp_path_factory.mktemp("val")
        for name in "abc":
            (val / name).mkdir()
            Image.new("RGB", (8, 8), (3, 3, 3)).save(val / name / "0.png")
        given["val_root"] = str(val)
    return lambda shots, seed=0: open_data(FolderSettings(**given, shots=shots, seed=seed))


def trained_on(data) -> list[tuple[bytes, int]]:
    images = data.train_set(image_size=8, augmentation="none")
    batch, labels = images.batch([(i, 0) for i in range(len(images))]) if data.white == 1 else (None, images.labels)
    if batch is None:
        return [(images.names[i], int(label)) for i, label in enumerate(labels)]
    return [(image.numpy().tobytes(), int(label)) for image, label in zip(batch, labels, strict=True)]


def test_fewer_images_are_among_more(opened):
    everything = opened(None)
    of_all = set(trained_on(everything))
    smaller: set = set()
    for shots in (1, 5, 20):
        data = opened(shots)
        chosen = trained_on(data)
        assert data.train_size == len(chosen) == shots * data.num_classes
        assert torch.tensor([label for _, label in chosen]).bincount().tolist() == [shots] * data.num_classes
        assert smaller < set(chosen) <= of_all
        smaller = set(chosen)
        assert data.val_size == everything.val_size
    assert set(trained_on(opened(5, seed=1))) != set(trained_on(opened(5)))


def test_the_fingerprint_tells_them_apart_and_is_that_of_all_without(opened):
    prints = [opened(shots).fingerprint for shots in (None, 1, 5)]
    assert len(set(prints)) == 3
    assert opened(5).fingerprint == prints[2]
