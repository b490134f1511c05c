"""How the jobs of a sweep ended, as files in the sweep's folder."""

from pathlib import Path

import yaml

from nars.costs.table import gathered
from nars.files import write_whole
from nars.settings import Settings, later, parse


class Result(Settings):
    """What a script found: an accuracy, predicted where `predicted_std` is given, of a candidate with its costs. What
    `accuracy` is has a name: `map` is a detector's mean average precision.

    `folder` holds what was written: of a search best-1.yaml and search.yaml, of a training weights and card.yaml.
    """

    accuracy: float
    metric: str = later("accuracy")
    predicted_std: float | None = None
    costs: dict[str, float]
    architecture: dict
    recipe: dict
    folder: str


class Outcome(Settings):
    """How job `number` of a sweep ended: with a result, or with an error."""

    number: int
    overrides: tuple[str, ...]
    result: Result | None = None
    error: str | None = None


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Write job-<number>.yaml."""
    write_whole(folder / f"job-{outcome.number}.yaml", yaml.safe_dump(outcome.model_dump(mode="json"), sort_keys=False))


def forget_outcomes(folder: Path) -> None:
    """Remove the outcomes of an earlier sweep into the same folder."""
    for file in outcome_files(folder):
        file.unlink()


def outcome_files(folder: Path) -> list[Path]:
    """The files that `write_outcome` wrote into a folder."""
    return [file for file in folder.glob("job-*.yaml") if file.stem.removeprefix("job-").isdigit()]


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes in a sweep's folder, by number."""
    outcomes = [
        parse(Outcome, gathered(yaml.safe_load(file.read_text())), where=str(file)) for file in outcome_files(folder)
    ]
    return sorted(outcomes, key=lambda outcome: outcome.number)
