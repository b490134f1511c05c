"""Training one candidate for its own sake: from a file or a published name to weights."""

from pathlib import Path

import yaml
from rich.console import Console
from safetensors.torch import save_file
from torch import nn

from nars.costs.constraint import COSTS, short_number
from nars.costs.statistics import table_costs
from nars.data import ImageData, open_data
from nars.errors import UserError
from nars.records import Ledger, Record, training_key
from nars.settings import TrainSettings
from nars.spaces.architecture import Architecture, ArchitectureTable
from nars.spaces.candidate import Candidate
from nars.spaces.recipe import Recipe
from nars.training.run import TrainingJob, forget_state, run_training, training_identity

CANDIDATES = Path(__file__).parents[1] / "conf" / "candidates"


def load_candidate(name: str) -> Candidate:
    """The candidate of a YAML file, or of a name in conf/candidates; UserError if there is none or it is invalid."""
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else CANDIDATES / f"{name}.yaml"
    if not path.is_file():
        published = ", ".join(sorted(file.stem for file in CANDIDATES.glob("*.yaml")))
        raise UserError(f"candidate={name}: no such file; give a best-N.yaml of a search, or one of {published}")
    try:
        values = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: no candidate; it must have an architecture and a recipe")
    candidate = Candidate.from_dict(values, where=str(path))
    Architecture.from_dict(candidate.architecture, where=f"{path}: architecture")
    Recipe.from_dict(candidate.recipe, where=f"{path}: recipe")
    return candidate


def train_candidate(settings: TrainSettings, console: Console) -> Path:
    """What `train.py` does; returns the folder with weights.safetensors and candidate.yaml."""
    candidate = load_candidate(settings.candidate)
    given = settings.recipe.model_dump(exclude_none=True)
    candidate = Candidate(architecture=candidate.architecture, recipe=candidate.recipe | given)
    folder = Path(settings.runs_dir) / settings.study
    ledger = Ledger(folder / "records.jsonl")
    split_file = folder / "split.json"
    data = open_data(settings.data, split_file=split_file)
    job = _job(candidate, settings, data, folder=folder, split_file=split_file)
    out = Path(job.folder)
    if ledger.find(job.key, job.epochs) and (out / "weights.safetensors").exists():
        console.print(f"already trained: {out / 'weights.safetensors'}", soft_wrap=True)
        return out
    console.print(
        f"training {candidate.name}: {short_number(job.macs)} MACs, {short_number(job.params)} params, "
        f"{job.epochs} epochs on {data.train_size:,} images of {settings.data.name}"
    )
    record, module = run_training(
        job, on_epoch=lambda epoch, accuracy: console.print(f"  epoch {epoch}/{job.epochs}: accuracy {accuracy:.4f}")
    )
    if record.status == "finished":
        _save(out, record, module.evaluated_network)
    ledger.append(record)
    forget_state(job)
    if record.status == "diverged":
        raise UserError("the training diverged (NaN or infinite); try a smaller recipe.lr or a longer warm-up")
    console.print(
        f"accuracy {record.accuracies[-1]:.4f} after {len(record.accuracies)} epochs in {record.seconds:.0f} s"
    )
    console.print(f"written: {out / 'weights.safetensors'} and candidate.yaml", soft_wrap=True)
    return out


def _job(
    candidate: Candidate, settings: TrainSettings, data: ImageData, *, folder: Path, split_file: Path
) -> TrainingJob:
    training = training_identity(data, settings.protocol, settings.trainer)
    key = training_key(candidate, training, settings.seed)
    table = ArchitectureTable.of(Architecture.from_dict(candidate.architecture))
    macs, params = table_costs(table, COSTS, num_classes=data.num_classes)[0]
    return TrainingJob(
        **candidate.to_dict(),
        key=key,
        data=settings.data,
        split_file=str(split_file),
        protocol=settings.protocol,
        trainer=settings.trainer,
        logger=settings.logger,
        training=training,
        study=settings.study,
        folder=str(folder / "trainings" / key),
        epochs=settings.protocol.epochs,
        seed=settings.seed,
        macs=float(macs),
        params=float(params),
    )


def _save(folder: Path, record: Record, network: nn.Module) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "weights.safetensors"
    )
    result = {"accuracy": record.accuracies[-1], "macs": record.macs, "params": record.params}
    (folder / "candidate.yaml").write_text(yaml.safe_dump(record.candidate.to_dict() | result, sort_keys=False))
