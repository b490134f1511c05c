"""What methods have in common: what they are handed, who trains for them, and what their answers are compared with."""

from collections.abc import Callable, MutableMapping
from functools import cached_property

from nars.methods.confirm import Reference
from nars.methods.contract import Watch
from nars.methods.trainings import trainer_of
from nars.problem import Problem
from nars.settings import SearchSettings
from nars.training.executor import Executor
from nars.training.opening import open_executor
from nars.training.trainer import CandidateTrainer


class BaseMethod:
    """Base of the classes that are a `nars.methods.contract.Method`; `memory` is what the jobs of one sweep share, None
    outside of sweeps."""

    def __init__(
        self, settings: SearchSettings, problem: Problem, watch: Watch, *, memory: MutableMapping | None = None
    ):
        self.settings = settings
        self.problem = problem
        self.watch = watch
        self.memory = memory

    @cached_property
    def reference(self) -> Reference | None:
        """What answers are compared with; None where nothing is confirmed, or would be."""
        if not (self.settings.confirm.pairs or self.settings.dry_run):
            return None
        from nars.methods.reference import open_reference  # timm takes a second

        return open_reference(self.settings, self.problem)

    def executor(self, run: Callable) -> Executor:
        """What lets `run` train, or measure, each job."""
        return open_executor(self.settings.executor, run, accelerator=self.settings.trainer.accelerator)

    def trainer(self, executor: Executor) -> CandidateTrainer:
        """What trains candidates into the study's ledger."""
        return trainer_of(self.settings, self.problem, self.watch, executor, self.reference)
