"""`train.py` as a person runs it: candidates of all kinds, going on, weights and their card, several processes."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from torch.optim.optimizer import register_optimizer_step_post_hook

from nars.candidates import load_architecture
from nars.commands.evaluate import evaluate_weights
from nars.commands.one_training import SECONDS_BETWEEN_LINES, EpochLines
from nars.commands.train import train_candidate
from nars.configuration import settings_from
from nars.data import open_data
from nars.errors import UserError
from nars.networks.build import build_network
from nars.records import Ledger
from nars.settings import DigitsSettings, TrainSettings
from nars.spaces.architecture import Architecture
from nars.training.claims import Claims
from nars.training.weights.card import load_trained
from nars.training.weights.files import write_weights

ROOT = Path(__file__).parents[1]
STAGE = {"stride": 2, "kernel_first": 3, "kernel_rest": 3, "expansion_first": 2, "expansion_rest": 2, "se": True}
CANDIDATE = {
    "architecture": {
        "resolution": 40,
        "stem_width": 12,
        "stages": [STAGE | {"width": 20, "depth": 2}, STAGE | {"width": 28, "depth": 1, "stride": 1}],
        "head": {"expansion": 2, "width": 32},
    },
    "recipe": {
        "lr": 0.03,
        "optimizer": "sgd",
        "ema": True,
        "dropout": 0.1,
        "stochastic_depth": 0.1,
        "mixup": 0.1,
        "weight_decay": 1e-5,
    },
    "predicted_accuracy": 0.5,
}
SHORT = ("protocol.steps_per_epoch=4", "protocol.image_scale=1.0", "trainer.accelerator=cpu")
TIMM = ("candidate=timm:test_resnet", "recipe=middle", "recipe.stochastic_depth=0.0", "protocol.image_scale=0.25")


def run(*arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, "train.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


def run_here(*overrides: str) -> tuple[str, object]:
    """The output and the result of the same without the seconds that a new process takes to import."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = settings_from(compose("train", overrides=list(overrides)), TrainSettings)
    output = io.StringIO()
    work = train_candidate if settings.mode == "train" else evaluate_weights
    result = work(settings, Console(file=output, width=300))
    return output.getvalue(), result


@pytest.fixture
def candidate_file(tmp_path) -> Path:
    file = tmp_path / "best-1.yaml"
    file.write_text(yaml.safe_dump(CANDIDATE))
    return file


@pytest.fixture
def train(candidate_file, tmp_path):
    """A function: train the small candidate, or another, for one epoch, or more."""

    def train(*overrides: str) -> tuple[str, Path]:
        given = (f"candidate={candidate_file}", f"runs_dir={tmp_path}", "protocol.epochs=1", *SHORT, "logger=none")
        keys = {override.split("=")[0] for override in overrides}
        return run_here(*(o for o in given if o.split("=")[0] not in keys), *overrides)

    return train


def card_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "card.yaml").read_text())


def test_train_writes_weights_of_the_given_candidate_and_recipe(candidate_file, tmp_path):
    done = run(
        f"candidate={candidate_file}", "recipe.optimizer=rmsprop", f"runs_dir={tmp_path}", "protocol.epochs=2", *SHORT
    )
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2: accuracy" in done.stdout
    weights = next(tmp_path.rglob("weights.safetensors"))
    card = card_of(weights.parent)
    assert card["recipe"] == CANDIDATE["recipe"] | {"optimizer": "rmsprop"}
    network = build_network(Architecture.from_dict(card["architecture"]), num_classes=10)
    network.load_state_dict(load_file(weights))
    assert card["params"] == sum(p.numel() for p in network.parameters())
    files = {file.name for file in weights.parent.iterdir()}
    assert files == {"card.yaml", "weights.safetensors", "metrics.csv", "epochs.jsonl"}
    assert weights.with_name("metrics.csv").read_text().count("\n") == 3
    assert not list(tmp_path.rglob("*.ckpt")) + list(tmp_path.rglob("best.safetensors"))
    (record,) = Ledger(tmp_path / "trained" / "records.jsonl")
    assert card["top1"] == pytest.approx(max(record.accuracies))
    assert card["epoch"] == record.accuracies.index(max(record.accuracies)) + 1
    assert f"top-1 accuracy {card['top1']:.4f}, top-5 {card['top5']:.4f} on 360 validation images" in done.stdout
    assert " px with a classifier of 10 classes (a search counts constraint.num_classes)" in done.stdout

    # The card is what measuring, loading and training again need.
    output, result = run_here("mode=evaluate", f"weights={weights}")
    assert f"top-1 accuracy {card['top1']:.4f}, top-5 {card['top5']:.4f} on {card['images']} validation" in output
    assert (result.accuracy, result.costs["macs"], result.recipe) == (card["top1"], card["macs"], card["recipe"])
    assert {name: card[name] for name in ("mean", "std")} == open_data(DigitsSettings(name="digits")).statistics
    images = torch.randn(2, 3, 40, 40)
    assert torch.equal(load_trained(weights)(images), network.eval()(images))
    with contextlib.chdir("/"):
        exec(card["load"], loaded := {})
    assert torch.equal(loaded["network"](images), network(images))
    again = (f"candidate={weights.with_name('card.yaml')}", f"runs_dir={tmp_path}", "protocol.epochs=2", *SHORT)
    output, folder = run_here(*again)
    assert (folder, output.splitlines()[0]) == (weights.parent, "already trained (resume=false trains again)")


def some_left(group: int) -> bool:
    """Whether a process of the group lives."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGTERM")
@pytest.mark.parametrize("devices", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_training_that_is_told_to_end_says_that_it_has_not_finished(candidate_file, tmp_path, devices):
    """All its processes are told, as schedulers do, and all end."""
    overrides = (f"candidate={candidate_file}", f"runs_dir={tmp_path}", "protocol.epochs=10000", *SHORT)
    process = subprocess.Popen(
        [sys.executable, "train.py", *overrides, f"trainer.devices={devices}"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert any("epoch 1/" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        deadline = time.monotonic() + 30
        while some_left(process.pid):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 143
    assert errors.strip().splitlines()[-1].startswith("stopped; all that was finished is kept")


def test_the_same_command_goes_on_unless_told_otherwise(train):
    kept = "trainer.keep_checkpoints=true"
    output, folder = train(kept)
    assert "  epoch 1/1" in output
    first = (folder / "weights.safetensors").read_bytes()
    output, _ = train(kept)
    assert output.startswith("already trained")
    assert f"top-1 accuracy {card_of(folder)['top1']:.4f}" in output
    _, longer = train(kept, "protocol.epochs=2")  # has weights of its own
    assert (card_of(folder)["epochs"], card_of(longer)["epochs"]) == (1, 2)
    assert (folder / "weights.safetensors").read_bytes() == first
    output, _ = train(kept, "resume=false")
    assert "  epoch 1/1" in output
    assert (folder / "weights.safetensors").read_bytes() == first


@pytest.fixture
def stops(monkeypatch):
    """A context in which trainings are stopped in their second epoch."""

    def stop(self, epoch: int, accuracy: float) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def context():
        with monkeypatch.context() as patch:
            patch.setattr("nars.commands.one_training.EpochLines.__call__", stop)
            with pytest.raises((KeyboardInterrupt, SystemExit)):
                yield

    return context


def test_a_training_that_is_stopped_leaves_finished_weights_as_they_are(train, stops):
    _, folder = train("protocol.epochs=2")
    files = [folder / "card.yaml", folder / "weights.safetensors"]
    before = [file.read_bytes() for file in files]
    with stops():
        train("protocol.epochs=2", "resume=false")
    with stops():
        train("protocol.epochs=3")
    assert [file.read_bytes() for file in files] == before
    output, _ = train("protocol.epochs=3")
    assert "gone on after epoch 1" in output
    assert [file.read_bytes() for file in files] == before


def test_what_another_process_trains_is_left_to_it(train, tmp_path):
    _, folder = train()
    (folder / "card.yaml").unlink()
    other = Claims(folder.parent)
    assert other.take(folder.name)
    try:
        with pytest.raises(UserError, match=rf"process {os.getpid()} on .* is training this; wait for it, or stop it"):
            train()
        assert "  epoch 2/2" in train("protocol.epochs=2")[0]
    finally:
        other.release_all()
    assert "  epoch 1/1" in train()[0]
    assert not list(tmp_path.rglob("claim"))


def test_a_claim_that_was_left_on_another_machine_is_taken_over(train, tmp_path, monkeypatch):
    monkeypatch.setattr("nars.commands.one_training.LEASE_SECONDS", 4)
    _, folder = train()
    (folder / "card.yaml").unlink()
    other, claim = Claims(folder.parent, lease_seconds=4), folder / "claim"
    assert other.take(folder.name)
    text = claim.read_text()
    other.release_all()
    left = "".join("host=oldpod\n" if line.startswith("host=") else line for line in text.splitlines(True))
    claim.write_text(left)
    gone = threading.Event()

    def beat():
        while not gone.wait(0.5):
            claim.touch()

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        with pytest.raises(UserError, match="on oldpod is training this; wait for it, or stop it"):
            train()
    finally:
        gone.set()
        heart.join()
    output, _ = train()
    assert "on oldpod claims this training; waiting to see whether it still runs" in output
    assert "  epoch 1/1" in output
    assert not list(tmp_path.rglob("claim"))


def test_what_another_process_has_just_finished_is_not_done_again(train, monkeypatch):
    """The other one writes its record between this one's first look and its claim."""
    _, folder = train()
    ledger = folder.parents[1] / "records.jsonl"
    line = ledger.read_text()
    ledger.write_text("")
    take = Claims.take
    monkeypatch.setattr(Claims, "take", lambda self, key: (ledger.write_text(line), take(self, key))[1])
    before = (folder / "weights.safetensors").stat().st_mtime_ns
    output, again = train()
    assert again == folder
    assert "already trained" in output
    assert "epoch 1/1" not in output
    assert (folder / "weights.safetensors").stat().st_mtime_ns == before
    assert ledger.read_text() == line


def test_finished_weights_are_shown_even_if_an_earlier_training_diverged(train):
    _, folder = train()
    ledger = folder.parents[1] / "records.jsonl"
    record = json.loads(ledger.read_text())
    ledger.write_text(json.dumps(record | {"status": "diverged", "accuracies": []}) + "\n" + ledger.read_text())
    assert "already trained" in train()[0]
    (folder / "card.yaml").unlink()
    with pytest.raises(UserError, match="the training diverged"):
        train()


def test_the_best_weights_may_be_of_the_part_before_the_stop(train, stops):
    """After epoch one the rate is so low that weights move, but no answer changes: of equals the first is best. Batch
    norm would move by itself, so the network has none.
    """
    given = (
        *("candidate=timm:test_convnext", "recipe=middle", "recipe.optimizer=sgd", "recipe.ema=false"),
        *("protocol.image_scale=0.25", "protocol.warmup_epochs=0", "protocol.lr_decay=1e-5"),
    )
    _, one = train(*given)
    with stops():
        train(*given, "protocol.epochs=3")
    output, folder = train(*given, "protocol.epochs=3")
    assert "gone on after epoch 1" in output
    assert card_of(folder)["epoch"] == 1
    assert card_of(folder)["top1"] == card_of(one)["top1"]
    weights = [(path / "weights.safetensors").read_bytes() for path in (one, folder)]
    assert weights[0] == weights[1]


def test_any_network_of_timm_with_a_recipe(train):
    _, folder = train(*TIMM)
    card = card_of(folder)
    assert card["architecture"] == {"timm": "test_resnet", "resolution": 160}
    assert card["image_size"] == 40
    weights = folder / "weights.safetensors"
    assert "timm.create_model('test_resnet'" in card["load"]
    exec(card["load"], loaded := {})
    theirs = loaded["network"]
    images = torch.randn(2, 3, 40, 40)
    assert torch.equal(theirs(images), load_trained(weights)(images))
    assert card["params"] == sum(p.numel() for p in theirs.parameters())
    # Weights from elsewhere, without a card.
    (folder / "card.yaml").rename(folder / "elsewhere.yaml")
    overrides = ("mode=evaluate", f"weights={weights}", "protocol.image_scale=0.25")
    _, result = run_here(*overrides, "candidate=timm:test_resnet")
    assert result.accuracy == card["top1"]
    with pytest.raises(UserError, match=r"of another network: .* is nothing in the file and "):
        run_here(*overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("candidate=timm:resnet1",), "candidate=timm:resnet1: timm has no model resnet1; similar: resnet18"),
        (
            ("candidate=timm:test_resnet", "recipe.lr=0.1"),
            "give recipe=middle, or at least recipe.lr=... and recipe.optimizer=... (missing: optimizer)",
        ),
        (
            ("candidate=timm:densenet121", "recipe=middle", "protocol.image_scale=0.25"),
            "set recipe.stochastic_depth=0.0",
        ),
        (
            ("candidate=timm:vit_tiny_patch16_224", "recipe=middle", "protocol.image_scale=0.2"),
            "does not take images of 45 px",
        ),
        (("candidate=nothing",), "candidate=nothing: no such file; give a best-N.yaml of a search, timm:<model name>,"),
        (("weights=some.safetensors",), "weights=... is for mode=evaluate"),
        (("mode=evaluate",), "mode=evaluate: give the weights"),
        (("mode=evaluate", "weights=/none.safetensors"), "weights=/none.safetensors: no such file"),
        (("teacher.weights=/none.safetensors",), "teacher.weights=/none.safetensors: no such file"),
        (("teacher.candidate=fbnetv3_g",), "teacher.candidate needs its trained weights"),
        (("trainer.devices=3",), "protocol.batch_size=16 is not a multiple of trainer.devices=3"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(train, overrides, message):
    with pytest.raises(UserError) as error:
        train("protocol.image_scale=0.25", *overrides)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_too_small_a_gpu_memory_is_one_line(train):
    """PyTorch's error, raised in a step as it would be."""

    def fail(*_) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB")

    hook = register_optimizer_step_post_hook(fail)
    try:
        with pytest.raises(UserError, match=r"^out of GPU memory \(CUDA out of memory\); lower protocol.batch_size"):
            train()
    finally:
        hook.remove()


def test_train_names_what_is_wrong_with_a_candidate(candidate_file, train):
    broken = yaml.safe_load(candidate_file.read_text())
    broken["recipe"]["optimizer"] = "adam"
    candidate_file.write_text(yaml.safe_dump(broken))
    with pytest.raises(UserError) as error:
        train()
    assert str(error.value) == f"{candidate_file}: recipe.optimizer: Input should be 'rmsprop' or 'sgd', given 'adam'"


def test_a_published_network_trains_on_small_images(train):
    """Its convolutions without padding need 49 pixels, more than a sixth of its resolution."""
    _, folder = train("candidate=fbnetv3_b", "protocol.steps_per_epoch=1", "protocol.image_scale=0.1667")
    assert card_of(folder)["image_size"] == 49


@pytest.mark.parametrize("name", ["fbnet_a", "fbnetv2_f1"])
def test_networks_of_blocks_are_trained_measured_and_loaded_again(train, name):
    """With projections in groups, and a convolution as head; with skips that change the width."""
    _, folder = train(f"candidate={name}", "protocol.steps_per_epoch=1", "protocol.image_scale=0.1")
    card, weights = card_of(folder), folder / "weights.safetensors"
    assert card["architecture"] == load_architecture(name)
    network = build_network(Architecture.from_dict(card["architecture"]), num_classes=10).eval()
    network.load_state_dict(load_file(weights))
    assert card["params"] == sum(p.numel() for p in network.parameters())
    exec(card["load"], loaded := {})
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded["network"](images), network(images))
    _, result = run_here("mode=evaluate", f"weights={weights}")
    assert (result.accuracy, result.architecture) == (card["top1"], card["architecture"])


def always(digit: int, weights: Path) -> None:
    """Change the weights of a trained network so that it sees one digit in everything."""
    network = load_trained(weights)
    network.classifier.weight.data.zero_()
    network.classifier.bias.data.zero_()[digit] = 20.0
    write_weights(weights, network)


def test_a_student_learns_from_a_teacher(train, tmp_path):
    """All of the loss from one that sees a 3 in everything: so does the student."""
    _, teacher = train("protocol.steps_per_epoch=1")
    weights = teacher / "weights.safetensors"
    always(3, weights)
    settings = ("recipe.ema=false", "protocol.steps_per_epoch=20", f"teacher.weights={weights}")
    _, student = train(*settings, "teacher.share=1.0")
    images = open_data(DigitsSettings(name="digits")).val_loader(image_size=40, batch_size=360)
    guesses = load_trained(student / "weights.safetensors")(next(iter(images))[0]).argmax(1)
    assert (guesses == 3).all()
    assert card_of(student)["training"]["teacher"]["share"] == 1.0
    (teacher / "card.yaml").unlink()
    with pytest.raises(UserError, match=r"has no card\.yaml beside it: say whose they are: teacher\.candidate="):
        train(*settings)
    _, same = train(*settings, "teacher.share=1.0", f"teacher.candidate={tmp_path / 'best-1.yaml'}")
    assert same == student


def test_weights_are_measured_on_the_classes_of_any_folder(train, tmp_path):
    """Two of the ten digits as image files, 20 ones and 10 sevens: classes go by name, in whatever number and order."""
    _, folder = train("protocol.steps_per_epoch=1")
    always(7, folder / "weights.safetensors")
    images, labels = load_digits(return_X_y=True)
    for digit, count in ((7, 10), (1, 20)):
        (tmp_path / "images" / str(digit)).mkdir(parents=True)
        for i, pixels in enumerate(images[labels == digit][:count].reshape(-1, 8, 8)):
            Image.fromarray((pixels * 15.9).astype("uint8")).save(tmp_path / "images" / str(digit) / f"{i}.png")
    given = ("mode=evaluate", f"weights={folder / 'weights.safetensors'}", "data=folder")
    root = f"data.root={tmp_path / 'images'}"
    output, result = run_here(*given, root)
    assert "on 30 validation images" in output
    assert result.accuracy == 10 / 30
    (tmp_path / "images" / "7").rename(tmp_path / "images" / "seven")
    with pytest.raises(UserError, match=r"class seven .* is none of the 10 that the weights were trained on"):
        run_here(*given, root)


def test_images_that_were_trained_on_are_not_measured(train, tmp_path):
    """The folder that weights were trained on: only what was held out; another: all of it."""
    for name in ("mine", "other"):
        for kind in ("a", "b"):
            (tmp_path / name / kind).mkdir(parents=True)
            for i in range(10):
                picture = Image.new("RGB", (40, 40), (10 * i, 100 if kind == "a" else 200, 0))
                picture.save(tmp_path / name / kind / f"{name}{i}.png")
        (tmp_path / name / "b" / "@eaDir").mkdir()
        picture.save(tmp_path / name / "b" / "@eaDir" / "thumbnail.png")
    passed_over = "passed over among the images: system files and folders: 1 (1 @eaDir)\n"
    data = ("data=folder", "data.val_fraction=0.2")
    trained, folder = train(*data, f"data.root={tmp_path / 'mine'}", "protocol.steps_per_epoch=1")
    given = ("mode=evaluate", f"weights={folder / 'weights.safetensors'}", *data)
    for name, count in (("mine", 4), ("other", 20)):
        output, _ = run_here(*given, f"data.root={tmp_path / name}")
        assert f"on {count} validation images" in output
        assert trained.count(passed_over) == output.count(passed_over) == 1
    output, _ = run_here(*given, f"data.root={tmp_path / 'mine'}", f"data.val_root={tmp_path / 'other'}")
    assert "on 20 validation images" in output


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    """A network without batch norm or anything random: the same images in the same batches give the same weights.

    In an environment of other launchers, whose ranks, numbers and meeting places would lead to half a training or none.
    """
    given = (
        "candidate=timm:test_convnext",
        "recipe=middle",
        *("recipe.dropout=0.0", "recipe.stochastic_depth=0.0", "recipe.mixup=0.0", "recipe.optimizer=sgd"),
        *("protocol.epochs=2", "protocol.steps_per_epoch=5", "protocol.image_scale=0.25", "trainer.accelerator=cpu"),
    )
    launched = {"SLURM_NTASKS": "1", "SLURM_PROCID": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "RANK": "1"}
    launched |= {"MASTER_ADDR": "192.0.2.1", "MASTER_PORT": "1", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    done = run(*given, "trainer.devices=2", f"runs_dir={tmp_path / 'two'}", environment=launched)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("epoch 2/2") == 1
    two = next((tmp_path / "two").rglob("weights.safetensors"))
    _, one = run_here(*given, f"runs_dir={tmp_path / 'one'}")
    weights, expected = load_file(two), load_file(one / "weights.safetensors")
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5)
    (mine,), (theirs,) = (Ledger(tmp_path / name / "trained" / "records.jsonl") for name in ("two", "one"))
    assert mine.accuracies == pytest.approx(theirs.accuracies, abs=1.5 / 360)
    assert card_of(two.parent)["top1"] == pytest.approx(max(mine.accuracies))  # every image seen once, by one process
    assert mine.training["devices"] == 2


def test_within_a_long_epoch_a_line_now_and_then_says_how_far_it_is():
    output = io.StringIO()
    lines = EpochLines(Console(file=output, width=100), 3)
    lines.step(2, 4, 1000, 33.3)
    assert not output.getvalue()
    for step in (5, 6):
        lines.said -= SECONDS_BETWEEN_LINES
        lines.step(2, step, 1000, 33.3)
        lines.step(2, step, 1000, 33.3)
    shown = [f"  epoch 2/3: step {step} of 1,000, 33 images a second" for step in (5, 6)]
    assert output.getvalue().splitlines() == shown
