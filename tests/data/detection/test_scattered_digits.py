"""Digits on canvases: where the boxes say they are, the same every time, others for validation."""

import pytest
import torch

from nars.data.detection import open_detection_data
from nars.errors import UserError
from nars.settings import ScatteredDigitsSettings


def data_of(**given):
    return open_detection_data(ScatteredDigitsSettings(**{"name": "scattered_digits"} | given))


def test_a_box_is_where_the_ink_of_its_digit_is():
    """Outside of all boxes there is the background alone; every box holds ink up to its four sides."""
    images = data_of(digits=4, side=160).train_set(image_size=160, augmentation="none")
    outside, inside = [], []
    for index in range(60):
        image, objects = images.image(index)[0].float(), images.objects(index)
        assert 1 <= len(objects.labels) <= 4
        covered = torch.zeros_like(image, dtype=torch.bool)
        for left, top, right, bottom in objects.boxes.long().tolist():
            assert 0 <= left < right <= 160
            assert 0 <= top < bottom <= 160
            covered[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = True
            part = image[top:bottom, left:right]
            inside += [part[0].max(), part[-1].max(), part[:, 0].max(), part[:, -1].max()]
        outside.append(image[~covered].mean())
    assert max(outside) < 30
    assert torch.stack(inside).min() > 25
    assert torch.stack(inside).mean() > 70


def test_canvases_are_the_same_every_time_and_others_for_another_seed_or_part():
    first, again, other = data_of(), data_of(), data_of(seed=1)
    train, val = first.train_set(image_size=128, augmentation="none"), first.val_set(image_size=128)
    assert torch.equal(train.image(3), again.train_set(image_size=128, augmentation="none").image(3))
    assert not torch.equal(train.image(3), val.image(3))
    assert not torch.equal(train.image(3), other.train_set(image_size=128, augmentation="none").image(3))
    assert (len(train), len(val)) == (first.train_size, first.val_size) == (2000, 200)
    assert first.fingerprint == again.fingerprint
    keys = [data.fingerprint for data in (first, other, data_of(side=96), data_of(val_images=9), data_of(digits=2))]
    assert len(set(keys)) == 5


def test_no_digit_is_in_both_parts():
    data = data_of()
    parts = [{image.tobytes() for image in images} for images, _ in data._parts]
    assert len(parts[0]) > 1000
    assert len(parts[0] & parts[1]) < 5  # a few of scikit-learn's digits are there twice


def test_a_digit_is_not_mirrored():
    with pytest.raises(UserError) as error:
        data_of().train_set(image_size=128, augmentation="flip")
    assert str(error.value).startswith("detection_data=scattered_digits: a mirrored or cut digit may be another; give")
