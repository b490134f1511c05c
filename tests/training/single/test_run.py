"""One training: it learns, it is decided by its job, and its record says what happened."""

import json
import time
from datetime import UTC, datetime

import pytest
import torch
from torch import distributed, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from nars.data import open_data
from nars.errors import UserError
from nars.networks.architectures import image_size
from nars.records import Origin, Record
from nars.settings import DigitsSettings, FolderSettings, ProtocolSettings, Recipe, Settings, TrainerSettings
from nars.spaces.architecture import Architecture
from nars.training.job import origin_of, training_identity
from nars.training.single import fit
from nars.training.single.base import BaseModule
from nars.training.single.fit import open_trainer
from nars.training.single.optimization import base_lr, lr_factor
from nars.training.single.processes import Part
from nars.training.single.run import _loaders, run_training


def accuracy(network: torch.nn.Module, side: int = 32) -> float:
    """Top-1 fraction on the digits' validation images, counted here."""
    right = total = 0
    data = open_data(DigitsSettings(name="digits"))
    with torch.no_grad():
        for images, labels in data.val_loader(image_size=side, batch_size=32):
            right += int((network.eval()(data.normalise()(images)).argmax(1) == labels).sum())
            total += len(labels)
    assert total == 360
    return right / total


@pytest.mark.slow
@pytest.mark.parametrize(("optimizer", "ema"), [("rmsprop", True), ("sgd", False)])
def test_a_small_network_learns_the_digits(make_job, tmp_path, optimizer, ema):
    """The rate falls so fast that the last epoch changes little: before, running statistics lag behind the weights, and
    the accuracy is anything. Four seeds on five kinds of processor end above 0.75 with RMSProp and 0.5 with SGD.
    """
    told = []
    protocol = {"epochs": 4, "steps_per_epoch": 50, "lr_decay": 0.2}
    job = make_job(tmp_path, recipe={"optimizer": optimizer, "ema": ema}, protocol=protocol)
    record, module = run_training(job, on_epoch=lambda *epoch: told.append(epoch))
    assert record.status == "finished"
    assert record.epochs == len(record.accuracies) == 4
    assert record.accuracies[-1] > 0.4  # ten classes: chance is 0.1
    assert module.losses == sorted(module.losses, reverse=True)
    assert told == list(enumerate(record.accuracies, start=1))
    lines = [json.loads(line) for line in (tmp_path / "epochs.jsonl").read_text().splitlines()]
    assert lines == [{"epoch": epoch, "accuracy": value} for epoch, value in told]
    assert (record.key, record.seed, record.costs) == (job.key, job.seed, job.costs)
    assert record.candidate == job.candidate
    assert record.training == job.training
    assert 0 < record.seconds < 300
    assert record.versions == {"torch": torch.__version__.split("+")[0]}
    assert accuracy(module.evaluated_network) == pytest.approx(record.accuracies[-1])
    assert (module.evaluated_network is module.network) == (not ema)


def test_averaged_weights_are_what_is_evaluated(make_job, tmp_path):
    """A slow average lags behind the network; `test_module` plants networks whose accuracies differ for certain."""
    record, module = run_training(make_job(tmp_path, protocol={"epochs": 1, "steps_per_epoch": 40, "ema_decay": 0.999}))
    assert accuracy(module.ema.module) == pytest.approx(record.accuracies[0])
    assert not torch.equal(module.ema.module.classifier.weight, module.network.classifier.weight)


def test_weights_are_averaged_after_every_step(make_job, tmp_path):
    """By hand, over three steps: a decay of 1 - (1 + step)^(-2/3), which the protocol's 0.5 limits. Buffers too."""
    states = []
    for steps in (1, 2, 3):
        protocol = {"epochs": 1, "steps_per_epoch": steps, "warmup_epochs": 0, "ema_decay": 0.5}
        _, module = run_training(make_job(tmp_path, protocol=protocol))
        states.append(module.network.state_dict())
    average = module.ema.module.state_dict()
    decays = [min(0.5, 1 - (1 + step) ** (-2 / 3)) for step in range(3)]
    assert decays == pytest.approx([0, 0.37, 0.5], abs=0.001)
    moved = 0
    for name, value in average.items():
        if value.is_floating_point():
            expected = torch.zeros_like(value)
            for decay, state in zip(decays, states, strict=True):
                expected = decay * expected + (1 - decay) * state[name]
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
            moved += not torch.equal(states[0][name], states[2][name])
    assert moved > 20


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd"])
def test_a_shorter_training_is_the_beginning_of_a_longer_one(make_job, everything_random, tmp_path, optimizer):
    """To the bit, with everything random in a recipe, whatever was drawn before."""
    recipe = everything_random | {"optimizer": optimizer}
    data = {"steps_per_epoch": 8, "augmentation": "standard"}
    records = {}
    for epochs in (3, 1):
        torch.manual_seed(epochs)
        torch.rand(epochs)
        records[epochs] = run_training(make_job(tmp_path, recipe=recipe, protocol=data | {"epochs": epochs}))
    assert records[1][0].accuracies == records[3][0].accuracies[:1]
    assert records[1][1].losses == records[3][1].losses[:1]
    assert len(set(records[3][1].losses)) == 3
    again, module = run_training(make_job(tmp_path, recipe=recipe, protocol=data | {"epochs": 3}))
    assert again.accuracies == records[3][0].accuracies
    for mine, theirs in zip(module.state_dict().values(), records[3][1].state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_record_says_when_the_training_began(make_job, tmp_path):
    before = datetime.now(UTC).replace(microsecond=0)
    record, _ = run_training(make_job(tmp_path))
    assert before <= record.started <= datetime.now(UTC)
    assert Record.read(json.dumps(record.content())) == record


def test_another_seed_is_another_training(make_job, tmp_path):
    weights = [run_training(make_job(tmp_path, seed=seed))[1].network.classifier.weight for seed in (0, 1)]
    assert not torch.equal(*weights)


@pytest.mark.parametrize("key", [key for key, field in Recipe.model_fields.items() if field.annotation is float])
def test_every_number_of_a_recipe_changes_the_training(make_job, smallest, tmp_path, key):
    *stages, last = smallest["stages"]
    deeper = smallest | {"stages": [*stages, last | {"depth": 2}]}  # a block with a skip, which can be dropped
    jobs = [make_job(tmp_path, recipe={key: value}, architecture=deeper) for value in (0.01, 0.5)]
    outcomes = [run_training(job)[1].network.classifier.weight.detach() for job in jobs]
    assert not torch.equal(*outcomes)


def test_label_smoothing_changes_the_training(make_job, tmp_path):
    protocols = ({}, {"label_smoothing": 0.2})
    outcomes = [run_training(make_job(tmp_path, protocol=p))[1].network.classifier.weight.detach() for p in protocols]
    assert not torch.equal(*outcomes)


def test_the_rate_follows_the_schedule_step_by_step(make_job, tmp_path):
    job = make_job(tmp_path, protocol={"epochs": 3, "steps_per_epoch": 4, "lr_decay": 0.5, "warmup_epochs": 1})
    _, module = run_training(job)
    expected = base_lr(module.recipe, job.protocol) * lr_factor(12, 4, job.protocol)
    for group in module.trainer.optimizers[0].param_groups:
        assert group["lr"] == pytest.approx(expected)
    assert module.trainer.global_step == 12


def test_every_step_of_an_epoch_is_told(make_job, tmp_path):
    told, started = [], time.monotonic()
    job = make_job(tmp_path, epochs=2, protocol={"steps_per_epoch": 3})
    run_training(job, on_step=lambda *step: told.append(step))
    assert [step[:3] for step in told] == [(epoch, step, 3) for epoch in (1, 2) for step in (1, 2, 3)]
    least = job.protocol.batch_size / (time.monotonic() - started)
    assert all(images_per_second > least for *_, images_per_second in told)


def test_an_epoch_is_no_longer_than_the_images_last(make_job, tmp_path):
    """1437 images in batches of 512 are two whole batches."""
    job = make_job(tmp_path, protocol={"epochs": 1, "steps_per_epoch": 100, "batch_size": 512})
    _, module = run_training(job)
    assert module.steps_per_epoch == module.trainer.global_step == 2


def test_a_divergence_is_a_record(make_job, tmp_path):
    job = make_job(tmp_path, recipe={"optimizer": "sgd", "lr": 1e30}, protocol={"epochs": 5})
    record, module = run_training(job)
    assert record.status == "diverged"
    assert record.accuracies == ()
    assert record.epochs == 5
    assert module.trainer.current_epoch <= 1  # it does not go on
    assert (tmp_path / "epochs.jsonl").read_text() == ""
    assert all(record.answers(epochs) for epochs in (1, 5, 100))


def test_a_divergence_keeps_the_epochs_before_it(make_job, tmp_path):
    """A weight decay so large that every step multiplies the weights, until they overflow."""
    recipe = {"optimizer": "sgd", "weight_decay": 3e4}
    told = []
    job = make_job(tmp_path, recipe=recipe, protocol={"epochs": 9})
    record, _ = run_training(job, on_epoch=lambda *epoch: told.append(epoch))
    assert record.status == "diverged"
    assert 1 <= len(record.accuracies) < 9
    assert told == list(enumerate(record.accuracies, start=1))
    assert len((tmp_path / "epochs.jsonl").read_text().splitlines()) == len(record.accuracies)
    shorter, _ = run_training(make_job(tmp_path, recipe=recipe, protocol={"epochs": len(record.accuracies)}))
    assert shorter.status == "finished"
    assert shorter.accuracies == record.accuracies


def test_image_sizes_are_scaled_resolutions(smallest):
    architecture = Architecture.from_dict(smallest | {"resolution": 248})
    protocol = ProtocolSettings(epochs=1, batch_size=8)
    assert image_size(architecture, protocol) == 248
    assert image_size(architecture, protocol.model_copy(update={"image_scale": 0.5})) == 124
    assert image_size(architecture, protocol.model_copy(update={"image_scale": 0.01})) == 32


def test_what_decides_a_training_is_in_its_identity_and_the_epochs_are_not():
    data, other = open_data(DigitsSettings(name="digits")), open_data(DigitsSettings(name="digits", seed=1))
    protocol, trainer = ProtocolSettings(epochs=4, batch_size=16), TrainerSettings()

    def identity(data=data, protocol=protocol, **trainer_keys):
        return training_identity(data, protocol, trainer.model_copy(update=trainer_keys))

    assert identity() == json.loads(json.dumps(identity()))
    assert identity() == identity(protocol=protocol.model_copy(update={"epochs": 9}))
    assert identity() == identity(accelerator="cpu", loader_workers=3)
    assert identity() != identity(precision="bf16-mixed")
    assert identity() != identity(data=other)
    for key, value in {"batch_size": 32, "lr_decay": 0.9, "image_scale": 0.5, "augmentation": "none"}.items():
        assert identity() != identity(protocol=protocol.model_copy(update={key: value}))


def test_the_origin_names_the_data_and_the_folder_that_it_lies_in(tmp_path, monkeypatch):
    class Noise(Settings):
        name: str = "noise"

    data = open_data(DigitsSettings(name="digits"))
    for settings in (DigitsSettings(name="digits"), Noise()):
        assert origin_of(data, settings) == Origin(data=settings.name, classes=10)
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    for root in (".", str(tmp_path / "pets"), "../pets/"):
        origin = origin_of(data, FolderSettings(name="folder", root=root), search_space="a", recipe_space="b")
        assert origin == Origin(data="folder pets", classes=10, search_space="a", recipe_space="b")


def test_half_precision_on_a_cpu_is_refused_before_anything_is_trained(make_job, tmp_path):
    """Lightning would train in bfloat16, and the record would say 16-mixed."""
    for accelerator in ("cpu", *(() if torch.cuda.is_available() else ("auto",))):
        trainer = TrainerSettings(accelerator=accelerator, precision="16-mixed", checkpoint_every=0)
        with pytest.raises(UserError, match=r"^trainer.precision=16-mixed needs a GPU"):
            run_training(make_job(tmp_path, trainer=trainer))
    assert not list(tmp_path.iterdir())


def test_what_is_trained_and_validated_in_bfloat16_is_so(make_job, tmp_path):
    dtypes = {True: set(), False: set()}
    hook = nn.modules.module.register_module_forward_hook(
        lambda layer, _, out: dtypes[layer.training].add(out.dtype) if isinstance(layer, nn.Linear) else None
    )
    try:
        run_training(make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", precision="bf16-mixed")))
    finally:
        hook.remove()
    assert dtypes == {True: {torch.bfloat16}, False: {torch.bfloat16}}


def test_a_gpu_gets_pinned_batches(make_job, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    data = open_data(DigitsSettings(name="digits"))
    for accelerator, pinned in (("auto", True), ("gpu", True), ("cpu", False)):
        job = make_job(tmp_path, trainer=TrainerSettings(accelerator=accelerator))
        assert [loader.pin_memory for loader in _loaders(job, data, 32, Part())] == [pinned, pinned]


def test_cudnn_looks_for_its_fastest_convolutions_in_long_trainings_only(make_job, tmp_path, monkeypatch):
    """Two epochs of three steps are as long as asked for; a worker trains several after each other."""
    monkeypatch.setattr(fit, "LONG_TRAINING", 6)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    looked = []
    for protocol in ({}, {"epochs": 1}, {"steps_per_epoch": 2}, {"epochs": 3, "steps_per_epoch": 2}):
        run_training(make_job(tmp_path, protocol=protocol))
        looked.append(torch.backends.cudnn.benchmark)
    assert looked == [True, False, False, True]
    monkeypatch.setattr(BaseModule, "one_shape", False)
    run_training(make_job(tmp_path))
    assert not torch.backends.cudnn.benchmark


def test_several_processes_do_not_send_their_buffers_in_every_step(make_job, tmp_path):
    """One of them here, in a group of its own: what DDP is asked for is in the module that it wraps."""
    _, module = run_training(make_job(tmp_path))
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", devices=2))
    strategy = open_trainer(module, job, Part(world_size=2, port=1), [], []).strategy
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        assert not strategy._setup_model(nn.BatchNorm2d(2)).will_sync_module_buffers()
    finally:
        distributed.destroy_process_group()


def test_out_of_gpu_memory_comes_out_as_it_is(make_job, tmp_path):
    """So that who runs many trainings can tell it from what is worth another try."""
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def fail(*_) -> None:
        raise error

    hook = register_optimizer_step_post_hook(fail)
    try:
        with pytest.raises(torch.OutOfMemoryError) as raised:
            run_training(make_job(tmp_path))
    finally:
        hook.remove()
    assert raised.value is error
