"""What all searches of the study share: settings, images, the ledger, who trains, and which rounds are known."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.natural_images.ways import WAYS
from nars.configuration import settings_from
from nars.console import open_console
from nars.files import CONF
from nars.json_lines import NewLines, append_line, parse_object
from nars.methods.encoder import opened_predictor
from nars.problem import Problem
from nars.records import Ledger, Record
from nars.reporting.screen.progress import ProgressDisplay
from nars.search.rounds import History, Round, run_rounds
from nars.search.strategies import Strategy
from nars.settings import LoggerSettings, SearchSettings
from nars.study.ledgers import LEDGER
from nars.training.executor import Executor
from nars.training.job import origin_of, training_identity
from nars.training.trainer import CandidateTrainer

BATCH = 8
ROUNDS = "rounds.jsonl"
TRAINING_SEED = 0  # of all searches, whatever theirs: the same candidate is trained once
ALL = (
    "search_space=fbnetv3_micro",
    "recipe_space=fbnetv3_micro",
    "data=folder",
    "data.root=.",
    "data.val_fraction=0.2",
    "protocol=micro",
    "constraint=none",
    "strategy.window.min_macs=0.3e6",
    "strategy.window.max_macs=3e6",
    "logger=none",
    f"strategy.batch={BATCH}",
    "strategy.early_stop_candidates=100000",  # what is compared is the accuracy at the end
    "strategy.pool_size=5000",
    "predictor.pretrain.pool_size=5000",
)


class Watching:
    """Who looks on: one line now and then."""

    def __init__(self):
        self.progress = ProgressDisplay(open_console())
        self.logger = LoggerSettings()

    def pretraining(self, file: Path):
        """See `nars.methods.contract.Watch`."""
        return nullcontext(lambda report: None)


@dataclass(frozen=True, kw_only=True)
class Study:
    """Images under `data` (and, for the final trainings, `test`), results in `folder`, trained by `executor`."""

    data: Path | None
    test: Path | None
    folder: Path
    executor: Executor

    def settings(self, *overrides: str, seed: int, validate_on: Path | None = None) -> SearchSettings:
        """Those of search.py with these overrides."""
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("search", overrides=[*ALL, f"seed={seed}", *overrides])
        OmegaConf.update(config, "data.root", str(self.data))
        OmegaConf.update(config, "data.val_root", None if validate_on is None else str(validate_on))
        OmegaConf.update(config, "runs_dir", str(self.folder.parent))
        OmegaConf.update(config, "study", self.folder.name)
        return settings_from(config, SearchSettings)

    def identity(self) -> dict | None:
        """What decides the trainings of all searches beside their candidates; None without images."""
        if self.data is None:
            return None
        settings = self.settings(seed=0)
        return training_identity(Problem.of(settings).data, settings.protocol, settings.trainer)

    def trainer(self, settings: SearchSettings, problem: Problem, *, ledger: str = LEDGER) -> CandidateTrainer:
        """What trains candidates into one ledger."""
        s, p = settings, problem
        return CandidateTrainer(
            Ledger(self.folder / ledger),
            self.executor,
            job_values={
                "data": p.data_settings,
                "split_file": None,
                "protocol": s.protocol,
                "trainer": s.trainer,
                "logger": s.logger,
                "training": training_identity(p.data, s.protocol, s.trainer),
                "origin": origin_of(p.data, s.data, search_space=s.search_space.name, recipe_space=s.recipe_space.name),
                "seed": TRAINING_SEED,
            },
            price=p.price_candidate,
            folder=self.folder / "trainings",
            progress=Watching().progress,
        )

    def search(self, name: str, *, trainings: int, seed: int) -> None:
        """Run one search, or what is missing of it; its rounds go to `ROUNDS`."""
        way, run = WAYS[name], run_name(name, trainings)
        known = {line["round"]: line for line in rounds_of(self.folder) if (line["run"], line["seed"]) == (run, seed)}
        if len(known) * BATCH >= trainings:
            return
        print(f"{name}, {trainings} trainings, seed {seed}", flush=True)
        settings = self.settings(*way.overrides, f"strategy.rounds={trainings // BATCH}", seed=seed)
        problem = Problem.of(settings)
        trainer = self.trainer(settings, problem)
        fits = opened_predictor(settings, problem, Watching())
        batches = [_points([trainer.ledger.get(key) for key in known[n]["keys"]], problem) for n in sorted(known)]

        def keep(done: Round, history: History) -> None:
            if done.number not in known:
                predicted = None if done.predicted is None else [round(float(p), 5) for p in done.predicted]
                line = {"run": run, "seed": seed, "round": done.number, "keys": [r.key for r in done.records]}
                append_line(self.folder / ROUNDS, line | {"predicted": predicted})

        run_rounds(
            problem.space,
            Remembering(way.open(settings, problem, fits), batches),
            trainer,
            fits,
            settings.strategy,
            epochs=settings.protocol.epochs,
            noise_level=problem.noise_level,
            on_round=keep,
        )

    def train(
        self, records: Sequence[Record], *overrides: str, seeds: Sequence[int], title: str, ledger: str = LEDGER
    ) -> list[Record]:
        """Train the candidates of these records once more with other seeds; validated on `test` in another ledger."""
        settings = self.settings(*overrides, seed=0, validate_on=None if ledger == LEDGER else self.test)
        problem = Problem.of(settings)
        trainer = self.trainer(settings, problem, ledger=ledger)
        candidates = list({record.candidate.name: record.candidate for record in records}.values())
        return list(trainer(candidates, settings.protocol.epochs, title=title, seeds=seeds))


class Remembering:
    """A strategy whose first batches are known: another version of this project, which would choose otherwise, goes on
    from what was trained."""

    def __init__(self, strategy: Strategy, batches: Sequence[np.ndarray]):
        self.strategy = strategy
        self.batches = {sum(map(len, batches[:i])): batch for i, batch in enumerate(batches)}

    def choose(
        self, n: int, points: np.ndarray, accuracies: np.ndarray, seconds: np.ndarray | None = None
    ) -> np.ndarray:
        """See `nars.search.strategies.Strategy`."""
        known = self.batches.get(len(points))
        return self.strategy.choose(n, points, accuracies, seconds) if known is None else known


def run_name(way: str, trainings: int) -> str:
    """What the rounds of a search are kept under: one name for all lengths where a longer one begins as a shorter."""
    return way if WAYS[way].prefix else f"{way} {trainings}"


def accuracy_of(record: Record) -> float:
    """After the last epoch; 0 if it diverged."""
    return record.accuracies[-1] if record.status == "finished" else 0.0


def rounds_of(folder: Path) -> list[dict]:
    """All known rounds: `run`, `seed`, `round`, the `keys` of its trainings, and what was `predicted` of them."""
    return [parse_object(line.text) for line in NewLines(folder / ROUNDS).read()]


def _points(records: Sequence[Record], problem: Problem) -> np.ndarray:
    return np.array([problem.space.locate_candidate(record.candidate) for record in records], dtype=np.int16)
