"""The answers of a study: what searches write, and what is known already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from nars.costs.constraint import Constraint
from nars.costs.table import ALWAYS, flattened, gathered
from nars.errors import UserError
from nars.files import NumberLoader, content_key, digest, write_whole
from nars.latency.opening import answer_key
from nars.records import Ledger
from nars.settings import ConstraintSettings, DataSettings, SearchSettings, parse
from nars.study.ledgers import LEDGER, ledger_file
from nars.study.outcomes import Result
from nars.study.summary import SearchSummary

SUMMARY, UNFINISHED, REPORT, SPLIT = "search.yaml", "unfinished.yaml", "report.html", "split.json"

ANSWER_KEYS = ("architecture", "recipe", "predicted_accuracy", "predicted_std", *ALWAYS)

# Settings that decide neither what is trained nor what is answered.
NO_PART_IN_ANSWER = {"study", "runs_dir", "dry_run", "executor", "logger"}
NO_PART_OF_TRAINER = {"accelerator", "loader_workers", "checkpoint_every", "keep_checkpoints"}
# Where a ledger answers alone:
NO_PART_WITH_RECORDS = {"confirm", "reference", "data", "protocol", "method", "trainer", "start"}
PART_OF_STRATEGY = {"answers", "pool_size", "cost_axis"}

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's where it was built in: ten times as fast
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One constraint: the summary of its search and the ranked answers, none while it is unfinished.

    An answer is a candidate with its costs by name under `costs`; in its file they lie beside the other keys. What was
    measured, if it was: `measured_accuracy` after epoch `measured_epochs`, the mean over `measured_seeds` seeds, and
    `measured_std` over them if there are several.
    """

    folder: Path
    summary: SearchSummary
    answers: tuple[dict, ...]

    @property
    def finished(self) -> bool:
        """Whether the search has ended with an answer."""
        return bool(self.answers)

    @property
    def rounds_left(self) -> int:
        """How many rounds are not done yet; 0 of a method without rounds."""
        if self.finished or self.summary.in_supernet:
            return 0
        return self.summary.settings["strategy"]["rounds"] - len(self.summary.rounds)

    @property
    def so_far(self) -> str:
        """How far an unfinished search is, in words."""
        summary = self.summary
        if not summary.in_supernet:
            return f"{len(summary.rounds)} of {summary.settings['strategy']['rounds']} rounds done"
        done = len(summary.supernet.epochs) if summary.supernet else 0
        return f"{done} of {summary.settings['method']['epochs']} epochs of the supernet done"

    @property
    def study(self) -> Path:
        """The study's folder."""
        return self.folder.parents[1]

    @property
    def constraint(self) -> Constraint:
        """The limits of the answer."""
        return Constraint.of(parse(ConstraintSettings, self.summary.settings["constraint"], where="constraint"))

    @property
    def result(self) -> Result:
        """The best pair; what was measured of it, if it was."""
        best = self.answers[0]
        measured = best.get("measured_accuracy")
        accuracy = {"accuracy": measured}
        if measured is None:
            accuracy = {"accuracy": best["predicted_accuracy"], "predicted_std": best["predicted_std"]}
        candidate = {key: best[key] for key in ("costs", "architecture", "recipe")}
        return Result(**accuracy, **candidate, folder=str(self.folder))

    def answer_file(self, rank: int) -> Path:
        """What `train.py candidate=` takes for answer `rank` (1 = best)."""
        return self.folder / f"best-{rank}.yaml"


def answer_folder(settings: SearchSettings) -> Path:
    """Where the answer of a search lies: named by its constraint and a key of all that decides the answer, so that
    another seed or strategy has a folder of its own."""
    content = deciding(settings.model_dump(mode="json"))
    if settings.pretrained is not None and Path(settings.pretrained).is_file():
        content["pretrained"] = digest(Path(settings.pretrained))
    if settings.records is None and settings.start.weights and Path(settings.start.weights).is_file():
        content["start"] = content["start"] | {"weights": digest(Path(settings.start.weights))}
    if settings.records is not None:
        content["records"] = digest(ledger_file(settings.records))
    if settings.latency.table is not None:
        content["latency"] = answer_key(settings.latency, settings.search_space)
    label = Constraint.of(settings.constraint).label
    words = label.replace(" ", "").replace(",", "_").replace("<=", "-max-").replace(">=", "-min-")
    return Path(settings.runs_dir) / settings.study / "answers" / f"{words}-{content_key(content)[:6]}"


def deciding(settings: Mapping) -> dict:
    """The settings, as plain containers, that decide what is trained and answered."""
    kept = {key: value for key, value in settings.items() if key not in NO_PART_IN_ANSWER}
    if settings.get("records") is not None:
        strategy = {key: value for key, value in settings["strategy"].items() if key in PART_OF_STRATEGY}
        return {key: value for key, value in kept.items() if key not in NO_PART_WITH_RECORDS} | {"strategy": strategy}
    parts = {key: value for key, value in settings.get("trainer", {}).items() if key not in NO_PART_OF_TRAINER}
    if not kept.get("confirm", {}).get("pairs"):
        kept.pop("reference", None)  # is trained with them
    return kept | {"trainer": parts}


def known_answer(settings: SearchSettings) -> Run | None:
    """The run that answered these settings before; None if there is none that can be read, some of its trainings
    failed, or the images are others now."""
    file = answer_folder(settings) / SUMMARY
    try:
        runs = read_run(file)
    except UserError:  # damaged: the search writes it again
        return None
    runs = [run for run in runs if run.finished and not (run.summary.work and run.summary.work.failed)]
    return next((run for run in runs if settings.records is not None or _same_images(run, settings.data)), None)


def _same_images(run: Run, settings: DataSettings) -> bool:
    """Whether the run trained on the images that lie there now; also true if there are none, as on another machine."""
    if settings.name == "digits" or not Path(settings.root).exists():  # digits are always the same
        return True
    from nars.data import open_data  # imports torch

    images = open_data(settings, split_file=run.study / SPLIT).fingerprint
    ledger = Ledger(run.study / LEDGER)
    records = [ledger.get(c.key) for r in run.summary.rounds for c in r.candidates]
    if run.summary.supernet is not None and run.summary.supernet.images != images:
        return False
    return all(record.training["data"] == images for record in records if record is not None)


def write_answer(folder: Path, answers: Sequence[dict], summary: SearchSummary) -> Run:
    """Write best-1.yaml ... (what `train.py candidate=` reads) and search.yaml, in place of an earlier answer."""
    run = Run(folder=folder, summary=summary, answers=tuple(answers))
    for rank, answer in enumerate(answers, start=1):
        write_whole(run.answer_file(rank), _yaml(flattened(answer)))
    write_whole(folder / SUMMARY, _yaml(summary.model_dump(mode="json")))
    files = {run.answer_file(rank) for rank in range(1, len(answers) + 1)}
    for old in [folder / UNFINISHED, *(set(folder.glob("best-*.yaml")) - files)]:
        old.unlink(missing_ok=True)  # another search may write the same answer
    return run


def write_unfinished(folder: Path, summary: SearchSummary) -> None:
    """Write what is known so far; an earlier answer stays until this search has its own."""
    write_whole(folder / UNFINISHED, _yaml(summary.model_dump(mode="json")))


def read_run(file: Path) -> list[Run]:
    """The run of a summary; none if another search has just finished and taken the file away."""
    try:
        answers = []
        if file.name == SUMMARY:
            paths = file.parent.glob("best-*.yaml")
            paths = sorted(paths, key=lambda path: int(path.stem.removeprefix("best-")))
            answers = [gathered(_load(path, needed=ANSWER_KEYS, loader=NumberLoader)) for path in paths]
        summary = parse(SearchSummary, gathered(_load(file)), where=str(file))
    except FileNotFoundError:
        return []
    return [Run(folder=file.parent, summary=summary, answers=tuple(answers))]


def _load(path: Path, needed: Sequence[str] = (), loader: type = _Loader) -> dict:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); run the search again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no keys; run the search again")
    missing = [key for key in needed if key not in values]
    if missing:
        raise UserError(f"{path}: {missing[0]} is missing; run the search again")
    return values


def _yaml(values: dict) -> str:
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)
