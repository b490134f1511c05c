"""Trainings per second with one process, one process on two cores, and two processes, in turn."""

import argparse
import statistics
import time

from experiments.tables import markdown_table, write_found
from nars.candidates import load_candidate
from nars.data import open_data
from nars.settings import DigitsSettings, LocalExecutorSettings, LoggerSettings, ProtocolSettings, TrainerSettings
from nars.training.job import TrainingJob, training_identity
from nars.training.local_executor import LocalExecutor
from nars.training.worker import train_job

WAYS = {
    "one process, one thread": {"workers": 1, "threads_per_worker": 1},
    "one process, two threads": {"workers": 1, "threads_per_worker": 2},
    "two processes, one thread each": {"workers": 2, "threads_per_worker": 1},
}
SIDE, STEPS, BATCH = 64, 10, 16


def make_jobs(number: int, folder: str) -> list[TrainingJob]:
    """The same short training of FBNetV3-A on digits with so many seeds."""
    data = DigitsSettings(name="digits")
    candidate = load_candidate("fbnetv3_a")
    protocol = ProtocolSettings(
        epochs=1,
        steps_per_epoch=STEPS,
        batch_size=BATCH,
        image_scale=SIDE / candidate.architecture["resolution"],
        augmentation="none",
    )
    trainer = TrainerSettings(accelerator="cpu")
    values = {
        "data": data,
        "split_file": None,
        "protocol": protocol,
        "trainer": trainer,
        "logger": LoggerSettings(),
        "training": training_identity(open_data(data), protocol, trainer),
        "epochs": 1,
        "costs": {},
    }
    return [
        TrainingJob(**values, **candidate.to_dict(), key=f"seed{seed}", folder=f"{folder}/{seed}", seed=seed)
        for seed in range(number)
    ]


def cpu_seconds(job: TrainingJob) -> float:
    """CPU seconds that a training took in its process."""
    started = time.process_time()
    record = train_job(job)
    assert record.status == "finished", record.status
    return time.process_time() - started


def measure(way: dict, jobs: list[TrainingJob]) -> tuple[float, float]:
    """Wall seconds of all jobs, and mean CPU seconds of one, once every worker has its imports behind it."""
    with LocalExecutor(LocalExecutorSettings(name="local", **way), cpu_seconds) as executor:
        list(executor.map(jobs[: executor.workers], lambda: None))
        started = time.perf_counter()
        outcomes = list(executor.map(jobs, lambda: None))
        wall = time.perf_counter() - started
    return wall, statistics.mean(outcome.result for outcome in outcomes)


def main() -> None:
    """Write the table into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", default="runs/executor_speed")
    arguments = parser.parse_args()
    jobs = make_jobs(arguments.jobs, arguments.folder)
    measured = {name: [] for name in WAYS}
    for _ in range(arguments.repetitions):  # in turn, so that other work on the machine meets all ways alike
        for name, way in WAYS.items():
            measured[name].append(measure(way, jobs))
    alone = [wall for wall, _ in next(iter(measured.values()))]
    rows = []
    for name, results in measured.items():
        walls = [wall for wall, _ in results]
        ratios = [one / wall for one, wall in zip(alone, walls, strict=True)]
        rows.append(
            [
                name,
                f"{statistics.median(walls):.1f}",
                f"{statistics.median(cpu for _, cpu in results):.2f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            ]
        )
    header = ["way", "wall s", "CPU s of one training", "trainings per second, ratio (least to most)"]
    title = f"{arguments.jobs} trainings, {arguments.repetitions} repetitions (medians):"
    write_found(__file__, f"{title}\n\n{markdown_table(header, rows)}")


if __name__ == "__main__":
    main()
