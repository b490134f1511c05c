"""Devices and precisions by their names in settings, as PyTorch knows them."""

from contextlib import nullcontext

import torch

from nars.errors import UserError

HALF = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def device_of(accelerator: str) -> torch.device:
    """The device that networks are measured on with `trainer.accelerator`; UserError if there is no such."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator == "gpu" and torch.backends.mps.is_available():
        return torch.device("mps")
    if accelerator == "gpu":
        raise UserError("trainer.accelerator=gpu: PyTorch sees no GPU here; use auto or cpu")
    return torch.device("cpu")


def check_precision(precision: str, device: torch.device) -> None:
    """UserError if computations on `device` would have another precision than `trainer.precision` says."""
    if precision == "16-mixed" and device.type == "cpu":
        raise UserError(
            "trainer.precision=16-mixed needs a GPU: on a CPU it would be bf16-mixed under another name; use "
            "bf16-mixed or 32-true"
        )


def autocast(precision: str, device: torch.device):
    """A context in which networks on `device` compute as `trainer.precision` says."""
    check_precision(precision, device)
    return torch.autocast(device.type, HALF[precision]) if precision in HALF else nullcontext()
