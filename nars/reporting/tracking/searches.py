"""What searches show on Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from nars.costs.table import flattened
from nars.reporting.tracking.notices import Notices
from nars.search.rounds import History, Round, predicted_against_measured, rank_agreement
from nars.settings import LoggerSettings, SearchSettings
from nars.study.answers import NO_PART_WITH_RECORDS, Run
from nars.study.summary import SupernetEpoch, SupernetSummary
from nars.wandb_run import WandbRun, candidate_scalars, scalars

IN_CONFIG = {"constraint", "data", "protocol", "predictor", "strategy", "trainer", "seed"}


class SearchTracking:
    """The W&B run of a search, as a context manager around the search; without `logger.wandb` nothing happens.

    Rounds and generations are its steps, trained candidates and ranked answers its tables. Artifacts say what was made
    of what: records, and from them the predictor, and with it the pairs.
    """

    def __init__(self, settings: SearchSettings, answers: Path, console: Console, *, in_sweep: bool):
        self.study = answers.parents[1]
        self.in_sweep = in_sweep
        self.logger = LoggerSettings() if settings.dry_run else settings.logger  # of trainings and pretrainings, too
        self.notices = Notices(self.logger, self.study, console)
        self.run = WandbRun(
            self.logger.wandb,
            self.study,
            key=f"search-{answers.name}",
            name=f"{self.study.name} {answers.name}",
            job_type="search",
            config=_search_config(settings),
        )
        self.notices.say_problem()
        for axis in ("round", "generation", "supernet_epoch"):
            self.run.define_axis(axis)

    def round(self, done: Round, history: History) -> None:
        """Show what a round gave."""
        accuracies = [r.accuracy_at(history.epoch) for r in done.records if r.status != "failed"]
        row = {"round": done.number, "round/trained": len(accuracies)}
        if accuracies:
            row |= {"round/best": max(accuracies), "round/mean": sum(accuracies) / len(accuracies)}
        pairs = predicted_against_measured(done)
        if pairs:
            agreement = rank_agreement(*np.array(pairs).T)
            row |= {f"round/{key}": value for key, value in agreement.items() if value is not None}
        self.run.log(row)
        self.notices.say_problem()

    def answer(self, answer: Run, history: History, **files: Path) -> None:
        """Show the finished search: generations, tables, summary, artifacts; `files` are those of the answer."""
        summary, best = answer.summary, answer.answers[0]
        for i, generation in enumerate(summary.generations):
            values = {f"generation/{key}": value for key, value in generation.model_dump().items()}
            self.run.log({"generation": i} | values)
        for number, epoch in enumerate(summary.supernet.epochs if summary.supernet else (), start=1):
            self.run.log({"supernet_epoch": number} | _supernet_row(epoch, summary.supernet))
        answers = [{"rank": rank} | _flat(a) for rank, a in enumerate(answer.answers, start=1)]
        self.run.tables({"candidates": _candidate_rows(history), "answers": answers})
        work = {} if summary.work is None else scalars(summary.work.model_dump())
        agreement = {f"held_out/{key}": value for key, value in summary.held_out_ranking.model_dump().items()}
        accuracies = {key: value for key, value in best.items() if key.startswith(("predicted_", "measured_"))}
        self.run.summarise(accuracies | best["costs"])
        self.run.summarise(work | agreement | {"early_stop_epoch": summary.early_stop.epoch})
        self._lineage(files)
        self.run.give(*pairs_artifact(answer.folder))

    def _lineage(self, files: Mapping[str, Path]) -> None:
        """What the pairs were made of; a supernet is too large to be sent."""
        if files["records"].exists():
            self.run.use(f"records-{self.study.name}", "records", [files["records"]])
        if "encoder" in files:
            self.run.use(files["encoder"].stem, "encoder", [files["encoder"]])
        if "predictor" in files:
            for step in (self.run.give, self.run.use):  # made of the records, then used for the pairs
                step(f"predictor-{self.study.name}", "predictor", [files["predictor"]])

    def __enter__(self) -> "SearchTracking":
        return self

    def __exit__(self, kind, *exception) -> None:
        self.run.__exit__(kind, *exception)
        if self.in_sweep:  # which says the rest once, at its end
            self.notices.say_problem()
        elif kind is None:
            self.notices.say_end()


def pairs_artifact(folder: Path) -> tuple[str, str, list[Path]]:
    """Name, type and files of the artifact of a search's answers."""
    return f"pairs-{folder.parents[1].name}-{folder.name}", "pairs", sorted(folder.glob("best-*.yaml"))


def _search_config(settings: SearchSettings) -> dict:
    names = {"search_space": settings.search_space.name, "recipe_space": settings.recipe_space.name}
    keys = IN_CONFIG if settings.records is None else IN_CONFIG - NO_PART_WITH_RECORDS | {"records", "records_of"}
    return scalars(settings.model_dump(mode="json", include=keys)) | names


def _supernet_row(epoch: SupernetEpoch, supernet: SupernetSummary) -> dict:
    """What an epoch of a supernet measured, as scalars."""
    values = epoch.model_dump(exclude_none=True)
    costs = [(key, supernet.named(values.pop(key))) for key in ("expected", "argmax")]
    costs = {f"{key}/{name}": cost for key, named in costs for name, cost in named.items()}
    return {f"supernet_epoch/{key}": value for key, value in (values | costs).items()}


def _candidate_rows(history: History) -> list[dict]:
    return [
        {
            "round": r.number,
            "key": record.key,
            "status": record.status,
            "accuracy": None if record.status == "failed" else record.accuracy_at(history.epoch),
            "predicted_accuracy": None if r.predicted is None else float(r.predicted[i]),
        }
        | record.costs
        | candidate_scalars(record.candidate.to_dict())
        for r in history.rounds
        for i, record in enumerate(r.records)
    ]


def _flat(answer: Mapping) -> dict:
    values = {key: value for key, value in answer.items() if key not in ("architecture", "recipe")}
    return flattened(values) | candidate_scalars(answer)
