"""Images a second of our training next to a bare PyTorch loop, and how soon a worker begins its next candidate."""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext

import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn import functional
from torch.optim.optimizer import register_optimizer_step_post_hook

from experiments.tables import markdown_table, write_found
from experiments.threads import use_one_thread
from nars.candidates import load_candidate
from nars.data import open_data
from nars.networks.architectures import architecture_of, image_size, network_of
from nars.settings import DigitsSettings, LocalExecutorSettings, LoggerSettings, ProtocolSettings, TrainerSettings
from nars.spaces.recipe import Recipe
from nars.training.job import TrainingJob
from nars.training.local_executor import LocalExecutor
from nars.training.single.module import mixing
from nars.training.single.optimization import build_optimizer, lr_factor
from nars.training.single.run import run_training

WARM_UP = 5  # steps before the clock starts
DATA = DigitsSettings(name="digits")


class StepClock:
    """Times of the optimizer's steps: CPU seconds, or wall seconds where a GPU does the work."""

    def __init__(self, steps: int):
        self.steps = steps
        self.times: list[float] = []
        self._seen = 0
        self._hook = register_optimizer_step_post_hook(self._tick)

    def _tick(self, *_) -> None:
        self._seen += 1
        if self._seen in (WARM_UP, self.steps):
            self.times.append(now())

    def stop(self) -> float:
        """Seconds from the end of the warm-up to the last step."""
        self._hook.remove()
        first, last = self.times
        return last - first


def now() -> float:
    """The clock: all work that was given to a GPU is done first."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def job_of(name: str, arguments, *, steps: int, folder: str) -> TrainingJob:
    """One epoch of `steps` steps of a published candidate on the digits."""
    candidate = load_candidate(name)
    protocol = ProtocolSettings(
        epochs=1,
        steps_per_epoch=steps,
        batch_size=arguments.batch_size,
        image_scale=arguments.image_size / candidate.architecture["resolution"],
        ema_decay=0.95,
        augmentation="none",
    )
    return TrainingJob(
        **candidate.to_dict(),
        key=name,
        data=DATA,
        split_file=None,
        protocol=protocol,
        trainer=TrainerSettings(accelerator=arguments.accelerator, precision=arguments.precision, checkpoint_every=0),
        logger=LoggerSettings(),
        training={},
        folder=folder,
        epochs=1,
        seed=0,
        costs={},
    )


def ours(job: TrainingJob) -> tuple[float, nn.Module]:
    """Seconds of the timed steps of our training, and what it evaluated."""
    clock = StepClock(job.protocol.steps_per_epoch)
    _, module = run_training(job)
    return clock.stop(), module.evaluated_network


def bare(job: TrainingJob) -> tuple[float, nn.Module]:
    """The same by the shortest loop."""
    device = torch.device("cpu" if job.trainer.accelerator == "cpu" else "cuda")
    data, recipe, protocol = open_data(DATA), Recipe.from_dict(job.recipe), job.protocol
    architecture = architecture_of(job.architecture)
    side = image_size(architecture, protocol)
    loader = data.train_loader(image_size=side, batch_size=protocol.batch_size, augmentation="none", seed=job.seed)
    torch.manual_seed(job.seed)
    network = network_of(architecture, num_classes=data.num_classes, recipe=recipe)
    network.to(device, memory_format=torch.channels_last)
    normalise = data.normalise().to(device)
    mix = mixing(recipe, num_classes=data.num_classes)
    average = ModelEmaV3(network, decay=protocol.ema_decay, use_warmup=True)
    optimizer = build_optimizer(network, recipe, protocol)
    steps = protocol.steps_per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: lr_factor(step, steps, protocol))
    half = torch.autocast(device.type, torch.bfloat16) if job.trainer.precision == "bf16-mixed" else nullcontext()
    clock = StepClock(steps)
    torch.manual_seed(job.seed * 100_003)
    network.train()
    for step, (images, labels) in enumerate(itertools.islice(batches(loader), steps), start=1):
        images, labels = normalise(images.to(device)), labels.to(device)
        if mix is not None:
            images, labels = mix(images, labels)
        images = images.contiguous(memory_format=torch.channels_last)
        with half:
            loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update(network, step=step)
    return clock.stop(), average.module


def batches(loader) -> Iterator:
    """Epoch 0 of the loader."""
    loader.sampler.set_epoch(0)
    return iter(loader)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks are equal to the bit."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a.cpu(), b.cpu()) for a, b in pairs)


def speed_table(arguments) -> str:
    """Both ways in turn."""
    seconds = {"bare PyTorch loop": [], "our training": []}
    with tempfile.TemporaryDirectory() as folder:
        job = job_of("fbnetv3_b", arguments, steps=arguments.steps + WARM_UP, folder=folder)
        for _ in range(arguments.repeats):
            results = {"bare PyTorch loop": bare(job), "our training": ours(job)}
            for way, (taken, _) in results.items():
                seconds[way].append(taken)
            same = same_weights(*(network for _, network in results.values()))
    images = arguments.steps * arguments.batch_size
    rows = [(way, f"{images / statistics.median(taken):,.1f}") for way, taken in seconds.items()]
    ratios = [b / o for b, o in zip(*seconds.values(), strict=True)]
    unit = "wall" if torch.cuda.is_available() else "CPU"
    return "\n\n".join(
        [
            f"FBNetV3-B, {arguments.image_size} px, batch {arguments.batch_size}, {arguments.precision}, "
            f"{arguments.repeats} times {arguments.steps} steps each:",
            markdown_table(("way", f"images per {unit} second (median)"), rows),
            f"Our training has {statistics.median(ratios):.3f} of the bare loop's images a second (median of the "
            f"{len(ratios)} pairs; {min(ratios):.3f} to {max(ratios):.3f}). Same weights to the bit: {same}.",
        ]
    )


def time_of_first_step(job: TrainingJob) -> float:
    """For a worker: train, and say when the first step was done."""
    times = []
    hook = register_optimizer_step_post_hook(lambda *_: times.append(time.time()))
    run_training(job)
    hook.remove()
    return times[0]


def start_table(arguments) -> str:
    """Published candidates one after the other in one worker."""
    given = []

    def jobs(folder: str) -> Iterator[TrainingJob]:
        for name in ("fbnetv3_a", "fbnetv3_b", "fbnetv3_c", "fbnetv3_d", "fbnetv3_e"):
            job = job_of(name, arguments, steps=2, folder=folder)
            given.append((name, time.time()))
            yield job

    with (
        tempfile.TemporaryDirectory() as folder,
        LocalExecutor(LocalExecutorSettings(name="local", workers=1), time_of_first_step) as executor,
    ):
        firsts = [outcome.result for outcome in executor.map(jobs(folder), lambda: None)]
    rows = [(name, f"{first - start:.2f}") for (name, start), first in zip(given, firsts, strict=True)]
    return "A worker, from the job to the end of its first step:\n\n" + markdown_table(("candidate", "wall s"), rows)


def main() -> None:
    """Write the tables into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each run")
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--accelerator", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed"), default="32-true")
    arguments = parser.parse_args()
    use_one_thread()
    most = open_data(DATA).train_size // arguments.batch_size - WARM_UP
    if arguments.steps > most:
        parser.error(f"the digits are enough for --steps {most} of --batch-size {arguments.batch_size}; lower one")
    write_found(__file__, speed_table(arguments) + "\n\n" + start_table(arguments))


if __name__ == "__main__":
    main()
