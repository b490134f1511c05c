"""What an epoch draws depends on (seed, epoch, index): not on workers, not on an interruption."""

import pytest
import pytorch_lightning as pl
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch.utils.data import DataLoader

from nars.data import open_data
from nars.settings import DigitsSettings, FolderSettings

SIZES = {"ant": 9, "bee": 7, "cow": 8}


@pytest.fixture
def folder(make_images, tmp_path):
    return open_data(FolderSettings(name="folder", root=str(make_images(tmp_path, SIZES)), val_fraction=0.2))


@pytest.fixture
def digits():
    return open_data(DigitsSettings(name="digits"))


def epoch_batches(loader, epoch):
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same(first, second):
    pairs = list(zip(first, second, strict=True))
    return all(torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in pairs)


CASES = [("digits", "standard"), *(("folder", name) for name in ("none", "standard", "autoaugment", "randaugment"))]


@pytest.mark.parametrize(("name", "augmentation"), CASES)
def test_same_epoch_same_batches_to_the_bit_whatever_the_workers(name, augmentation, request):
    data = request.getfixturevalue(name)
    batch_size = 300 if name == "digits" else 4
    given = {"image_size": 16, "batch_size": batch_size, "augmentation": augmentation, "seed": 5}
    alone, helped = data.train_loader(**given), data.train_loader(**given, workers=2)
    torch.manual_seed(0)
    first = [epoch_batches(alone, epoch) for epoch in range(3)]
    torch.manual_seed(1)
    # Workers stay alive between epochs; epochs asked for in another order must be the same ones.
    second = {epoch: epoch_batches(helped, epoch) for epoch in (2, 0, 1)}
    assert all(same(first[epoch], second[epoch]) for epoch in range(3))
    assert not same(first[0], first[1])
    another = data.train_loader(**given | {"seed": 6})
    assert not same(first[0], epoch_batches(another, 0))


def test_autoaugment_does_not_depend_on_the_number_of_threads(folder):
    given = {"image_size": 96, "batch_size": 18, "augmentation": "autoaugment", "seed": 0}
    one = [epoch_batches(folder.train_loader(**given), epoch) for epoch in range(4)]
    torch.set_num_threads(4)
    try:
        four = [epoch_batches(folder.train_loader(**given), epoch) for epoch in range(4)]
    finally:
        torch.set_num_threads(1)
    assert all(same(a, b) for a, b in zip(one, four, strict=True))


def test_augmentation_of_an_image_changes_with_the_epoch(folder):
    dataset = folder.train_set(image_size=16, augmentation="standard")
    sampler = folder.train_loader(image_size=16, batch_size=2, augmentation="standard", seed=0).sampler
    seeds = []
    for epoch in range(5):
        sampler.set_epoch(epoch)
        seeds.append({draw.index: draw.seed for draw in sampler})
    assert all(len({epoch[index] for epoch in seeds}) == 5 for index in range(len(dataset)))


def test_loaders_leave_the_global_generator_alone(folder, digits):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    for data in (folder, digits):
        for loader in (
            data.train_loader(image_size=16, batch_size=4, augmentation="standard", seed=0),
            data.val_loader(image_size=16, batch_size=4),
        ):
            next(iter(loader))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_holds_every_image_once_and_drops_a_partial_batch_unless_alone(folder):
    assert (folder.train_size, folder.val_size) == (19, 5)
    given = {"image_size": 8, "augmentation": "none", "seed": 0}
    assert sorted(draw.index for draw in folder.train_loader(batch_size=4, **given).sampler) == list(range(19))
    for batch_size, expected in ((4, [4] * 4), (19, [19]), (20, [19])):
        loader = folder.train_loader(batch_size=batch_size, **given)
        assert [len(labels) for _, labels in loader] == expected
        assert len(loader) == len(expected)
    assert [len(labels) for _, labels in folder.val_loader(image_size=8, batch_size=4)] == [4, 1]


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_every_batch_and_all_validation_images(folder, world):
    """19 images in batches of 12 or 24: the parts make up what one process gets, none twice, none missing."""
    for batch_size in (12, 24):
        given = {"image_size": 8, "augmentation": "standard", "seed": 3, "batch_size": batch_size}
        loaders = [folder.train_loader(**given, rank=rank, world=world) for rank in range(world)]
        for epoch in (0, 1):
            for loader in (whole := folder.train_loader(**given), *loaders):
                loader.sampler.set_epoch(epoch)
            batches = list(whole.batch_sampler)
            parts = [list(loader.batch_sampler) for loader in loaders]
            assert [len(part) for part in parts] == [len(batches)] * world == [len(loader) for loader in loaders]
            for batch, *shares in zip(batches, *parts, strict=True):
                assert sorted(batch) == sorted(draw for share in shares for draw in share)
                assert max(map(len, shares)) - min(map(len, shares)) <= 1
    shares = [list(folder.val_loader(image_size=8, batch_size=2, rank=r, world=world).sampler) for r in range(world)]
    assert sorted(draw.index for share in shares for draw in share) == list(range(folder.val_size))


def test_batches_are_bytes_and_become_normalised_floats(folder):
    images, labels = next(iter(folder.train_loader(image_size=16, batch_size=8, augmentation="none", seed=0)))
    assert images.shape == (8, 3, 16, 16)
    assert images.dtype == torch.uint8  # a quarter of what goes between processes
    assert labels.dtype == torch.int64
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert {int(label) for label in labels} <= {0, 1, 2}
    inputs = folder.normalise()(images)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    torch.testing.assert_close(inputs, (images / 255 - mean) / std)
    assert folder.normalise().state_dict() == {}, "a network's weights must not depend on the data"


class Watcher(pl.LightningModule):
    """Trains one weight and notes a checksum of every batch it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {}

    def training_step(self, batch, _):
        images, labels = batch
        self.seen.setdefault(self.current_epoch, []).append((images.double().sum().item(), labels.tolist()))
        return (self.weight * images.float().mean()).square()

    def validation_step(self, batch, _):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data, *, epochs, folder, workers, checkpoint=None):
    module = Watcher()
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    train: DataLoader = data.train_loader(
        image_size=8, batch_size=300 if data.num_classes == 10 else 5, augmentation="standard", seed=1, workers=workers
    )
    trainer.fit(module, train, data.val_loader(image_size=8, batch_size=100), ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return module.seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "workers"), [("digits", 0), ("folder", 0), ("folder", 1)])
def test_a_resumed_lightning_training_draws_what_the_uninterrupted_one_draws(name, workers, request, tmp_path):
    data = request.getfixturevalue(name)
    whole = fit(data, epochs=4, folder=tmp_path, workers=workers)
    fit(data, epochs=2, folder=tmp_path, workers=workers)
    rest = fit(data, epochs=4, folder=tmp_path, workers=workers, checkpoint=tmp_path / "2.ckpt")
    assert sorted(whole) == [0, 1, 2, 3]
    assert sorted(rest) == [2, 3]
    assert rest == {epoch: whole[epoch] for epoch in (2, 3)}
    assert whole[0] != whole[1]
