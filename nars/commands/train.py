"""What `train.py` does: one candidate trained for its own sake, to weights with a card."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nars.candidates import load_architecture, load_candidate, predicted_accuracy
from nars.commands.evaluate import accuracy_line, costs_line, pricing_of
from nars.commands.one_training import EpochLines, OneTraining
from nars.costs.table import gathered
from nars.data import ImageData, open_data
from nars.data.names import beside
from nars.errors import UserError
from nars.files import digest, make_study_folder
from nars.networks.architectures import architecture_of, check_image_size, costs_of, image_size, network_of
from nars.networks.layers import head_of
from nars.records import Ledger, Record, training_key
from nars.reporting.screen.setup import Images, print_training_setup
from nars.reporting.screen.terminal import print_passed_over
from nars.reporting.tracking.notices import Notices
from nars.reporting.tracking.searches import pairs_artifact
from nars.settings import TeacherSettings, TrainSettings
from nars.shell import command, override
from nars.study.answers import SPLIT
from nars.study.next_step import differing
from nars.study.outcomes import Result
from nars.training.job import (
    TeacherJob,
    TrainingJob,
    origin_of,
    training_identity,
)
from nars.training.single.run import run_training
from nars.training.weights.card import WEIGHTS, classifier_card, make_card, read_card
from nars.training.weights.pretrained import TIMM
from nars.training.weights.start import PRETRAINED, begin_with, open_start, start_identity
from nars.training.weights.tuning import tuning_of
from nars.wandb_run import WandbRun


def train_candidate(settings: TrainSettings, console: Console) -> Path:
    """Train, or go on; returns the folder with the best weights and their card."""
    if settings.weights is not None:
        raise UserError("weights=... is for mode=evaluate; to learn from a trained network: teacher.weights=...")
    folder = make_study_folder(settings.runs_dir, settings.study)
    ledger = Ledger(folder / "records.jsonl")
    data = open_data(settings.data, split_file=folder / SPLIT)
    print_passed_over(console, data.passed_over)
    job = _job(settings, data, folder=folder)
    out = Path(job.folder)
    training = OneTraining(
        job=job,
        ledger=ledger,
        resume=settings.resume,
        console=console,
        say=lambda card: _say(card, out, settings, console),
    )
    if training.known():
        return out
    side = image_size(architecture_of(job.architecture), job.protocol)
    print_training_setup(console, settings, Images.of(data, settings.data), side=side)
    if job.start is not None:
        console.print(f"begins with {settings.start.weights}: {_begun(job, data)}", soft_wrap=True)
    goes_on = "; if it is stopped, the same command goes on" if settings.resume else ""
    console.print(
        f"training {job.candidate.name} on {data.train_size:,} images of {settings.data.name} until epoch "
        f"{job.epochs}{goes_on}"
    )
    lines = EpochLines(console, job.epochs)

    def train(best: Path, loggers: Sequence) -> tuple[Record, dict | None]:
        record, _ = run_training(job, on_epoch=lines, on_step=lines.step, best_weights=best, loggers=loggers)
        return record, make_card(job, record, data, best) if record.status == "finished" else None

    def track(run: WandbRun, card: dict) -> None:
        _track(run, Path(settings.candidate), card)

    training.run(train, Notices(settings.logger, folder, console), track)
    return out


def _begun(job: TrainingJob, data: ImageData) -> str:
    """What the network takes of the weights that it begins with; UserError if it cannot begin so."""
    architecture = architecture_of(job.architecture)
    network = network_of(architecture, num_classes=data.num_classes)
    filled = begin_with(job.start, network, architecture, data.class_names)
    tuning_of(job.start.settings, network, filled, head_of(network))
    return filled.words


def result_of(folder: Path) -> Result:
    """What lies in the folder of a training."""
    card = read_card(folder / WEIGHTS)
    candidate = {"architecture": card["architecture"], "recipe": card["recipe"]}
    return Result(accuracy=card["top1"], costs=gathered(card)["costs"], **candidate, folder=str(folder))


def _track(run: WandbRun, candidate: Path, card: dict) -> None:
    """Show on W&B what was reached, and which search's pairs the weights come from."""
    run.summarise({name: card[name] for name in ("top1", "top5")})
    if candidate.parent.parent.name == "answers":
        run.use(*pairs_artifact(candidate.parent))


def _job(settings: TrainSettings, data: ImageData, *, folder: Path) -> TrainingJob:
    overrides = settings.recipe.model_dump(exclude_none=True)
    _check_candidate_is_known(settings)
    candidate = load_candidate(settings.candidate, overrides)
    training = training_identity(data, settings.protocol, settings.trainer)
    teacher = _teacher_job(settings.teacher, data)
    if teacher is not None:
        training |= {"teacher": {"weights": digest(Path(teacher.weights)), "share": teacher.share}}
    start = open_start(settings.start, folder=folder.parent / PRETRAINED, architecture=candidate.architecture)
    if start is not None:
        training |= {"start": start_identity(start)}
    key = training_key(candidate, training, settings.seed)
    architecture = architecture_of(candidate.architecture)
    check_image_size(architecture, image_size(architecture, settings.protocol))
    return TrainingJob(
        **candidate.to_dict(),
        key=key,
        data=settings.data,
        split_file=str(folder / SPLIT),
        protocol=settings.protocol,
        trainer=settings.trainer,
        logger=settings.logger,
        training=training,
        origin=origin_of(data, settings.data),
        folder=str(folder / "trainings" / f"{key}-epochs-{settings.protocol.epochs}"),  # each length has its weights
        teacher=teacher,
        start=start,
        epochs=settings.protocol.epochs,
        seed=settings.seed,
        costs=costs_of(architecture, pricing_of(settings, architecture, data.num_classes)),
        predicted_accuracy=None if overrides else predicted_accuracy(settings.candidate),
    )


def _check_candidate_is_known(settings: TrainSettings) -> None:
    """UserError if it was to be told by a card, and there is none."""
    weights = settings.start.weights
    if settings.candidate == weights and not weights.startswith(TIMM):
        if not Path(weights).is_file():
            raise UserError(f"start.weights={weights}: no such file")
        raise UserError(f"start.weights={weights} has no card.yaml beside it: say whose they are: candidate=...")


def _teacher_job(teacher: TeacherSettings, data: ImageData) -> TeacherJob | None:
    if teacher.weights is None:
        if teacher.candidate is not None:
            raise UserError("teacher.candidate needs its trained weights: teacher.weights=...")
        return None
    path = Path(teacher.weights)
    if not path.is_file():
        raise UserError(f"teacher.weights={path}: no such file")
    card = classifier_card(path)
    if card is None and teacher.candidate is None:
        raise UserError(f"teacher.weights={path} has no card.yaml beside it: say whose they are: teacher.candidate=...")
    if card is not None and card["classes"] != list(data.class_names):
        new = [name for name in data.class_names if name not in card["classes"]]
        which = f": {beside(new[0], card['classes'])} is new to them" if new else ""
        raise UserError(f"teacher.weights={path}: trained on other classes than data has{which}")
    architecture = card["architecture"] if card is not None else load_architecture(teacher.candidate)
    return TeacherJob(architecture=architecture, weights=str(path), share=teacher.share)


def _say(card: dict, folder: Path, settings: TrainSettings, console: Console) -> None:
    weights = folder / card["weights"]
    data = differing("export", {"data": settings.data.model_dump(mode="json")})
    measure = command("train.py", "mode=evaluate", override("weights", weights), "data=folder", "data.root=...")
    lines = [
        f"{accuracy_line(card)}: weights of epoch {card['epoch']} of {card['epochs']}, the best",
        costs_line(gathered(card)["costs"], card["resolution"], card["num_classes"]),
        f"written: {weights} and card.yaml",
        f"files for other programs (ONNX, ...): {command('export.py', override('weights', weights), *data)}",
        f"measure them on other images: {measure}",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)
