"""Weights as files: written whole or not at all, read with one-line errors."""

import pickle
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save
from timm.models import load_state_dict
from torch import nn

from nars.errors import UserError
from nars.files import write_whole


def write_weights(path: Path, network: nn.Module) -> None:
    """Write the state of `network` as safetensors."""
    write_whole(path, save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill `network` from a file of safetensors or a state dict of torch; UserError if it does not hold its weights."""
    if not path.is_file():
        raise UserError(f"weights={path}: no such file")
    try:
        state = load_state_dict(str(path))
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise UserError(f"weights={path}: cannot be read as weights: {str(error).partition(chr(10))[0]}") from None
    own = network.state_dict()
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    if wrong or len(state) != len(own):
        name = wrong[0] if wrong else next(name for name in state if name not in own)
        shapes = [str(tuple(s[name].shape)) if name in s else "nothing" for s in (state, own)]
        raise UserError(
            f"weights={path}: of another network: {name} is {shapes[0]} in the file and {shapes[1]} in the network"
        )
    network.load_state_dict(state)
