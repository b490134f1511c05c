"""Validation as timm does it, random parts as torchvision draws them, and nothing random but by the seed."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2.functional import pil_to_tensor

from nars.data.augmentation import AUGMENTATIONS, centre, random_part

SIZES = [(500, 375), (375, 500), (640, 480), (100, 70), (64, 64), (901, 347), (30, 400)]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft colours with hard edges and noise: what resizing can get wrong."""
    rng = np.random.default_rng(seed)
    soft = Image.fromarray(rng.integers(256, size=(7, 9, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    pixels = np.asarray(soft).copy()
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (255, 0, 128)
    noise = rng.integers(-20, 21, size=pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("image_size", [32, 93, 224, 248, 272])
def test_validation_is_timm_s(size, image_size):
    image = picture(*size)
    timms = create_transform(image_size, interpolation="bicubic", crop_pct=0.875, mean=(0, 0, 0), std=(1, 1, 1))(image)
    ours = centre(pil_to_tensor(image), image_size=image_size)
    assert ours.dtype == torch.uint8
    assert ours.shape == timms.shape
    assert (ours - 255 * timms).abs().max() < 0.01


def test_random_parts_are_distributed_as_torchvision_s():
    """Quantiles of both, over images of both shapes; the square fallback of a very long image is the same."""
    n, rng = 2000, np.random.default_rng(0)
    torch.manual_seed(0)
    for height, width in ((300, 400), (400, 300), (120, 500)):
        image = torch.empty(3, height, width)
        theirs = np.array([RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(n)])
        ours = np.array([random_part(height, width, rng=rng) for _ in range(n)])
        for quantile in (0.05, 0.25, 0.5, 0.75, 0.95):
            difference = np.quantile(ours, quantile, axis=0) - np.quantile(theirs, quantile, axis=0)
            assert (np.abs(difference) <= 0.07 * np.array([height, width, height, width])).all()
        assert (ours >= [0, 0, 1, 1]).all()
        assert (ours[:, 0] + ours[:, 2] <= height).all()
        assert (ours[:, 1] + ours[:, 3] <= width).all()
    long = torch.empty(3, 10, 1000)
    assert random_part(10, 1000, rng=rng) == RandomResizedCrop.get_params(long, (0.08, 1.0), (3 / 4, 4 / 3))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_is_a_matter_of_the_seed(name):
    pixels = pil_to_tensor(picture(200, 150))
    augment = AUGMENTATIONS[name]
    kept = pixels.clone()
    images = [augment(pixels, seed, image_size=64) for seed in range(12)]
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert all(torch.equal(augment(pixels, seed, image_size=64), images[seed]) for seed in range(12))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(pixels, kept)
    assert {(image.shape, image.dtype) for image in images} == {((3, 64, 64), torch.uint8)}
    assert len({image.numpy().tobytes() for image in images}) == (1 if name == "none" else 12)


@pytest.mark.parametrize("name", ["autoaugment", "randaugment"])
def test_policies_change_what_standard_gives(name):
    pixels = pil_to_tensor(picture(200, 150))
    pairs = [(AUGMENTATIONS[k](pixels, seed, image_size=64) for k in (name, "standard")) for seed in range(20)]
    assert sum(not torch.equal(*pair) for pair in pairs) > 10


def test_standard_shows_parts_and_mirrors_half_of_them():
    """A picture of its own coordinates: red rises to the right, green downwards."""
    x, y = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="xy")
    pixels = torch.stack([x, y, torch.zeros_like(x)]).to(torch.uint8)
    images = [AUGMENTATIONS["standard"](pixels, seed, image_size=32).float() for seed in range(400)]
    mirrored = sum(bool(image[0, :, 0].mean() > image[0, :, -1].mean()) for image in images)
    assert 150 < mirrored < 250
    assert all(image[1, 0].mean() < image[1, -1].mean() for image in images)
    shares = [(image[0].max() - image[0].min()) * (image[1].max() - image[1].min()) / 255**2 for image in images]
    assert 0.05 < min(shares) < 0.2
    assert 0.85 < max(shares) <= 1
