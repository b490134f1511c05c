"""Boxes follow their objects, whatever is done to the image: rectangles of one colour each, over many seeds."""

import pytest
import torch

from nars.data.detection.augmentation import AUGMENTATIONS, augmented, resized, resized_size

BACKGROUND = 0


def painted(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An image with up to four rectangles that do not overlap, each of a colour of its own, their boxes and labels."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    height, width = draw(60, 120), draw(60, 120)
    image = torch.full((3, height, width), BACKGROUND, dtype=torch.uint8)
    boxes = []
    for quarter in range(draw(1, 5)):
        left, top = (quarter % 2) * (width // 2), (quarter // 2) * (height // 2)
        x, y = left + draw(1, width // 4), top + draw(1, height // 4)
        boxes.append([x, y, x + draw(8, width // 4), y + draw(8, height // 4)])
        image[:, y : boxes[-1][3], x : boxes[-1][2]] = 60 + 60 * quarter
    return image, torch.tensor(boxes, dtype=torch.float32), torch.arange(len(boxes))


def extent(image: torch.Tensor, colour: int) -> list[float] | None:
    """Where a colour is in an image: left, top, right, bottom."""
    rows, columns = (image[0] == colour).nonzero(as_tuple=True)
    if not len(rows):
        return None
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_boxes_are_where_the_colours_are(name):
    mirrored = cut = kept = 0
    for seed in range(80):
        image, boxes, labels = painted(seed)
        part, placed, named = augmented(image, boxes, labels, how=name, seed=seed)
        for box, label in zip(placed.tolist(), named.tolist(), strict=True):
            assert box == extent(part, 60 + 60 * label), (seed, label)
        gone = set(labels.tolist()) - set(named.tolist())
        assert name == "standard" or not gone
        kept += len(named)
        cut += part.shape != image.shape
        mirrored += part.shape == image.shape and not torch.equal(part, image)
    assert kept > 80
    assert (mirrored > 10) == (name == "flip")
    assert (cut > 20) == (name == "standard")


def test_a_resized_box_is_where_its_object_is():
    """Within a pixel, which is blurred."""
    for seed in range(30):
        image, boxes, labels = painted(seed)
        for side in (48, 100, 250):
            pixels, placed = resized(image, boxes, image_size=side)
            assert max(pixels.shape[1:]) == side
            for box, label in zip(placed, labels.tolist(), strict=True):
                left, top, right, bottom = box.round().long().tolist()
                middle = pixels[0, (top + bottom) // 2, (left + right) // 2]
                assert abs(int(middle) - (60 + 60 * label)) <= 2


def test_nothing_is_drawn_from_the_global_generator_and_a_seed_decides_all():
    image, boxes, labels = painted(0)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    results = [augmented(image, boxes, labels, how="standard", seed=seed) for seed in (5, 5, 6, 7, 8)]
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(results[0], results[1], strict=True))
    assert len({pixels.sum().item() for pixels, *_ in results}) > 1


@pytest.mark.parametrize(
    ("height", "width", "wanted"), [(100, 200, (64, 128)), (1, 5000, (1, 128)), (30, 20, (128, 85))]
)
def test_the_longer_side_gets_its_length(height, width, wanted):
    assert resized_size(height, width, image_size=128) == wanted
