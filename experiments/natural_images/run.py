"""python -m experiments.natural_images.run --data cifar10/train --test cifar10/test"""

import argparse
import gzip
from collections.abc import Callable
from itertools import product
from pathlib import Path

from experiments.natural_images.study import BATCH, ROUNDS, Study, accuracy_of, rounds_of, run_name
from experiments.natural_images.ways import WAYS
from nars.configuration import one_line_errors
from nars.errors import UserError
from nars.machine import limited_threads
from nars.records import Ledger, Record
from nars.settings import LocalExecutorSettings
from nars.study.ledgers import LEDGER
from nars.training.opening import open_executor
from nars.training.worker import train_job

HERE = Path(__file__).parent
FINAL = "final.jsonl"  # records of the final trainings: other images validate, so they compare with no others
FINAL_SEEDS = (1, 2, 3)  # none that a search has seen
SHIPPED = (LEDGER, ROUNDS, FINAL)
PARTS = ("search", "noise", "final", "show", "ship")


def begin(study: Study) -> None:
    """Go on from what is shipped, in a folder that holds nothing, if it was trained with these images and this
    protocol; UserError if the folder's own trainings were not."""
    folder, mine = study.folder, study.identity()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / LEDGER).exists() and mine in (None, *_trainings(HERE / f"{LEDGER}.gz")):
        for shipped in (HERE / f"{name}.gz" for name in SHIPPED):
            if shipped.exists():
                (folder / shipped.stem).write_bytes(gzip.decompress(shipped.read_bytes()))
    if mine is not None and any(training != mine for training in _trainings(folder / LEDGER)):
        raise UserError(f"--folder: {folder} holds trainings of other images or another protocol; give another folder")


def _trainings(ledger: Path) -> list[dict]:
    """What decided the trainings of a ledger."""
    return [record.training for record in Ledger(ledger)]


def ship(study: Study, arguments: argparse.Namespace) -> None:
    """All that is known, beside this file."""
    for name in SHIPPED:
        if (known := study.folder / name).exists():
            (HERE / f"{name}.gz").write_bytes(gzip.compress(known.read_bytes(), mtime=0))


def search(study: Study, arguments: argparse.Namespace) -> None:
    """All searches, the short ones first."""
    for trainings in arguments.trainings:
        for seed in range(arguments.seeds):
            for way in arguments.methods:
                study.search(way, trainings=trainings, seed=seed)


def noise(study: Study, arguments: argparse.Namespace) -> None:
    """The first candidates of the first random search with several seeds."""
    first = records_of_run(study.folder, "random", 0)[: arguments.noise_candidates]
    study.train(first, seeds=range(arguments.noise_seeds), title="noise")


def final(study: Study, arguments: argparse.Namespace) -> None:
    """The best pair of every search, trained longer and validated on images that no search has seen."""
    best = [record for _, _, record in best_of_searches(study.folder, arguments)]
    protocol = study.settings(seed=0).protocol
    stretched = protocol.lr_decay ** ((protocol.epochs - 1) / max(1, arguments.final_epochs - 1))  # to the same end
    changes = (
        f"protocol.epochs={arguments.final_epochs}",
        f"protocol.steps_per_epoch={arguments.final_steps}",
        f"protocol.lr_decay={stretched:.4f}",
    )
    seeds = FINAL_SEEDS[: arguments.final_seeds]
    study.train(best, *changes, seeds=seeds, title="final trainings", ledger=FINAL)


def show(study: Study, arguments: argparse.Namespace) -> None:
    """Tables and figures of all that is known, into the README."""
    from experiments.natural_images.shown import write

    write(study.folder, arguments)


def records_of_run(folder: Path, run: str, seed: int) -> list[Record]:
    """What a search has trained, in its order."""
    ledger = Ledger(folder / LEDGER)
    lines = sorted((r for r in rounds_of(folder) if (r["run"], r["seed"]) == (run, seed)), key=lambda r: r["round"])
    return [ledger.get(key) for line in lines for key in line["keys"]]


def best_of_searches(folder: Path, arguments: argparse.Namespace) -> list[tuple[str, int, Record]]:
    """By way and seed, the best of every search that is as long as `final_after`."""
    found = []
    for way, seed in product(arguments.methods, range(arguments.seeds)):
        records = records_of_run(folder, run_name(way, arguments.final_after), seed)[: arguments.final_after]
        if len(records) == arguments.final_after:
            found.append((way, seed, max(records, key=accuracy_of)))
    return found


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.natural_images.run")
    parser.add_argument("--data", type=Path, help="training images, <class>/<image>; a fifth of them validates")
    parser.add_argument("--test", type=Path, help="images of the same classes, which validate the final trainings only")
    parser.add_argument("--folder", type=Path, default=Path("runs/natural_images"), help="where results are kept")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS[:-1])
    parser.add_argument("--methods", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--trainings", nargs="*", type=int, default=[24, 48, 96], help=f"multiples of {BATCH}")
    parser.add_argument("--seeds", type=int, default=3, help="searches of each way and length")
    parser.add_argument("--noise-candidates", type=int, default=6)
    parser.add_argument("--noise-seeds", type=int, default=8)
    parser.add_argument("--final-after", type=int, default=24, help="trainings of the searches whose best is trained")
    parser.add_argument("--final-epochs", type=int, default=8)
    parser.add_argument("--final-steps", type=int, default=128)
    parser.add_argument("--final-seeds", type=int, default=len(FINAL_SEEDS))
    parser.add_argument("--workers", type=int, help="trainings at a time; as many as cores if not given")
    return parser.parse_args()


def main() -> None:
    """The parts that are asked for, as far as they are not known."""
    arguments = parsed()
    steps: dict[str, Callable] = {"search": search, "noise": noise, "final": final, "show": show, "ship": ship}
    executor = LocalExecutorSettings(name="local", workers=arguments.workers)
    with limited_threads(), open_executor(executor, train_job) as workers:
        study = Study(data=arguments.data, test=arguments.test, folder=arguments.folder, executor=workers)
        begin(study)
        for part in PARTS:
            if part in arguments.parts:
                steps[part](study, arguments)


if __name__ == "__main__":
    with one_line_errors():
        main()
