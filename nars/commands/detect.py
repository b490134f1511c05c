"""What `detect.py` does: a detector trained on the network of a candidate, to weights with a card."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nars.candidates import load_architecture
from nars.commands.one_training import EpochLines, OneTraining
from nars.costs.table import in_words
from nars.data.detection import DetectionData, open_detection_data
from nars.errors import UserError
from nars.files import make_study_folder
from nars.networks.architectures import architecture_of
from nars.networks.detection.costs import detector_costs
from nars.networks.detection.detectors import Detector
from nars.records import Ledger, Record, training_key
from nars.reporting.boxes import with_boxes, write_sheet
from nars.reporting.screen.detection import print_precisions
from nars.reporting.screen.setup import Images, print_detection_setup
from nars.reporting.tracking.notices import Notices
from nars.settings import DetectSettings
from nars.shell import command, override
from nars.spaces.candidate import Candidate
from nars.study.outcomes import Result
from nars.training.detection_job import DetectionJob, detection_identity
from nars.training.job import origin_of
from nars.training.single.detection import run_detection
from nars.training.weights.average_precision import check_library
from nars.training.weights.card import WEIGHTS, read_card
from nars.training.weights.detection_card import make_detection_card, measure_detector
from nars.training.weights.detector_files import new_detector
from nars.training.weights.files import load_weights
from nars.training.weights.start import PRETRAINED, open_start, start_identity
from nars.training.weights.tuning import Tuning
from nars.wandb_run import WandbRun

PICTURES = "predictions.png"
SHOWN = 12  # validation images in it


def train_detector(settings: DetectSettings, console: Console) -> Result:
    """Train, or go on; what was reached, with the folder of the best weights and their card."""
    check_library()
    if settings.weights is not None:
        raise UserError("weights=... is for mode=evaluate and mode=predict")
    folder = make_study_folder(settings.runs_dir, settings.study)
    ledger = Ledger(folder / "records.jsonl")
    data = open_detection_data(settings.detection_data)
    for note in data.notes:
        console.print(note, soft_wrap=True)
    job = _job(settings, data, folder=folder)
    out = Path(job.folder)
    training = OneTraining(
        job=job, ledger=ledger, resume=settings.resume, console=console, say=lambda card: _say(card, out, console)
    )
    if training.known():
        return _result(out)
    print_detection_setup(console, settings, Images.of(data, settings.detection_data), costs=in_words(job.costs))
    goes_on = "; if it is stopped, the same command goes on" if settings.resume else ""
    if job.start is not None:
        console.print(f"the network begins with {settings.start.weights}", soft_wrap=True)
    console.print(f"training {settings.detector.name} on {settings.candidate} until epoch {job.epochs}{goes_on}")
    lines = EpochLines(console, job.epochs, metric="mAP")

    def train(best: Path, loggers: Sequence) -> tuple[Record, dict | None]:
        record, module = run_detection(job, on_epoch=lines, on_step=lines.step, best_weights=best, loggers=loggers)
        if record.status == "diverged":
            return record, None
        val_loss = module.curves["val_loss"][record.accuracies.index(max(record.accuracies))]
        return record, _measured_card(job, record, data, best, val_loss=val_loss)

    def track(run: WandbRun, card: dict) -> None:
        run.summarise({name: card[name] for name in ("map", "ap50", "ap75")})

    training.run(train, Notices(settings.logger, folder, console), track)
    return _result(out)


def _measured_card(job: DetectionJob, record: Record, data: DetectionData, best: Path, *, val_loss: float) -> dict:
    """The card, measured from the file of weights; pictures of what it finds are written beside it."""
    detector, _ = _detector(job, data)
    load_weights(detector, best)
    protocol = job.protocol
    precision, found = measure_detector(
        detector, data, image_size=protocol.image_size, batch_size=protocol.batch_size, trainer=job.trainer
    )
    write_pictures(Path(job.folder) / PICTURES, data, found, image_size=protocol.image_size)
    return make_detection_card(job, record, data, detector, precision=precision, val_loss=val_loss)


def write_pictures(path: Path, data: DetectionData, found: dict, *, image_size: int, score: float = 0.5) -> None:
    """The first validation images: the truth at the left, detections of at least that score at the right."""
    images, rows = data.val_set(image_size=image_size), []
    for index in sorted(found)[:SHOWN]:
        image, truth, detections = images.image(index), images.objects(index), found[index]
        sure = detections["scores"] >= score
        boxes, labels, scores = (detections[name][sure] for name in ("boxes", "labels", "scores"))
        names = data.class_names
        words = [f"{names[label]} {value:.2f}" for label, value in zip(labels.tolist(), scores.tolist(), strict=True)]
        true = with_boxes(image, truth.boxes, truth.labels, [names[label] for label in truth.labels.tolist()])
        rows.append([true, with_boxes(image, boxes, labels, words)])
    write_sheet(path, rows, columns=3)


def _job(settings: DetectSettings, data: DetectionData, *, folder: Path) -> DetectionJob:
    architecture = load_architecture(settings.candidate)
    protocol = settings.detection_protocol
    training = detection_identity(data, settings.detector, protocol, settings.trainer)
    start = open_start(settings.start, folder=folder.parent / PRETRAINED, architecture=architecture)
    if start is not None:
        training |= {"start": start_identity(start)}
    key = training_key(Candidate(architecture=architecture, recipe={}), training, settings.seed)
    job = DetectionJob(
        key=key,
        architecture=architecture,
        recipe={},
        data=settings.detection_data,
        detector=settings.detector,
        protocol=protocol,
        trainer=settings.trainer,
        logger=settings.logger,
        training=training,
        origin=origin_of(data, settings.detection_data),
        folder=str(folder / "trainings" / f"{key}-epochs-{protocol.epochs}"),  # each length has its weights
        start=start,
        epochs=protocol.epochs,
        seed=settings.seed,
        costs={},
    )
    detector, _ = _detector(job, data)  # what does not fit is said before anything is trained
    return job.model_copy(update={"costs": detector_costs(detector, protocol.image_size, protocol.image_size)})


def _detector(job: DetectionJob, data: DetectionData) -> tuple[Detector, Tuning | None]:
    architecture = architecture_of(job.architecture)
    return new_detector(architecture, job.detector, class_names=data.class_names, start=job.start)


def _result(folder: Path) -> Result:
    card = read_card(folder / WEIGHTS)
    return Result(
        accuracy=card["map"] or 0.0,
        metric="map",
        costs=card["costs"],
        architecture=card["architecture"],
        recipe={},
        folder=str(folder),
    )


def _say(card: dict, folder: Path, console: Console) -> None:
    print_precisions(console, card)
    weights, pictures = folder / card["weights"], folder / PICTURES
    side = card["image_size"]
    predict = command("detect.py", "mode=predict", override("weights", weights), "images=...")
    lines = [
        f"weights of epoch {card['epoch']} of {card['epochs']}, the best, on {card['images']:,} validation images",
        f"{in_words(card['costs'])} for an image of {side} x {side} px, the whole detector",
        f"written: {weights} and card.yaml; the truth beside what was detected: {pictures}",
        f"detect in your own photos: {predict}",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)
