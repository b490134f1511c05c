"""Who trains a method's candidates, whatever the method: one ledger, one executor, one key for the same training."""

from collections.abc import Callable

from nars.errors import UserError
from nars.methods.confirm import Reference
from nars.methods.contract import Watch
from nars.methods.start import begins_so, start_of, with_start
from nars.problem import Problem
from nars.records import Ledger
from nars.settings import SearchSettings
from nars.study.ledgers import LEDGER
from nars.training.executor import Executor
from nars.training.job import origin_of, training_identity
from nars.training.trainer import CandidateTrainer


def trainer_of(
    settings: SearchSettings, problem: Problem, watch: Watch, executor: Executor, reference: Reference | None = None
) -> CandidateTrainer:
    """What trains the candidates of `problem` and the reference as `settings` say, into the study's ledger."""
    space, of_none = problem.space, origin_of(problem.data, settings.data)
    origin = origin_of(
        problem.data, settings.data, search_space=space.architecture.name, recipe_space=space.recipe.name
    )
    training = training_identity(problem.data, settings.protocol, settings.trainer)
    start = start_of(settings, problem)
    outside = {}
    if reference is not None:
        scratch = {} if begins_so(start, reference.candidate, problem) else {"start": None, "training": training}
        outside[reference.candidate.name] = {"costs": reference.costs, "origin": of_none, **scratch}
    return CandidateTrainer(
        Ledger(problem.folder / LEDGER),
        executor,
        job_values={
            "data": problem.data_settings,
            "split_file": str(problem.split_file),
            "protocol": settings.protocol,
            "trainer": settings.trainer,
            "logger": watch.logger,
            "training": with_start(training, start),
            "start": start,
            "origin": origin,
            "seed": problem.seed,
        },
        price=problem.price_candidate,
        folder=problem.folder / "trainings",
        progress=watch.progress,
        within=None if problem.constraint.label == "none" else problem.constraint.kept_by,
        outside=outside,
    )


def offers(problem: Problem) -> Callable:
    """A function: whether a candidate is one of the problem's space."""

    def offered(candidate) -> bool:
        try:
            problem.space.locate_candidate(candidate)
        except UserError:
            return False
        return True

    return offered
