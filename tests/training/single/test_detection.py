"""The training of a detector: what its job says arrives, its curves, and that it goes on to the bit."""

import multiprocessing
import os
import signal
import time

import pytest
import torch

from nars.candidates import load_architecture
from nars.data.detection import open_detection_data
from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.timm_models import pretrained_statistics
from nars.settings import (
    DetectionProtocolSettings,
    LoggerSettings,
    ScatteredDigitsSettings,
    StartSettings,
    TrainerSettings,
)
from nars.settings.detection import detector_settings
from nars.training.detection_job import DetectionJob, detection_identity
from nars.training.job import checkpoint_path
from nars.training.single.detection import run_detection
from nars.training.weights.files import write_weights
from nars.training.weights.start import open_start

DATA = ScatteredDigitsSettings(name="scattered_digits", side=64, digits=2, train_images=8, val_images=3)
DETECTOR = detector_settings({"name": "faster_rcnn", "channels": 16, "hidden": 16, "proposals": 16})


def job_of(folder, *, epochs: int = 2, **protocol) -> DetectionJob:
    values = {"epochs": epochs, "batch_size": 4, "image_size": 64, "lr": 1e-3, "lr_batch_size": 4, "ema_decay": 0.5}
    settings = DetectionProtocolSettings(**values | {"augmentation": "none"} | protocol)
    trainer = TrainerSettings(accelerator="cpu")
    return DetectionJob(
        key="k1",
        architecture=load_architecture("timm:test_efficientnet"),
        recipe={},
        data=DATA,
        detector=DETECTOR,
        protocol=settings,
        trainer=trainer,
        logger=LoggerSettings(),
        training=detection_identity(open_detection_data(DATA), DETECTOR, settings, trainer),
        folder=str(folder),
        epochs=epochs,
        seed=3,
        costs={"macs": 1.0, "params": 1.0},
    )


def weights_of(module) -> dict[str, torch.Tensor]:
    return module.evaluated_network.state_dict()


def same(first, second) -> bool:
    pairs = zip(weights_of(first).values(), weights_of(second).values(), strict=True)
    return first.curves == second.curves and all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_detection(job_of(tmp_path_factory.mktemp("whole"), epochs=3))


def test_a_record_holds_the_map_and_curves_hold_what_is_measured_beside_it(whole):
    record, module = whole
    assert (record.metric, record.status, len(record.accuracies)) == ("map", "finished", 3)
    assert list(module.curves) == ["loss", "map", "ap50", "val_loss"]
    assert all(len(values) == 3 for values in module.curves.values())
    assert all(0 <= value <= 1 for name in ("map", "ap50") for value in module.curves[name])
    assert module.curves["val_loss"][0] > 0.1


def test_a_detector_s_training_goes_on_to_the_bit(whole, tmp_path):
    run_detection(job_of(tmp_path, epochs=1))
    _, resumed = run_detection(job_of(tmp_path, epochs=3))
    assert same(resumed, whole[1])


@pytest.mark.parametrize(("optimizer", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_a_detection_protocol_arrives(tmp_path, optimizer, kind):
    given = {"lr": 0.004, "lr_batch_size": 8, "weight_decay": 0.01, "momentum": 0.7, "ema": False, "steps_per_epoch": 1}
    _, module = run_detection(job_of(tmp_path, epochs=1, optimizer=optimizer, **given))
    [built] = module.trainer.optimizers
    assert type(built) is kind
    assert {group["weight_decay"] for group in built.param_groups} == {0.0, 0.01}
    for group in built.param_groups:
        assert group["initial_lr"] == pytest.approx(0.002)
        assert group.get("momentum", 0.7) == 0.7
    assert module.ema is None
    assert module.global_step == 1


def test_what_decides_a_training_is_part_of_its_key(tmp_path):
    data, trainer = open_detection_data(DATA), TrainerSettings()
    protocol = job_of(tmp_path).protocol
    first = detection_identity(data, DETECTOR, protocol, trainer)
    wider = DETECTOR.model_copy(update={"channels": 32})
    faster = protocol.model_copy(update={"lr": 0.5})
    longer = protocol.model_copy(update={"epochs": 9})
    others = [
        detection_identity(data, wider, protocol, trainer),
        detection_identity(data, DETECTOR, faster, trainer),
        detection_identity(open_detection_data(DATA.model_copy(update={"seed": 4})), DETECTOR, protocol, trainer),
    ]
    assert first not in others
    assert detection_identity(data, DETECTOR, longer, trainer) == first


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """Weights of a classifier of three classes, without a card."""
    torch.manual_seed(8)
    architecture = architecture_of(load_architecture("timm:test_efficientnet"))
    network, path = network_of(architecture, num_classes=3), tmp_path_factory.mktemp("parent") / "weights.safetensors"
    write_weights(path, network)
    return path, network.state_dict()


def begun_job(folder, weights, **given) -> DetectionJob:
    settings = StartSettings(weights=str(weights), **given)
    start = open_start(settings, folder=folder, architecture=load_architecture("timm:test_efficientnet"))
    return job_of(folder / "training", epochs=1, steps_per_epoch=1).model_copy(update={"start": start})


def test_a_frozen_network_that_was_trained_stays_as_it_was_inside_the_detector(parent, tmp_path):
    path, state = parent
    _, module = run_detection(begun_job(tmp_path, path, name="linear_probe", freeze="trunk"))
    prefix, seen = "model.backbone.trunk.network.", 0
    for networks in (module.network, module.evaluated_network):
        for name, tensor in networks.state_dict().items():
            if name.startswith(prefix):
                assert torch.equal(tensor, state[name.removeprefix(prefix)]), name
                seen += 1
    assert seen > 50
    assert any(parameter.requires_grad for parameter in module.network.parameters())
    mean = module.network.model.transform.image_mean
    assert mean == pytest.approx(pretrained_statistics("test_efficientnet")["mean"])


def test_what_the_detector_adds_learns_as_fast_as_a_classifier_would(parent, tmp_path):
    given = {"head_lr_multiplier": 5.0, "layer_decay": 0.5}
    _, module = run_detection(begun_job(tmp_path, parent[0], name="finetune", **given))
    rate = {p: group["initial_lr"] for group in module.trainer.optimizers[0].param_groups for p in group["params"]}
    rates = {name: rate[parameter] for name, parameter in module.network.named_parameters()}
    inside = {name: value for name, value in rates.items() if ".trunk.network." in name}
    assert {value for name, value in rates.items() if name not in inside} == {5e-3}
    assert max(inside.values()) == pytest.approx(0.5e-3)  # the classifier, the last layer, is cut off
    assert inside["model.backbone.trunk.network.conv_stem.weight"] == min(inside.values())
    assert len(set(inside.values())) > 4


def train(folder, epochs: int) -> None:
    torch.set_num_threads(1)
    run_detection(job_of(folder, epochs=epochs))


@pytest.mark.slow
def test_a_killed_detector_goes_on_and_ends_the_same_to_the_bit(whole, tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=train, args=(tmp_path, 3))
    process.start()
    while not checkpoint_path(tmp_path).exists():
        assert process.is_alive()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    _, resumed = run_detection(job_of(tmp_path, epochs=3))
    assert same(resumed, whole[1])


@pytest.mark.slow
def test_several_devices_agree_on_the_map(tmp_path):
    job = job_of(tmp_path, epochs=1, steps_per_epoch=1)
    trainer = TrainerSettings(accelerator="cpu", devices=2)
    record, module = run_detection(job.model_copy(update={"trainer": trainer}))
    assert len(record.accuracies) == 1
    assert len(module.curves["val_loss"]) == 1


def test_batch_norms_of_several_devices_need_gpus(tmp_path):
    trainer = TrainerSettings(accelerator="cpu", sync_batchnorm=True)
    with pytest.raises(UserError, match=r"trainer\.sync_batchnorm=true needs GPUs"):
        run_detection(job_of(tmp_path, epochs=1).model_copy(update={"trainer": trainer}))


def test_an_error_names_the_key_of_detection(tmp_path):
    trainer = TrainerSettings(accelerator="cpu", devices=3)
    with pytest.raises(UserError) as error:
        run_detection(job_of(tmp_path, epochs=1).model_copy(update={"trainer": trainer}))
    assert str(error.value) == "detection_protocol.batch_size=4 is not a multiple of trainer.devices=3; change one"
