"""Policies draw what torchvision's draw, and operations make of pixels what torchvision makes of Pillow's images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import to_pil_image

from nars.data.augmentation import AUGMENTATIONS, standard
from nars.data.operations import FILL, OPERATIONS, Canvas, apply
from nars.data.policies import autoaugment, randaugment

POLICIES = {"autoaugment": (autoaugment, v2.AutoAugment), "randaugment": (randaugment, v2.RandAugment)}
INTERPOLATED = {"ShearX", "ShearY", "Rotate"}
MAGNITUDES = {  # of both policies and beyond, with sizes in pixels for translations
    **{name: (0.09, -0.09, 1 / 6, 0.3, -0.3) for name in ("ShearX", "ShearY")},
    **{name: (0.0, 4.9, -4.9, 17.2, -17.2) for name in ("TranslateX", "TranslateY")},
    "Rotate": (9.0, -9.0, 10.0, 26.7, -30.0),
    **{name: (0.0, 0.27, -0.27, 0.8, -0.9) for name in ("Brightness", "Color", "Contrast", "Sharpness")},
    "Posterize": (4, 5, 6, 7, 8),
    "Solarize": (0.0, 0.11, 0.5, 0.7, 1.0),
    **{name: (0.0,) for name in ("Identity", "AutoContrast", "Equalize", "Invert")},
}


def pictures(side: int) -> list[np.ndarray]:
    """Noise; soft colours of a narrow range; one colour; two levels of one channel."""
    rng = np.random.default_rng(side)
    noise = rng.integers(256, size=(side, side, 3), dtype=np.uint8)
    soft = Image.fromarray(rng.integers(40, 200, size=(4, 5, 3), dtype=np.uint8)).resize((side, side), Image.BICUBIC)
    plain = np.full((side, side, 3), (7, 250, 0), np.uint8)
    levels = plain.copy()
    levels[: side // 3, :, 1] = 31
    return [noise, np.array(soft), plain, levels]


def theirs(pixels: np.ndarray, name: str, magnitude: float) -> np.ndarray:
    """What torchvision makes of Pillow's image."""
    policy = v2.RandAugment(interpolation=InterpolationMode.BILINEAR, fill=list(FILL))
    given = {"interpolation": policy.interpolation, "fill": policy._fill}
    return np.array(policy._apply_image_or_video_transform(Image.fromarray(pixels), name, magnitude, **given))


@pytest.mark.parametrize("side", [8, 37, 64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvision_s_on_pillow_s_image(name, side):
    for pixels in pictures(side):
        for magnitude in MAGNITUDES[name]:
            kept, expected = pixels.copy(), theirs(pixels, name, magnitude).astype(int)
            ours = apply(pixels, [(name, magnitude)])
            assert (pixels == kept).all()
            assert (ours.dtype, ours.shape) == (np.uint8, expected.shape)
            difference = np.abs(ours - expected)
            if name not in INTERPOLATED:
                assert difference.max() == 0
            else:
                assert difference.max() <= 1
                assert (difference > 0).mean() <= 0.05


def test_tables_that_follow_each_other_are_looked_up_as_one():
    """Every pair of operations that are tables, and the histogram in between; the same as one after the other."""
    tables = ["Brightness", "Contrast", "Posterize", "Solarize", "AutoContrast", "Equalize", "Invert"]
    for pixels in pictures(21):
        for first in tables:
            alone = apply(pixels, [(first, MAGNITUDES[first][-1])])
            for second in tables:
                both = [(first, MAGNITUDES[first][-1]), (second, MAGNITUDES[second][0])]
                assert (apply(pixels, both) == apply(alone, both[1:])).all()
                canvas = Canvas(pixels)
                for name, magnitude in both:
                    OPERATIONS[name](canvas, magnitude)
                levels = apply(alone, both[1:])
                counts = [np.bincount(levels[..., channel].ravel(), minlength=256) for channel in range(3)]
                assert (canvas.histogram() == counts).all()


@pytest.mark.parametrize("name", POLICIES)
def test_draws_are_torchvision_s(name):
    ours, policy = POLICIES[name]

    class Drawn(policy):
        def _apply_image_or_video_transform(self, image, transform_id, magnitude, **_):
            drawn.append((transform_id, magnitude))
            return image

    drawing, seen = Drawn(), set()
    for seed in [*range(400), 2**31 + 5, 2**40 + 1, 2**63 - 1]:
        drawn: list[tuple[str, float]] = []
        torch.manual_seed(seed)
        drawing(torch.zeros(3, 37, 37, dtype=torch.uint8))
        assert ours(seed, 37) == drawn
        seen |= {operation for operation, _ in drawn}
    assert len(seen) == {"autoaugment": 10, "randaugment": 14}[name]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_torchvision_s_after_standard(name):
    pixels = torch.from_numpy(pictures(50)[1]).permute(2, 0, 1)
    ours, policy = POLICIES[name]
    whole = policy(interpolation=InterpolationMode.BILINEAR, fill=list(FILL))
    compared = 0
    for seed in range(150):
        if INTERPOLATED & {operation for operation, _ in ours(seed, 33)}:
            continue
        compared += 1
        torch.manual_seed(seed)
        expected = np.asarray(whole(to_pil_image(standard(pixels, seed, image_size=33))))
        assert (AUGMENTATIONS[name](pixels, seed, image_size=33).permute(1, 2, 0).numpy() == expected).all()
    assert compared > 60
