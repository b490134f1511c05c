"""The layout of the Hugging Face hub, as timm has it: config.json, model.safetensors and README.md."""

import json
import tempfile
from pathlib import Path

import timm
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HFValidationError, HTTPError
from safetensors import SafetensorError
from timm.models import save_for_hf
from timm.models._hub import generate_readme
from torch import nn

import nars.networks.entrypoint  # noqa: F401 (registers found networks)
from nars.data.augmentation import CROP_FRACTION
from nars.errors import UserError
from nars.exporting.description import PROPERTY, Deployed, Description, InBatches
from nars.files import write_whole
from nars.settings import parse
from nars.training.weights.card import name_in_timm

CONFIG = "config.json"


def write_hub(folder: Path, network: nn.Module, description: Description, *, repo: str | None, about: dict) -> None:
    """Write the folder; `about` is what the README says of the network, by name, `repo` where it will be pushed to."""
    name, arguments = _in_timm(description)
    model = timm.create_model(name, num_classes=description.num_classes, **arguments)
    model.load_state_dict(network.state_dict())
    with tempfile.TemporaryDirectory() as made:
        save_for_hf(
            model,
            made,
            model_config={PROPERTY: description.model_dump(mode="json"), "label_names": description.classes},
            data_config=_preprocessing(description),
            safe_serialization=True,
        )
        (Path(made) / "README.md").write_text(_readme(name, repo, about), encoding="utf-8")
        for file in Path(made).iterdir():
            write_whole(folder / file.name, file.read_bytes())


def open_hub(folder: Path) -> tuple[InBatches, Description]:
    """The network of such a folder, as timm makes it; UserError if it is none."""
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))[PROPERTY]
        description = parse(Description, values, where=f"{folder / CONFIG}: {PROPERTY}")
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: no folder of export.py format=hub ({str(error).partition(chr(10))[0]})") from None
    return InBatches(Deployed(model, description), None), description


def push(folder: Path, repo: str) -> str:
    """Upload the folder to a repository of the hub, made if it is not there; the address. UserError without a login, or
    if the hub cannot be reached or refuses."""
    check_login()
    api = HfApi(library_name="timm", library_version=timm.__version__)
    try:
        repo = api.create_repo(repo, exist_ok=True).repo_id
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Export")
    except (HTTPError, HFValidationError, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"push to {repo}: {reason}; it lies in {folder}, the same command tries again") from None
    return f"{api.endpoint}/{repo}"


def check_login() -> None:
    """UserError if nobody is logged in."""
    if get_token() is None:
        raise UserError("push=true: nobody is logged in to the Hugging Face hub; run hf auth login, or set HF_TOKEN")


def _in_timm(description: Description) -> tuple[str, dict]:
    """Name and arguments with which timm makes the network."""
    own = name_in_timm(description.architecture)
    return (own, {}) if own else ("nars_network", {"architecture": description.architecture})


def _preprocessing(description: Description) -> dict:
    side = description.image_size
    return {
        "input_size": (3, side, side),
        "mean": description.mean,
        "std": description.std,
        "interpolation": "bicubic",
        "crop_pct": CROP_FRACTION,
    }


def _readme(name: str, repo: str | None, about: dict) -> str:
    where = f"hf-hub:{repo}" if repo else "local-dir:FOLDER"
    registers = "import nars.networks.entrypoint  # the project that found this network\n" * (name == "nars_network")
    usage = f'```python\nimport timm\n{registers}\nnetwork = timm.create_model("{where}", pretrained=True).eval()\n```'
    card = {"license": "unknown", "tags": ["image-classification", "timm"], "details": about, "usage": usage}
    return generate_readme(card, repo.rpartition("/")[2] if repo else name)
