"""The hub's layout: timm makes the same network of it, without a network connection."""

import json
import socket

import pytest
import timm
import torch
import yaml
from timm.data import IMAGENET_DEFAULT_MEAN as MEAN
from timm.data import IMAGENET_DEFAULT_STD as STD

from nars.candidates import load_architecture
from nars.errors import UserError
from nars.exporting.hub import push, write_hub
from nars.exporting.opening import open_exported
from nars.networks.architectures import architecture_of, network_of
from nars.training.weights.card import name_in_timm

SIDE = 32


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch):
    def refused(*_):
        raise OSError("the network is switched off")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


def written(folder, architecture: dict, network, described, repo=None):
    description = described(architecture, format="hub", input="normalised", image_size=SIDE, classes=tuple("abcdefg"))
    write_hub(folder, network, description, repo=repo, about={"Top-1 accuracy": "0.9"})
    return description


@pytest.mark.parametrize("seed", range(3))
def test_a_found_network_has_the_same_logits(seed, random_block_space, described, lively, tmp_path):
    space = random_block_space(seed)
    architecture = space.architecture(space.sample(1, seed)[0]).to_dict()
    network = lively(architecture, num_classes=7, side=SIDE, seed=seed)
    description = written(tmp_path / "hub", architecture, network, described)
    images = torch.randn(3, 3, SIDE, SIDE)
    theirs = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    assert torch.equal(theirs(images), network(images))
    ours, known = open_exported(tmp_path / "hub")
    assert torch.equal(ours(images), network(images))
    assert known == description
    settings = timm.data.resolve_model_data_config(theirs)
    assert settings["input_size"] == (3, SIDE, SIDE)
    assert (tuple(settings["mean"]), tuple(settings["std"])) == (MEAN, STD)


def test_another_number_of_classes_keeps_all_but_the_classifier(tiny, described, lively, tmp_path):
    architecture = tiny.architecture(tiny.sample(1, 0)[0]).to_dict()
    network = lively(architecture, num_classes=7, side=SIDE)
    written(tmp_path / "hub", architecture, network, described)
    theirs = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True, num_classes=3, drop_rate=0.4).eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    assert theirs(images).shape == (2, 3)
    assert torch.equal(theirs.forward_features(images), network.forward_features(images))
    assert theirs.drop_rate == 0.4


def test_a_network_of_timm_s_needs_no_other_name(described, tmp_path):
    architecture = {"timm": "test_resnet", "resolution": 160}
    network = network_of(architecture_of(architecture), num_classes=7).eval()
    written(tmp_path / "hub", architecture, network, described, repo="me/mine")
    config = json.loads((tmp_path / "hub/config.json").read_text())
    assert config["architecture"] == "test_resnet"
    theirs = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True).eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(theirs(images), network(images))
    assert name_in_timm(load_architecture("fbnetv3_d")) == "fbnetv3_d"
    assert name_in_timm(load_architecture("fbnetv3_b")) is None


def test_the_readme_says_what_loads_it(tiny, described, tmp_path):
    architecture = tiny.architecture(tiny.sample(1, 0)[0]).to_dict()
    network = network_of(architecture_of(architecture), num_classes=7)
    written(tmp_path / "hub", architecture, network, described, repo="me/mine")
    assert {file.name for file in (tmp_path / "hub").iterdir()} == {"config.json", "model.safetensors", "README.md"}
    _, front, text = (tmp_path / "hub/README.md").read_text().split("---\n")
    assert yaml.safe_load(front)["library_name"] == "timm"
    assert "# Model card for mine" in text
    assert "import nars.networks.entrypoint" in text
    assert 'timm.create_model("hf-hub:me/mine", pretrained=True)' in text


def test_what_is_no_such_folder_is_one_line(tiny, described, tmp_path):
    with pytest.raises(UserError, match=r"no folder of export\.py format=hub"):
        open_exported(tmp_path)
    architecture = tiny.architecture(tiny.sample(1, 0)[0]).to_dict()
    written(tmp_path, architecture, network_of(architecture_of(architecture), num_classes=7), described)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=r"no folder of export\.py format=hub") as error:
        open_exported(tmp_path)
    assert len(str(error.value).splitlines()) == 1


def test_without_a_connection_a_push_says_so_and_keeps_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    with pytest.raises(UserError) as error:
        push(tmp_path, "me/mine")
    assert str(error.value).startswith("push to me/mine: ")
    assert f"it lies in {tmp_path}, the same command tries again" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
