"""What a job asks for arrives in loaders, module, teacher and Trainer."""

import pytest
import torch

from nars.data import open_data
from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.settings import DigitsSettings, TrainerSettings
from nars.training.job import TeacherJob
from nars.training.single.fit import open_trainer
from nars.training.single.processes import Part
from nars.training.single.run import _loaders, _module, run_training
from nars.training.weights.files import write_weights


@pytest.fixture(scope="module")
def data():
    return open_data(DigitsSettings(name="digits"))


def module_of(job, data, *, train_batches=9):
    return _module(job, architecture_of(job.architecture), data, train_batches=train_batches)


@pytest.mark.parametrize("rank", [0, 1])
def test_loaders_give_each_process_its_part_of_the_job_s_batches(make_job, data, tmp_path, rank):
    trainer = TrainerSettings(accelerator="cpu", devices=2, loader_workers=0)
    job = make_job(tmp_path, trainer=trainer, seed=5, protocol={"batch_size": 12, "augmentation": "standard"})
    train, val = _loaders(job, data, 40, Part(rank=rank, world_size=2))
    assert (len(train), len(val)) == (data.train_size // 12, data.val_size // 2 // 12)
    asked = {"image_size": 40, "augmentation": "standard", "seed": 5, "rank": rank, "world": 2}
    expected = data.train_loader(batch_size=12, **asked)
    for mine, theirs in ((train, expected), (val, data.val_loader(image_size=40, batch_size=12, rank=rank, world=2))):
        (images, labels), (other, other_labels) = next(iter(mine)), next(iter(theirs))
        assert torch.equal(images, other)
        assert torch.equal(labels, other_labels)


def test_loaders_have_the_workers_of_the_trainer(make_job, data, tmp_path):
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", loader_workers=2))
    assert [loader.num_workers for loader in _loaders(job, data, 32, Part())] == [2, 2]


def test_a_batch_that_cannot_be_shared_evenly_is_refused(make_job, data, tmp_path):
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", devices=3))
    with pytest.raises(UserError) as error:
        _loaders(job, data, 32, Part(world_size=3))
    assert str(error.value) == "protocol.batch_size=16 is not a multiple of trainer.devices=3; change one"


@pytest.mark.parametrize(("train_size", "val_size"), [(2, 4), (4, 2)])
def test_more_devices_than_images_are_refused(make_job, tmp_path, train_size, val_size):
    """A process without an image takes part in no step, and the others would wait for it."""
    data = open_data(DigitsSettings(name="digits"))
    data.train_size, data.val_size = train_size, val_size
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", devices=4))
    with pytest.raises(UserError) as error:
        _loaders(job, data, 32, Part(world_size=4))
    assert str(error.value) == (
        f"trainer.devices=4: {train_size} images train and {val_size} validate, which must be at least one for each "
        "device; use fewer devices"
    )


@pytest.mark.parametrize(("asked", "there", "steps"), [(3, 9, 3), (9, 3, 3), (None, 7, 7)])
def test_an_epoch_has_the_steps_that_are_asked_for_or_all_there_are(make_job, data, tmp_path, asked, there, steps):
    job = make_job(tmp_path, protocol={"steps_per_epoch": asked})
    assert module_of(job, data, train_batches=there).steps_per_epoch == steps


def test_a_module_is_made_of_its_job(make_job, data, tmp_path):
    """Weights follow from the seed alone, and lie in memory as convolutions are fastest."""
    job = make_job(tmp_path, seed=8, recipe={"mixup": 0.3})
    module, again = module_of(job, data), module_of(job, data)
    torch.manual_seed(8)
    network = network_of(architecture_of(job.architecture), num_classes=10)
    for mine, theirs, expected in zip(
        module.network.parameters(), again.network.parameters(), network.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
        assert torch.equal(mine, expected)
        assert mine.ndim < 4 or mine.is_contiguous(memory_format=torch.channels_last)
    assert (module.recipe.to_dict(), module.protocol, module.seed) == (job.recipe, job.protocol, 8)
    assert module.teacher is None
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(module.normalise(images), data.normalise()(images))


def test_a_teacher_is_the_network_of_its_file_in_evaluation_mode(make_job, data, smallest, tmp_path):
    architecture = smallest | {"resolution": 40, "stem_width": 12}
    torch.manual_seed(99)
    network = network_of(architecture_of(architecture), num_classes=10)
    write_weights(tmp_path / "teacher.safetensors", network)
    teacher = TeacherJob(architecture=architecture, weights=str(tmp_path / "teacher.safetensors"), share=0.7)
    taught = module_of(make_job(tmp_path, teacher=teacher), data).teacher
    assert taught.share == 0.7
    assert not taught.network.training
    images = torch.rand(2, 3, 40, 40)
    torch.testing.assert_close(taught.network(images), network.eval()(images))
    assert all(p.ndim < 4 or p.is_contiguous(memory_format=torch.channels_last) for p in taught.network.parameters())


@pytest.mark.parametrize("accelerator", ["cpu", *(() if torch.cuda.is_available() else ("auto", "gpu"))])
def test_statistics_are_synchronised_on_gpus_only(make_job, data, tmp_path, accelerator):
    trainer = TrainerSettings(accelerator=accelerator, sync_batchnorm=True)
    with pytest.raises(UserError) as error:
        module_of(make_job(tmp_path, trainer=trainer), data)
    assert str(error.value) == "trainer.sync_batchnorm=true needs GPUs; set it to false"


@pytest.mark.parametrize("every", [0, 2])
def test_the_trainer_does_what_the_job_says_and_nothing_besides(make_job, data, tmp_path, every):
    trainer = TrainerSettings(accelerator="cpu", checkpoint_every=every)
    job = make_job(tmp_path, trainer=trainer, protocol={"epochs": 7})
    made = open_trainer(module_of(job, data), job, Part(), [], [])
    assert (made.max_epochs, made.limit_train_batches, made.log_every_n_steps) == (7, 3, 1)
    assert made.default_root_dir == str(tmp_path)
    assert made.num_sanity_val_steps == 0
    assert made.loggers == []
    assert made.precision == "32-true"
    assert (made.num_devices, made.num_nodes, made.world_size) == (1, 1, 1)
    assert made.progress_bar_callback is None
    assert bool(made.checkpoint_callbacks) == (every > 0)


def test_a_device_that_is_not_there_is_one_line(make_job, data, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="gpu"))
    with pytest.raises(UserError) as error:
        run_training(job)
    assert str(error.value) == "trainer.accelerator=gpu: PyTorch sees no GPU here; use auto or cpu"


def test_each_process_draws_its_own(make_job, data, tmp_path):
    """Dropout, stochastic depth and mixing of the processes of one training are not the same, whatever was drawn."""
    trainer, drawn = TrainerSettings(accelerator="cpu", devices=2), []
    for seed, rank in ((1, 0), (1, 0), (1, 1), (2, 1), (2, 0)):
        job = make_job(tmp_path, trainer=trainer, seed=seed)
        module = module_of(job, data)
        module.trainer = open_trainer(module, job, Part(rank=rank, world_size=2, port=1), [], [])
        module.trainer.strategy.set_world_ranks()
        torch.manual_seed(len(drawn))
        module.on_train_epoch_start()
        drawn.append(tuple(torch.rand(2).tolist()))
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 4
