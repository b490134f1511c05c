"""Weights as files: written whole or not at all, read with one-line errors."""

import pickle
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save
from timm.models import load_state_dict
from torch import Tensor, nn

from nars.errors import UserError
from nars.files import write_whole


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the state of `network` as safetensors."""
    write_whole(path, save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))


def read_state(path: Path, *, key: str = "weights") -> dict[str, Tensor]:
    """The tensors of a file of safetensors or of a state dict of torch, by name; UserError, which says that `key` was
    given so, if it is none."""
    if not path.is_file():
        raise UserError(f"{key}={path}: no such file")
    try:
        return load_state_dict(str(path))
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise UserError(f"{key}={path}: cannot be read as weights: {str(error).partition(chr(10))[0]}") from None


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill `network` from a file of safetensors or a state dict of torch; UserError if it does not hold its weights."""
    state, own = read_state(path), network.state_dict()
    wrong = first_wrong(own, state)
    if wrong is not None:
        raise UserError(f"weights={path}: of another network: {wrong}")
    network.load_state_dict(state)


def first_wrong(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str | None:
    """In which tensor a file's `state` is of another network than one that has its `own`; None if in none."""
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    wrong += [name for name in state if name not in own]
    if not wrong:
        return None
    shapes = [str(tuple(s[wrong[0]].shape)) if wrong[0] in s else "nothing" for s in (state, own)]
    return f"{wrong[0]} is {shapes[0]} in the file and {shapes[1]} in the network"
