"""Weights as files, and networks of timm that take ours."""

import pytest
import timm
import torch
from torch import nn

from nars.candidates import load_architecture
from nars.errors import UserError
from nars.networks.build import build_network
from nars.spaces.architecture import Architecture
from nars.training.weights.card import IN_TIMM
from nars.training.weights.files import load_weights, write_weights


def test_weights_come_back(tmp_path):
    network, other = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last), nn.Conv2d(3, 8, 3)
    write_weights(tmp_path / "new" / "w.safetensors", network)
    load_weights(other, tmp_path / "new" / "w.safetensors")
    assert torch.equal(network.weight, other.weight)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    load_weights(nn.Conv2d(3, 8, 3), tmp_path / "w.pth")


def test_what_is_no_weights_of_the_network_is_said(tmp_path):
    path = tmp_path / "w.safetensors"
    write_weights(path, nn.Linear(2, 3))
    with pytest.raises(UserError, match=r"weight is \(3, 2\) in the file and \(4, 2\) in the network"):
        load_weights(nn.Linear(2, 4), path)
    with pytest.raises(UserError, match=r"bias is \(3,\) in the file and nothing in the network"):
        load_weights(nn.Linear(2, 3, bias=False), path)
    for content in (b"", b"no weights", path.read_bytes()[:50]):
        for name in ("broken.safetensors", "broken.pth"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(UserError, match=f"weights={tmp_path / name}: cannot be read as weights"):
                load_weights(nn.Linear(2, 3), tmp_path / name)
    with pytest.raises(UserError, match="no such file"):
        load_weights(nn.Linear(2, 3), tmp_path / "none.safetensors")


@pytest.mark.parametrize("name", IN_TIMM)
def test_published_networks_that_cards_load_by_timm_are_the_same_there(name, tmp_path):
    network = build_network(Architecture.from_dict(load_architecture(name)), num_classes=7).eval()
    write_weights(tmp_path / "w.safetensors", network)
    theirs = timm.create_model(name, num_classes=7, checkpoint_path=str(tmp_path / "w.safetensors")).eval()
    images = torch.randn(1, 3, 72, 72)
    with torch.no_grad():
        torch.testing.assert_close(theirs(images), network(images))
