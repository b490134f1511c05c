"""python -m experiments.recipe_swap.run --test cifar10/test data=folder data.root=cifar10/train"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from experiments.natural_images.study import Watching
from experiments.recipe_swap.shown import NOT_SEARCHED, Trained, write
from nars.commands.search import Search
from nars.configuration import one_line_errors, settings_from
from nars.console import open_console
from nars.costs.pricing import Pricing
from nars.files import CONF
from nars.machine import limited_threads
from nars.methods.trainings import trainer_of
from nars.networks.architectures import architecture_of, costs_of
from nars.options import stated
from nars.problem import Problem
from nars.records import Record
from nars.settings import ProtocolSettings, Recipe, SearchSettings
from nars.spaces.candidate import Candidate
from nars.study.answers import known_answer
from nars.training.opening import open_executor
from nars.training.worker import train_job

NETWORKS = ("timm:test_resnet", "timm:test_convnext", "timm:test_efficientnet", "timm:test_vit")
MICRO = (  # what the command line does not say
    "search_space.resolution=32",
    "recipe_space=fbnetv3_micro",
    "recipe_space.lr={low:2,high:30,unit:1e-3}",  # from a tenth of FBNetV3's least on: these are other networks
    "data.val_fraction=0.05",
    "protocol=micro",
    "protocol.steps_per_epoch=40",
    "strategy.rounds=3",
    "strategy.batch=8",
    "confirm.pairs=1",
    "logger=none",
)
MIDDLE, TIMM = NOT_SEARCHED


@dataclass(frozen=True, kw_only=True)
class Study:
    """What the command line says: `overrides` of search.py for every network, and images under `test`, None: those that
    the searches validate on. `seeds_of_first` are those of the first network with its own recipe and with those that
    nobody searched."""

    networks: tuple[str, ...]
    overrides: tuple[str, ...]
    folder: Path
    test: Path | None
    seeds: tuple[int, ...]
    seeds_of_first: tuple[int, ...]

    def settings(self, network: str) -> SearchSettings:
        """Those of the search for the recipe of a network."""
        own = ("search_space=fixed", f"study={self.folder.name}", f"runs_dir='{self.folder.parent}'")
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("search", overrides=[*own, *self.overrides])
        OmegaConf.update(config, "search_space.candidate", network)
        return settings_from(config, SearchSettings)

    def searched(self, network: str) -> dict:
        """The recipe that a search finds for the network, or has found."""
        settings = self.settings(network)
        if known_answer(settings) is None:
            Search(settings=settings, console=open_console()).run()
        return known_answer(settings).answers[0]["recipe"]

    def trained(self, recipes: dict[str, dict]) -> list[Trained]:
        """Every network with every recipe; the first with its own and those that nobody searched with more seeds. What
        the ledger does not hold is trained."""
        settings = self.settings(self.networks[0])
        if self.test is not None:
            settings = settings.model_copy(
                update={"data": settings.data.model_copy(update={"val_root": str(self.test)})}
            )
        problem, epochs, found = Problem.of(settings), settings.protocol.epochs, []
        asked = self._asked(recipes)
        with open_executor(settings.executor, train_job, accelerator=settings.trainer.accelerator) as executor:
            trainer = trainer_of(settings, problem, Watching(), executor)
            pricing = Pricing(num_classes=problem.num_classes)
            trainer.price = lambda candidate: costs_of(architecture_of(candidate.architecture), pricing)
            for seed in dict.fromkeys(seed for *_, seeds in asked for seed in seeds):
                mine = [(network, name, candidate) for network, name, candidate, seeds in asked if seed in seeds]
                records = trainer([c for *_, c in mine], epochs, title=f"swap, seed {seed}", seeds=[seed])
                by_candidate = {record.candidate.name: record for record in records}
                for network, name, candidate in mine:
                    accuracy = accuracy_of(by_candidate[candidate.name], epochs)
                    found.append(Trained(network=network, recipe=name, seed=seed, accuracy=accuracy))
        return found

    def _asked(self, recipes: dict[str, dict]) -> list[tuple[str, str, Candidate, tuple[int, ...]]]:
        """Networks, recipes, both as candidates, and the seeds of their trainings."""
        asked = []
        for network in self.networks:
            architecture = self.settings(network).search_space.architecture
            for name, recipe in recipes.items():
                own = network == self.networks[0] and name in (network, *NOT_SEARCHED)
                seeds = self.seeds_of_first if own else self.seeds
                asked.append((network, name, Candidate(architecture=architecture, recipe=recipe), seeds))
        return asked


def accuracy_of(record: Record, epochs: int) -> float:
    """After so many epochs; 0 if it diverged, nan if it failed."""
    return math.nan if record.status == "failed" else record.accuracy_at(epochs)


def timm_recipe(protocol: ProtocolSettings) -> dict:
    """That of timm's train.py unless it is told otherwise (1.0.31): SGD with a learning rate of 0.1 for batches of 256,
    weight decay 2e-5, no regularisation; all else is the protocol's."""
    lr = 0.1 * protocol.lr_batch_size / 256 / protocol.sgd_lr_multiplier
    return Recipe(lr=lr, optimizer="sgd", weight_decay=2e-5).to_dict()


def middle_recipe() -> dict:
    """The middle of FBNetV3's recipe space."""
    return Recipe.from_dict(stated("recipe", MIDDLE)).to_dict()


def main() -> None:
    """Search a recipe for each network, train every network with every recipe, show."""
    parser = argparse.ArgumentParser(prog="python -m experiments.recipe_swap.run")
    parser.add_argument(
        "overrides", nargs="*", help="settings of search.py: data=folder data.root=..., protocol=..., ..."
    )
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="candidates as train.py takes them")
    parser.add_argument("--test", type=Path, help="images of the same classes, on which the swap is validated alone")
    parser.add_argument("--folder", type=Path, default=Path("runs/recipe_swap"), help="where results are kept")
    parser.add_argument("--seeds", type=int, default=1, help="of every network with every recipe")
    parser.add_argument(
        "--first-seeds", type=int, default=3, help="of the first, with its own recipe and those that nobody searched"
    )
    parser.add_argument("--plain", action="store_true", help="none of the settings for images of 32 pixels on a CPU")
    given = parser.parse_intermixed_args()
    study = Study(
        networks=tuple(given.networks),
        overrides=(*(() if given.plain else MICRO), *given.overrides),
        folder=given.folder,
        test=given.test,
        seeds=tuple(range(1, given.seeds + 1)),  # none that a search has seen
        seeds_of_first=tuple(range(1, given.first_seeds + 1)),
    )
    with limited_threads():
        recipes = {network: study.searched(network) for network in study.networks}
        protocol = study.settings(study.networks[0]).protocol
        recipes |= {MIDDLE: middle_recipe(), TIMM: timm_recipe(protocol)}
        write(study.trained(recipes), study.networks, recipes)


if __name__ == "__main__":
    with one_line_errors():
        main()
