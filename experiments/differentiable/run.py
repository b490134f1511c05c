"""Does a differentiable search find better networks than chance and than NARS, on natural images at the same cost?"""

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir

from experiments.differentiable import planted, steps
from experiments.tables import markdown_table, write_found
from nars.configuration import settings_from
from nars.costs.table import short_number
from nars.files import CONF
from nars.methods.contract import Answer
from nars.methods.differentiable import DifferentiableMethod
from nars.methods.fbnetv1 import Fbnetv1Method
from nars.methods.fbnetv2 import Fbnetv2Method
from nars.methods.nars import NarsMethod
from nars.methods.trainings import trainer_of
from nars.problem import Problem
from nars.settings import LoggerSettings, SearchSettings
from nars.spaces.candidate import Candidate
from nars.training.executor import Executor
from nars.training.worker import train_job

SEARCHED = ["protocol.epochs=3", "protocol.steps_per_epoch=null", "protocol.batch_size=32", "protocol.ema_decay=0.98"]
FINAL = ["protocol.epochs=2", "protocol.steps_per_epoch=120", "protocol.batch_size=64", "protocol.ema_decay=0.99"]
BATCH = 4  # of a round of NARS
PARTS = {"steps": steps.report, "planted": planted.report}
METHODS = ("supernet", "NARS", "random")


@dataclass(frozen=True)
class System:
    """One of the papers' methods, with the space and the limit in which it is judged."""

    method: type[DifferentiableMethod]
    space: str
    max_macs: float
    image_scale: float  # so that training images of 32 pixels are about as large

    @property
    def name(self) -> str:
        """As in `method=...`."""
        return self.method.__name__.removesuffix("Method").lower()


SYSTEMS = {
    "FBNetV1": System(Fbnetv1Method, "fbnet_digits", 2e6, 1.0),
    "FBNetV2": System(Fbnetv2Method, "fbnetv2_digits", 10e6, 1 / 6),
}


class Here(Executor):
    """Trains in this process, one after the other, and notes the CPU seconds of each training in a file."""

    def __init__(self, file: Path):
        super().__init__(retries=0)
        self.file = file

    @property
    def seconds(self) -> list[float]:
        """Of all trainings so far."""
        return [float(line) for line in self.file.read_text().split()] if self.file.exists() else []

    def close(self) -> None: ...

    def _has_room(self, running: int) -> bool:
        return running == 0

    def _start(self, job) -> Future:
        started, future = time.process_time(), Future()
        future.set_result(train_job(job))
        with self.file.open("a") as opened:
            opened.write(f"{time.process_time() - started}\n")
        return future

    def _collect(self, future: Future):
        return future.result()


class NarsInProcess(NarsMethod):
    """Trains where `here` does."""

    here: Here

    def executor(self, run: Callable) -> Executor:
        """See `Method`."""
        return self.here


class Nobody:
    """Nobody looks on."""

    logger = LoggerSettings()

    @property
    def progress(self):
        return self

    def start(self, title: str, total: int) -> None: ...
    def update(self, done: float, note: str = "") -> None: ...
    def stop(self) -> None: ...
    def round(self, done, history, findings) -> None: ...
    def epoch(self, findings) -> None: ...
    def recalled(self, history) -> None: ...

    @contextmanager
    def pretraining(self, file: Path):
        yield lambda report: None


def settings_of(arguments: argparse.Namespace, seed: int, *others: str, method: str | None = None) -> SearchSettings:
    """The settings of a search on the small part of the images, by the system's supernet unless a method is named."""
    system = SYSTEMS[arguments.system]
    given = [
        *(f"method={method or system.name}", f"search_space={system.space}", f"constraint.max_macs={system.max_macs}"),
        *("data=folder", f"data.root={arguments.folder / 'small'}", "data.val_fraction=0.2", f"data.seed={seed}"),
        *("constraint=none", "constraint.num_classes=1000", f"protocol.image_scale={system.image_scale}"),
        *(f"seed={seed}", f"study={system.name}-{seed}", f"runs_dir={arguments.folder}"),
        *("protocol.augmentation=standard", "trainer.accelerator=cpu", "confirm.pairs=0", "logger=none"),
        *others,
    ]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from(compose("search", overrides=given), SearchSettings)


def searched_by_theta(arguments: argparse.Namespace, seed: int) -> tuple[Answer, float]:
    """The answer of the supernet's method and the CPU seconds of its supernet and of ranking inside it."""
    settings = settings_of(arguments, seed, *SEARCHED)
    started = time.process_time()
    answer = SYSTEMS[arguments.system].method(settings, Problem.of(settings), Nobody()).answer()
    return answer, time.process_time() - started


def searched_by_nars(arguments: argparse.Namespace, seed: int, budget: float) -> tuple[Candidate, float]:
    """The best network that NARS has trained within the limit and the CPU seconds of its trainings: as many rounds as
    fit into the budget. Its recipe space holds one recipe, that of the supernet's method."""
    limit = SYSTEMS[arguments.system].max_macs
    window = f"strategy.window={{min_macs: {limit / 2}, max_macs: {limit}}}"
    settings = settings_of(arguments, seed, *SEARCHED, f"strategy.batch={BATCH}", window, method="nars")
    recipe = settings_of(arguments, seed).method.recipe.to_dict()
    one = type(settings.recipe_space)(name="one", **recipe)
    settings = settings.model_copy(update={"recipe_space": one})
    problem = Problem.of(settings)
    here = Here(arguments.folder / f"nars-{settings.study}.txt")
    _rounds(settings, problem, here, rounds=1)
    rounds = max(2, round(budget / (BATCH * statistics.mean(here.seconds))))
    history = _rounds(settings, problem, here, rounds=rounds)
    points, accuracies = history.usable()
    kept = problem.feasible(points)
    best = points[kept][accuracies[kept].argmax()]
    return problem.space.candidate(best), sum(here.seconds)


def _rounds(settings: SearchSettings, problem: Problem, here: Here, *, rounds: int):
    """The rounds of NARS, which go on from the ledger."""
    strategy = settings.strategy.model_copy(update={"rounds": rounds})
    method = NarsInProcess(settings.model_copy(update={"strategy": strategy}), problem, Nobody())
    method.here = here
    return method.answer().history


def random_networks(problem: Problem, cost: float, n: int, seed: int) -> list[Candidate]:
    """Networks drawn evenly among those that cost 95 to 105 % of `cost` and keep the limit."""
    points = problem.space.sample(20_000, 1000 + seed)
    prices = problem.price(points)[:, problem.axis]
    near = problem.feasible(points) & (np.abs(prices / cost - 1) <= 0.05)
    return [problem.space.candidate(point) for point in points[near][:n]]


def final_accuracy(arguments: argparse.Namespace, candidate: Candidate, seed: int) -> float:
    """The accuracy on images that no search has seen, after a training on all others."""
    images = (f"data.root={arguments.data / 'train'}", f"data.val_root={arguments.data / 'test'}")
    settings = settings_of(arguments, seed, *FINAL, *images, "study=final")
    problem = Problem.of(settings)
    trainer = trainer_of(settings, problem, Nobody(), Here(arguments.folder / "final.txt"))
    [record] = trainer([candidate], settings.protocol.epochs, title="final")
    return record.accuracies[-1]


def run_seed(arguments: argparse.Namespace, seed: int, write: Callable[..., None], known: dict[str, dict]) -> None:
    """All methods with one seed, but for what is `known` of it, by method."""
    if all(method in known for method in METHODS):
        return
    answer, seconds = searched_by_theta(arguments, seed)
    problem = Problem.of(settings_of(arguments, seed, *SEARCHED))
    cost = float(problem.price(answer.points[:1])[0, problem.axis])
    last = answer.findings["supernet"]["epochs"][-1]

    def judge(method: str, candidates: list[Candidate], seconds: float, **others) -> None:
        accuracies = [final_accuracy(arguments, candidate, seed) for candidate in candidates]
        costs = [problem.price_candidate(candidate)["macs"] for candidate in candidates]
        line = {"system": arguments.system, "seed": seed, "method": method, "seconds": seconds}
        write(line | {"costs": costs, "accuracies": accuracies} | others)

    if "supernet" not in known:
        found = problem.space.candidate(answer.points[0])
        judge("supernet", [found], seconds, decided=last["decided"])
    else:
        seconds = known["supernet"]["seconds"]
    if "NARS" not in known:
        best, spent = searched_by_nars(arguments, seed, arguments.budget or seconds)
        judge("NARS", [best], spent)
    if "random" not in known:
        judge("random", random_networks(problem, cost, arguments.random, seed), 0.0)


def make_small(arguments: argparse.Namespace) -> None:
    """Copy the first images of every class for the searches."""
    for folder in sorted((arguments.data / "train").iterdir()):
        target = arguments.folder / "small" / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for image in sorted(folder.iterdir())[: arguments.images]:
            if not (target / image.name).exists():
                shutil.copy(image, target / image.name)


def table(lines: list[dict], system: str) -> str:
    """A row for each method: its accuracies seed by seed, their median, costs and seconds."""
    seeds = sorted({line["seed"] for line in lines})
    rows = []
    for method in METHODS:
        mine = {line["seed"]: line for line in lines if line["method"] == method}
        if not mine:
            continue
        means = {seed: statistics.mean(line["accuracies"]) for seed, line in mine.items()}
        costs = [cost for line in mine.values() for cost in line["costs"]]
        words = {"supernet": system, "random": f"random, mean of {max(len(line['costs']) for line in mine.values())}"}
        rows.append(
            [
                words.get(method, method),
                *(f"{means[seed]:.4f}" if seed in means else "-" for seed in seeds),
                f"{statistics.median(means.values()):.4f}",
                f"{short_number(min(costs))} to {short_number(max(costs))}",
                f"{statistics.median(line['seconds'] for line in mine.values()):.0f}",
            ]
        )
    header = ["", *(f"seed {seed}" for seed in seeds), "median", "MACs", "CPU seconds of search"]
    spread = [statistics.pstdev(line["accuracies"]) for line in lines if len(line["accuracies"]) > 1]
    words = f"\n\nStandard deviation between a seed's random networks: {statistics.mean(spread):.4f}." if spread else ""
    decided = [f"{line['decided']:.2f}" for line in lines if "decided" in line]
    theta = f"\nMean probability of theta's most probable choices, by seed: {', '.join(decided)}." if decided else ""
    return markdown_table(header, rows) + words + theta


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.differentiable.run")
    parser.add_argument("--data", type=Path, help="a folder with train/<class> and test/<class>")
    parser.add_argument("--folder", type=Path, default=Path("runs/differentiable"), help="where all is kept")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--images", type=int, default=60, help="of each class for a search, a fifth to validate NARS")
    parser.add_argument("--system", choices=tuple(SYSTEMS), default="FBNetV1")
    parser.add_argument("--random", type=int, default=3, help="random networks of each seed")
    parser.add_argument("--budget", type=float, help="CPU seconds of NARS; if not given, those of the supernet")
    parser.add_argument("--only", choices=(*PARTS, "table"), help="one part, or the tables of what is known")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = arguments.folder / "results.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def write(line: dict) -> None:
        lines.append(line)
        print(line, flush=True)
        with file.open("a") as opened:
            opened.write(json.dumps(line) + "\n")

    if arguments.only in PARTS:
        (arguments.folder / f"{arguments.only}.md").write_text(PARTS[arguments.only]())
    if arguments.only is None:
        make_small(arguments)
        for seed in range(arguments.seeds):
            mine = [line for line in lines if (line["system"], line["seed"]) == (arguments.system, seed)]
            run_seed(arguments, seed, write, {line["method"]: line for line in mine})
    parts = []
    for system in SYSTEMS:
        if mine := [line for line in lines if line["system"] == system]:
            parts += [f"### Networks found in the space of {system}", table(mine, system)]
    for name, title in (("planted", "### By which cost theta is trained"), ("steps", "### Steps of a supernet")):
        if (known := arguments.folder / f"{name}.md").exists():
            parts += [title, known.read_text()]
    write_found(__file__, "\n\n".join(parts))


if __name__ == "__main__":
    main()
