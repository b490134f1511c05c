"""Predictor files: safetensors with one JSON document as metadata; checks that a file fits its use."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nars.errors import UserError
from nars.files import write_whole
from nars.settings import PredictorSettings

FORMAT = "nars-predictor-1"
SIZES = ("encoding", "embedding", "encoder_hidden", "head_hidden", "members")
AGAIN = "remove this file and run the same command again, or pretrain again with pretrain_predictor.py"


def write(path: str | Path, tensors: dict[str, Tensor], metadata: dict) -> None:
    """Write the file of a predictor, whole or not at all."""
    content = save({n: t.contiguous() for n, t in tensors.items()}, {"format": FORMAT, "nars": json.dumps(metadata)})
    write_whole(Path(path), content)


def read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and metadata of a file that `write` made; UserError, one line, for any other."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; make it with pretrain_predictor.py, or correct the path")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a readable safetensors file ({reason}); {AGAIN}") from None
    if header.get("format") != FORMAT:
        raise UserError(f"{path}: a safetensors file, but not a predictor of this version ({FORMAT}); {AGAIN}")
    try:
        return tensors, json.loads(header["nars"])
    except (KeyError, ValueError):
        raise UserError(f"{path}: its description cannot be read; {AGAIN}") from None


def part_of(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `part` and a dot, without both."""
    return {n.removeprefix(part + "."): t for n, t in tensors.items() if n.startswith(part + ".")}


def check_specification(path: str | Path, *, saved: dict, wanted: dict) -> None:
    """UserError naming the first dimension in which the space of the file differs from `wanted`."""
    missing = next((name for name in wanted if name not in saved), None)
    extra = next((name for name in saved if name not in wanted), None)
    changed = next((n for n in wanted if n in saved and json.dumps(saved[n]) != json.dumps(list(wanted[n]))), None)
    if missing is not None:
        difference = f"it has no dimension {missing}"
    elif extra is not None:
        difference = f"it has a dimension {extra}, which this space has not"
    elif changed is not None:
        difference = f"{changed} has choices {_short(saved[changed])} there and {_short(list(wanted[changed]))} here"
    elif list(saved) != list(wanted):
        first = next(s for s, w in zip(saved, wanted, strict=True) if s != w)
        difference = f"the dimensions are in another order, first at {first}"
    else:
        return
    raise UserError(f"{path}: this predictor was made for another space: {difference}; {AGAIN}")


def check_settings(path: str | Path, *, saved: PredictorSettings, wanted: PredictorSettings) -> None:
    """UserError naming the first size of the networks in which the file differs from `wanted`."""
    for key in SIZES:
        if getattr(saved, key) != getattr(wanted, key):
            raise UserError(
                f"{path}: saved with predictor.{key}={getattr(saved, key)}, asked for {getattr(wanted, key)}; "
                f"use the saved value, or {AGAIN}"
            )


def _short(choices: list) -> str:
    text = json.dumps(choices)
    return text if len(text) <= 60 else text[:57] + "..."
