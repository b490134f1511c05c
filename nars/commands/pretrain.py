"""What `pretrain_predictor.py` does: the predictor's encoder pretrained to a file."""

from pathlib import Path

from rich.console import Console

from nars.methods.encoder import pretrained_predictor
from nars.problem import ENCODERS, PREDICTORS
from nars.reporting.screen.progress import ProgressDisplay
from nars.reporting.screen.terminal import print_encoder_check
from nars.reporting.tracking.notices import Notices
from nars.reporting.tracking.pretrainings import tracked_pretraining
from nars.settings import PretrainScriptSettings
from nars.shell import command, override
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space
from nars.study.next_step import differing


def pretrain_to_file(settings: PretrainScriptSettings, console: Console) -> Path:
    """Pretrain (or find) the encoder, say how good it is, write `output`."""
    space = JointSpace(ArchitectureSpace(settings.search_space), recipe_space(settings.recipe_space))
    study = Path(settings.runs_dir) / settings.study
    notices = Notices(settings.logger, study, console)
    decides = {"num_classes": settings.num_classes, "seed": settings.seed}
    predictor, path, found = pretrained_predictor(
        settings.predictor,
        space,
        **decides,
        folder=study / PREDICTORS,
        shared=study.parent / ENCODERS,
        progress=ProgressDisplay(console),
        watched=lambda file: tracked_pretraining(settings.logger.wandb, settings.predictor, space, file, **decides),
    )
    print_encoder_check(console, predictor.check)
    if found:
        console.print("already pretrained with these settings")
    if settings.output is not None:
        path = Path(settings.output)
        predictor.save(path)
    given = settings.model_dump(mode="json", exclude={"logger"})  # a pretraining's own: trainings have others
    use = command("search.py", override("pretrained", path), *differing("search", given))
    console.print(f"written: {path}; use it with: {use}", soft_wrap=True)
    notices.say_end()
    return path
