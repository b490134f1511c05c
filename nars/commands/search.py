"""What `search.py` does: a question is checked, a method answers it, and the answer is written and shown."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.console import Console

from nars.costs.table import by_name
from nars.errors import UserError
from nars.files import make_study_folder
from nars.methods.contract import Answer, Measurement, Told
from nars.methods.opening import open_method
from nars.methods.start import check_start
from nars.methods.supernet_plan import SupernetPlan
from nars.problem import ENCODERS, PREDICTORS, Problem
from nars.reporting.page.report import write_report
from nars.reporting.screen.live import LiveReport
from nars.reporting.screen.presentation import present
from nars.reporting.screen.progress import ProgressDisplay
from nars.reporting.screen.setup import Images, print_search_setup
from nars.reporting.screen.supernets import print_supernet_plan
from nars.reporting.screen.terminal import print_encoder_check, print_passed_over, print_plan, print_round
from nars.reporting.tracking.pretrainings import tracked_pretraining
from nars.reporting.tracking.searches import SearchTracking
from nars.search.rounds import History, Round
from nars.settings import LoggerSettings, SearchSettings
from nars.study.answers import (
    SUMMARY,
    UNFINISHED,
    Run,
    answer_folder,
    known_answer,
    write_answer,
    write_unfinished,
)
from nars.study.outcomes import Result
from nars.study.summary import SearchSummary, nothing_found, summary_of
from nars.training.devices import check_precision, device_of
from nars.training.trainer import Progress

SIDES_OF = 64  # architectures whose images are measured: more than a space has resolutions


@dataclass(frozen=True, kw_only=True)
class Search:
    """One run of `search.py`: its settings, and what follows from them. `memory` is what the jobs of a sweep share,
    None outside of sweeps; `scratch` is where a dry run writes."""

    settings: SearchSettings
    console: Console
    memory: MutableMapping | None = None
    scratch: Path | None = None
    started: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @property
    def in_sweep(self) -> bool:
        """Whether this is one of several jobs, whose page is made at their end."""
        return self.memory is not None

    @cached_property
    def problem(self) -> Problem:
        """The question."""
        return Problem.of(self.settings, scratch=self.scratch)

    @cached_property
    def folder(self) -> Path:
        """Where the answer goes. A ledger that answers alone is part of its name and may grow meanwhile: this is asked
        for before that is read."""
        return answer_folder(self.settings)

    @cached_property
    def tracking(self) -> SearchTracking:
        """What Weights & Biases is shown."""
        return SearchTracking(self.settings, self.folder, self.console, in_sweep=self.in_sweep)

    @cached_property
    def progress(self) -> Progress:
        """Where long work shows how far it is: on the terminal, and in the study's report."""
        display = ProgressDisplay(self.console)
        return display if self.settings.dry_run else LiveReport(display, self._write_report)

    def _write_report(self, *, live: bool) -> None:
        """Write the report of a search that goes on, or was stopped, also before its first round is done."""
        if not ((self.folder / UNFINISHED).exists() or (self.folder / SUMMARY).exists()):
            write_unfinished(self.folder, self._summary(nothing_found(self.settings.protocol.epochs)))
        write_report([self.problem.folder], live=live)

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """What stops the search leaves a report that does not wait for news; so does a job of a sweep, which writes no
        other one at its end."""
        try:
            yield
        except BaseException:
            self.progress.settle()
            raise
        if self.in_sweep:
            self.progress.settle()

    @property
    def logger(self) -> LoggerSettings:
        """What trainings log to."""
        return LoggerSettings() if self.settings.dry_run else self.tracking.logger

    def run(self) -> Result | None:
        """Check, answer, write and show; returns the best pair. A dry run shows what would be trained."""
        if self.settings.dry_run and self.scratch is None:
            with tempfile.TemporaryDirectory() as scratch:
                return replace(self, scratch=Path(scratch)).run()
        method = open_method(self.settings, self.problem, self, memory=self.memory)
        self._check()
        _ = self.folder
        method.check()
        if self.settings.dry_run:
            self._copy_predictors()
        else:
            make_study_folder(self.settings.runs_dir, self.settings.study)
        if self.settings.records is None:
            print_passed_over(self.console, self.problem.data.passed_over)
        self._show_setup()
        if self.settings.dry_run:
            self._show_plan(method.plan())
            return None
        with self.tracking:
            with self._settled():
                answer = method.answer()
                run = self._written(answer)
            present(run, self.console, in_sweep=self.in_sweep)
            self.tracking.answer(run, answer.history, **answer.files)
        return run.result

    def _copy_predictors(self) -> None:
        """A dry run has the predictors of its study and of all studies, and leaves them without others."""
        p = self.problem
        for kept, copy in ((p.folder / PREDICTORS, p.predictors), (p.folder.parent / ENCODERS, p.encoders)):
            if kept.is_dir():
                shutil.copytree(kept, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.claim", ".*"))

    def _check(self) -> None:
        """UserError, before anything is trained, if the question cannot be answered."""
        if self.settings.trainer.devices > 1:
            raise UserError(
                f"trainer.devices={self.settings.trainer.devices}: a search trains each candidate on one device, and "
                "several at a time (executor.workers); several devices for one training are for train.py"
            )
        if self.settings.records_of is not None and self.settings.records is None:
            raise UserError(f"records_of={self.settings.records_of}: of which ledger? give records=<a study's folder>")
        self.problem.check(tries=self.settings.evolution.tries)
        check_start(self.settings, self.problem)
        trains_here = self.settings.executor.name == "local" and self.settings.records is None
        if trains_here and not self.settings.dry_run:
            check_precision(self.settings.trainer.precision, device_of(self.settings.trainer.accelerator))

    def _show_setup(self) -> None:
        """What was composed, in a few lines; once in a sweep would be too often."""
        p, s = self.problem, self.settings
        if self.in_sweep or s.records is not None:
            return
        from nars.networks.architectures import image_size  # timm takes seconds, and answers from a ledger none

        architectures = map(p.space.architecture.architecture, p.space.architecture.sample(SIDES_OF, 0))
        sides = {image_size(architecture, s.protocol) for architecture in architectures}
        images = Images.of(p.data, s.data)
        latency = p.measured_latency.file.words if p.measured_latency else ""
        print_search_setup(self.console, s, images, sides=sides, num_classes=p.num_classes, latency=latency)

    def _show_plan(self, plan) -> None:
        if isinstance(plan, str):
            self.console.print(plan, soft_wrap=True)
        elif isinstance(plan, SupernetPlan):
            print_supernet_plan(self.console, plan)
        else:
            print_plan(self.console, plan)

    @contextmanager
    def pretraining(self, file: Path) -> Iterator[Told]:
        """See `nars.methods.contract.Watch`."""
        p, s = self.problem, self.settings
        decides = {"num_classes": p.num_classes, "seed": p.seed}
        with tracked_pretraining(self.logger.wandb, s.predictor, p.space, file, **decides) as track:

            def tell(check: Mapping) -> None:
                print_encoder_check(self.console, check)
                track(check)

            yield tell

    def round(self, done: Round, history: History, findings: Callable[[], Mapping] | None) -> None:
        """See `nars.methods.contract.Watch`. A report is written unless the answer follows at once."""
        print_round(self.console, done, history, self.problem.constraint)
        self.tracking.round(done, history)
        if findings is not None:
            write_unfinished(self.folder, self._summary(findings()))
            self.progress.refresh()

    def epoch(self, findings: Callable[[], Mapping]) -> None:
        """See `nars.methods.contract.Watch`. The report is kept fresh by the progress."""
        write_unfinished(self.folder, self._summary(findings()))

    def recalled(self, history: History) -> None:
        """See `nars.methods.contract.Watch`."""
        for done in history.rounds:
            self.tracking.round(done, history)

    def _written(self, answer: Answer) -> Run:
        fit = answer.files.get("predictor")
        named = {"predictor": os.path.relpath(fit, self.problem.folder)} if fit is not None else {}
        summary = self._summary({**answer.findings, **named})
        pairs = self._pairs(answer)
        known = None if summary.work.trained else known_answer(self.settings)
        if known is not None and list(known.answers) == pairs:
            return known  # found again, for W&B; its summary says what it took
        return write_answer(self.folder, pairs, summary)

    def _pairs(self, answer: Answer) -> list[dict]:
        """The ranked pairs as files hold them."""
        p = self.problem
        return [
            p.space.candidate(point).to_dict()
            | {"predicted_accuracy": round(float(np.clip(accuracy, 0, 1)), 6), "predicted_std": round(float(std), 6)}
            | _measured(measured)
            | {"costs": by_name(self.problem.costs, price)}
            | {"num_classes": p.num_classes}
            for point, accuracy, std, measured, price in zip(
                answer.points,
                answer.accuracies,
                answer.stds,
                answer.measured or [None] * len(answer.points),
                p.price(answer.points),
                strict=True,
            )
        ]

    def _summary(self, findings: Mapping) -> SearchSummary:
        measured = self.problem.measured_latency
        return summary_of(
            findings if measured is None else {**findings, "latency": measured.summary},
            constraint=self.problem.constraint.label,
            settings=self.settings.model_dump(mode="json"),
            started=self.started,
        )


def _measured(measured: Measurement | None) -> dict:
    """What the file of a pair says of what was measured; nothing if nothing was."""
    if measured is None:
        return {}
    std = {} if measured.std is None else {"measured_std": round(measured.std, 6)}
    seeds = {"measured_seeds": len(measured.accuracies), "measured_epochs": measured.epochs}
    return {"measured_accuracy": round(measured.mean, 6)} | std | seeds
