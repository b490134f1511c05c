"""What an epoch draws depends on (seed, epoch, index), not on workers; targets are those of their images."""

import pytest
import torch

from nars.data.detection import open_detection_data
from nars.settings import ScatteredDigitsSettings, YoloSettings


@pytest.fixture
def scattered():
    settings = ScatteredDigitsSettings(name="scattered_digits", side=96, train_images=11, val_images=5)
    return open_detection_data(settings), "none"


@pytest.fixture
def annotated(write_annotated):
    values, _ = write_annotated("yolo", images=11)
    return open_detection_data(YoloSettings(**values)), "standard"


def batches_of(loader, epoch: int) -> list:
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same(first: list, second: list) -> bool:
    """Whether all tensors of two lists of batches are equal."""
    flat = [
        [tensor for images, targets in batches for tensor in (*images, *(t[k] for t in targets for k in sorted(t)))]
        for batches in (first, second)
    ]
    return all(torch.equal(a, b) for a, b in zip(*flat, strict=True))


@pytest.mark.parametrize("name", ["scattered", "annotated"])
def test_same_epoch_same_detection_batches_whatever_the_workers(name, request):
    data, augmentation = request.getfixturevalue(name)
    given = {"image_size": 80, "batch_size": 4, "augmentation": augmentation, "seed": 5}
    alone, helped = data.train_loader(**given), data.train_loader(**given, workers=2)
    first = [batches_of(alone, epoch) for epoch in range(2)]
    torch.manual_seed(1)
    second = {epoch: batches_of(helped, epoch) for epoch in (1, 0)}
    assert all(same(first[epoch], second[epoch]) for epoch in range(2))
    indices = [[int(t["index"]) for _, targets in batches for t in targets] for batches in first]
    assert indices[0] != indices[1]


@pytest.mark.parametrize("name", ["scattered", "annotated"])
def test_processes_share_every_detection_batch(name, request):
    data, augmentation = request.getfixturevalue(name)
    given = {"image_size": 80, "batch_size": 4, "augmentation": augmentation, "seed": 5}
    whole = [{int(t["index"]) for t in targets} for _, targets in batches_of(data.train_loader(**given), 0)]
    parts = [
        [
            {int(t["index"]) for t in targets}
            for _, targets in batches_of(data.train_loader(**given, rank=r, world=2), 0)
        ]
        for r in range(2)
    ]
    assert [first | second for first, second in zip(*parts, strict=True)] == whole
    seen = [
        int(t["index"])
        for rank in range(2)
        for _, targets in data.val_loader(image_size=80, batch_size=2, rank=rank, world=2)
        for t in targets
    ]
    assert sorted(seen) == list(range(data.val_size))


@pytest.mark.parametrize("name", ["scattered", "annotated"])
def test_boxes_times_their_scale_are_those_of_the_whole_image(name, request):
    data, _ = request.getfixturevalue(name)
    loader = data.val_loader(image_size=80, batch_size=2)
    for images, targets in loader:
        for image, target in zip(images, targets, strict=True):
            index = int(target["index"])
            assert image.dtype == torch.uint8
            assert max(image.shape[1:]) == 80
            objects = loader.dataset.objects(index)
            kept = objects.where(~objects.crowd)
            torch.testing.assert_close(target["boxes"] * target["scale"].repeat(2), kept.boxes)
            assert torch.equal(target["labels"], kept.labels)
