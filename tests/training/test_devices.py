"""Devices and precisions by their names in settings."""

import pytest
import torch
from torch import nn

from nars.errors import UserError
from nars.training.devices import HALF, autocast, check_precision, device_of

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_networks_compute_in_the_precision_of_the_settings():
    layer, inputs = nn.Linear(2, 2), torch.ones(1, 2)
    for precision, dtype in {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}.items():
        with autocast(precision, CPU):
            assert layer(inputs).dtype == dtype


def test_half_precision_on_a_cpu_is_refused():
    check_precision("16-mixed", GPU)
    assert HALF["16-mixed"] == torch.float16
    for check in (check_precision, autocast):
        with pytest.raises(UserError, match=r"^trainer.precision=16-mixed needs a GPU"):
            check("16-mixed", CPU)


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_used_where_there_is_one_and_asked_for_in_vain_otherwise(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device_of("cpu") == CPU
    assert device_of("auto") == (GPU if there else CPU)
    if there:
        assert device_of("gpu") == GPU
        return
    with pytest.raises(UserError, match=r"^trainer.accelerator=gpu: PyTorch sees no GPU"):
        device_of("gpu")
