"""The shipped spaces and candidates, for all tests; and disks that are small or cannot be written."""

import json
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from nars.settings import ArchitectureSpaceSettings, RecipeSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def conf():
    """A function: the values of the YAML file conf/group/name.yaml."""
    return lambda group, name: yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


@pytest.fixture(scope="session")
def fbnetv3(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "fbnetv3")))


@pytest.fixture(scope="session")
def tiny(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "tiny")))


@pytest.fixture(scope="session")
def random_block_space():
    """A function: the space of a seed, with stages block by block that take everything a block can be, and one in short
    form."""
    return lambda seed: ArchitectureSpace(parse(ArchitectureSpaceSettings, _random_blocks(np.random.default_rng(seed))))


def _random_blocks(rng: np.random.Generator) -> dict:
    def some(choices):
        return sorted(rng.choice(choices, size=rng.integers(1, 4), replace=False).tolist())

    def kind(expansion):
        se = [False, "input", "expanded"][rng.integers(3)]
        kind = {"kernel": rng.choice([1, 3, 5, 7]), "expansion": expansion, "groups": rng.choice([1, 1, 2, 4])}
        return {key: value.item() for key, value in kind.items()} | {"se": se, "activation": activation()}

    def activation():
        return ("hswish", "relu")[rng.integers(2)]

    def block():
        width = some(np.arange(4, 64, 4))
        if (form := rng.random()) < 0.6:
            return {"width": width, "kind": rng.permutation([*kinds])[:3].tolist()}
        if form < 0.8:
            return {"width": width, "kind": ["open", "open_se", "skip"], "expansion": [0.75, 1.0, 4.5]}
        own = {"kernel": [3, 5], "expansion": some([0.6, 1.0, 2.25]), "se": [False, "input", "expanded"]}
        return {"width": width, "groups": some([1, 2, 4]), "activation": ["hswish", "relu"], **own}

    kinds = {f"kind{i}": kind(e) for i, e in enumerate(rng.permutation([0.5, 1.0, 1.7712, 3.0, 5.4566]))}
    kinds |= {"skip": {"skip": True, "activation": activation()}}
    open_kinds = {"open": {"kernel": 3}, "open_se": {"kernel": 5, "se": "expanded"}}
    stages = [
        {"stride": int(rng.integers(1, 3)), "blocks": [block() for _ in range(rng.integers(1, 4))]}
        for _ in range(rng.integers(1, 4))
    ]
    short = {"width": some(range(3, 60)), "depth": [1, 2], "kernel": 3, "expansion": some(range(1, 6))}
    stages.insert(rng.integers(len(stages) + 1), short | {"stride": 2, "se": True})
    head = {"conv": 40, "activation": "relu"} if rng.random() < 0.5 else {"expansion": 2, "width": 40}
    values = {"name": "blocks", "resolution": some(range(17, 70)), "stem_width": some(range(4, 30))}
    return values | {"stem_activation": activation(), "kinds": kinds | open_kinds, "stages": stages, "head": head}


@pytest.fixture(scope="session")
def planted_latency(tiny, tmp_path_factory) -> Path:
    """The folder of a latency table that holds random milliseconds for every block of the tiny space."""
    from nars.latency.opening import shapes_of_space
    from nars.latency.table import HEAD, LINES

    folder, rng = tmp_path_factory.mktemp("latency"), np.random.default_rng(0)
    shapes = shapes_of_space(tiny, 1000)
    lines = [",".join(map(str, (*shape[:-1], rng.uniform(0.01, 0.3), shape.activation))) for shape in shapes]
    (folder / LINES).write_text("\n".join([HEAD, *lines]) + "\n")
    return folder


@pytest.fixture(scope="session")
def counted():
    """A function: costs of a network on the meta device (so without arithmetic) for images of a side, counted layer by
    layer as it runs."""
    return _counted


def _counted(network: nn.Module, side: int) -> dict[str, int]:
    from timm.layers import SelectAdaptivePool2d
    from timm.models._efficientnet_blocks import SqueezeExcite
    from timm.models.mobilenetv3 import MobileNetV3

    totals = dict.fromkeys(("macs", "params", "weights", "released_macs", "activations"), 0)

    def count(layer, inputs, output):
        totals["macs"] += layer.weight.numel() * output[0, 0].numel()
        totals["activations"] += output.numel()

    def count_pooled(layer, inputs, output):
        totals["released_macs"] += inputs[0].numel()

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
            totals["weights"] += layer.weight.numel()
        elif isinstance(layer, SqueezeExcite | SelectAdaptivePool2d):
            layer.register_forward_hook(count_pooled)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, side, side, device="meta"))
    totals["params"] = sum(parameter.numel() for parameter in network.parameters())
    # The authors' networks pool once more after a layer that comes after pooling, where the map is one pixel.
    again = network.conv_head.out_channels if isinstance(network, MobileNetV3) else 0
    totals["released_macs"] += totals["macs"] + again
    return totals


@pytest.fixture(scope="session")
def fbnetv3_recipes(conf):
    return recipe_space(parse(RecipeSpaceSettings, conf("recipe_space", "fbnetv3")))


@pytest.fixture(scope="session")
def tiny_recipes(conf):
    return recipe_space(parse(RecipeSpaceSettings, conf("recipe_space", "tiny")))


@pytest.fixture(scope="session")
def tiny_joint(tiny, tiny_recipes):
    return JointSpace(tiny, tiny_recipes)


@pytest.fixture(scope="session")
def fbnetv3_joint(fbnetv3, fbnetv3_recipes):
    return JointSpace(fbnetv3, fbnetv3_recipes)


@pytest.fixture(params=["fbnetv3", "tiny"])
def architecture_space(request):
    """Both shipped architecture spaces in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["fbnetv3_joint", "tiny_joint"])
def joint(request):
    """Both shipped joint spaces in turn."""
    return request.getfixturevalue(request.param)


class WandbFile:
    """What an offline W&B run wrote: records by kind, and of these configuration, rows, summary and artifacts."""

    def __init__(self, path: Path):
        self.kinds = wandb_records(path)

    @property
    def run(self):
        return self.kinds["run"][0]

    @property
    def config(self) -> dict:
        configs = [self.run.config, *self.kinds.get("config", ())]
        return {update.key: json.loads(update.value_json) for config in configs for update in config.update}

    @property
    def history(self) -> list[dict]:
        """One dict per row; a table in it as `t/nrows`, `t/path`, ..."""
        return [{key(item): json.loads(item.value_json) for item in row.item} for row in self.kinds.get("history", ())]

    @property
    def summary(self) -> dict:
        summaries = self.kinds.get("summary", ())
        return {key(update): json.loads(update.value_json) for summary in summaries for update in summary.update}

    @property
    def artifacts(self) -> list[tuple[str, str, bool]]:
        """Name, type, and whether the run used it, rather than made it."""
        return [(a.name, a.type, a.use_after_commit) for a in self.kinds.get("artifact", ())]


def key(item) -> str:
    return item.key or "/".join(item.nested_key)


def wandb_records(path: Path) -> dict[str, list]:
    """Records of a .wandb file, as far as it is written: a 7-byte header, then LevelDB log blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, message, kinds = path.read_bytes(), 7, b"", {}
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, part = struct.unpack("<IHB", data[position : position + 7])
        if position + 7 + length > len(data):
            break
        message += data[position + 7 : position + 7 + length]
        position += 7 + length
        if part in (1, 4):  # whole, or last part
            record = Record.FromString(message)
            kind = record.WhichOneof("record_type")
            kinds.setdefault(kind, []).append(getattr(record, kind))
            message = b""
    return kinds


@pytest.fixture
def read_wandb(monkeypatch):
    """A function: the offline W&B runs in a study's folder by id, once their files are whole: W&B's own process writes
    their ends after `finish`."""
    for name in ("WANDB_MODE", "WANDB_PROJECT", "WANDB_RUN_GROUP", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def read(study: Path) -> dict[str, WandbFile]:
        runs = {}
        for path in study.glob("wandb/offline-run-*/*.wandb"):
            deadline = time.monotonic() + 60
            while "exit" not in (file := WandbFile(path)).kinds:
                assert time.monotonic() < deadline, path
                time.sleep(0.1)
            assert file.run.run_id not in runs, "two files of one run"
            runs[file.run.run_id] = file
        return runs

    return read


@pytest.fixture
def mount_disk(tmp_path):
    """A function: a new disk in memory, mounted with options such as "size=64k" or "ro"; skips where it may not."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a disk in memory needs root on Linux")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
