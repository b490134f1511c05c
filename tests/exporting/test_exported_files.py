"""Exported files compute what PyTorch computes, whoever reads them."""

import re

import pytest
import torch
from timm.data import IMAGENET_DEFAULT_MEAN as MEAN
from timm.data import IMAGENET_DEFAULT_STD as STD
from torch import nn

from nars.errors import UserError
from nars.exporting.description import Deployed
from nars.exporting.opening import open_exported
from nars.exporting.torch_files import program_of, write_torch_export
from nars.networks.shuffled import ShuffledPointwise

onnx = pytest.importorskip("onnx", reason="format=onnx needs requirements-export.txt")

SIDE = 40


def random_architecture(space, seed: int) -> dict:
    """A small one of a space of blocks of all kinds."""
    return space.architecture(space.sample(8, seed)[seed]).to_dict()


def logits_of(file, images: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return open_exported(file)[0](images)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Equal but for the rounding of another order of sums."""
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-4 * wanted.std(), (found, wanted)


def write_onnx_of(file, network, description) -> None:
    from nars.exporting.onnx_files import model_of, write_onnx

    program = program_of(Deployed(network, description), description)
    write_onnx(file, model_of(program, any_batch=description.batch is None), description)


@pytest.mark.parametrize(("seed", "kind"), [(0, "bytes"), (2, "normalised")])
def test_torch_export_computes_the_same(seed, kind, random_block_space, described, lively, pictures, tmp_path):
    architecture = random_architecture(random_block_space(seed), seed)
    network = lively(architecture, num_classes=7, side=SIDE, seed=seed)
    description = described(architecture, format="torch_export", input=kind)
    file = tmp_path / "model.pt2"
    write_torch_export(file, program_of(Deployed(network, description), description), description)
    pixels = pictures(5, SIDE, seed=9)
    normalised = (pixels / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    for n in (1, 5):
        found = logits_of(file, (pixels if kind == "bytes" else normalised)[:n])
        close(found, network(normalised[:n]).detach())
    assert open_exported(file)[1] == description
    called = {str(node.target) for node in torch.export.load(file).graph.nodes if node.op == "call_function"}
    assert all(name.startswith("aten.") for name in called)  # it needs neither timm nor this project


@pytest.mark.parametrize(("seed", "batch"), [(1, None), (2, 3)])
def test_onnx_computes_the_same_for_the_batches_that_it_takes(
    seed, batch, random_block_space, described, lively, pictures, tmp_path
):
    architecture = random_architecture(random_block_space(seed), seed)
    network = lively(architecture, num_classes=7, side=SIDE, seed=seed)
    description = described(architecture, batch=batch)
    file = tmp_path / "model.onnx"
    write_onnx_of(file, network, description)
    pixels = pictures(7, SIDE, seed=9)
    reference = Deployed(network, description)
    for n in (1, 3, 7):  # a fixed batch is filled up
        close(logits_of(file, pixels[:n]), reference(pixels[:n]).detach())
    model = onnx.load(str(file))
    [given], [output] = model.graph.input, model.graph.output
    dims = [dim.dim_param or dim.dim_value for dim in given.type.tensor_type.shape.dim]
    assert (given.name, output.name, dims) == ("images", "logits", [batch or "batch", 3, SIDE, SIDE])
    assert given.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    operators = [node.op_type for node in model.graph.node]
    convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert (
        operators.count("Conv") == convolutions
    )  # none is computed in a special way, and batch norms are folded into them
    shuffled = sum(isinstance(module, ShuffledPointwise) for module in network.modules())
    assert operators.count("BatchNormalization") == shuffled
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert not re.search(rb"/\w+\.py", file.read_bytes())  # nothing of the machine that it was made on


@pytest.mark.slow
def test_int8_is_a_third_of_the_size_or_less_and_nearly_the_same(described, lively, pictures, tmp_path):
    from nars.exporting.int8 import write_int8

    stage = {
        "stride": 2,
        "blocks": [{"width": 96, "kernel": 3, "expansion": 6}, {"width": 96, "kernel": 5, "expansion": 6}],
    }
    architecture = {
        "resolution": SIDE,
        "stem_width": 16,
        "stages": [stage | {"blocks": [block | {"se": False, "activation": "relu"} for block in stage["blocks"]]}],
        "head": {"conv": 512, "activation": "relu"},
    }
    network = lively(architecture, num_classes=300, side=SIDE)
    description = described(architecture, num_classes=300)
    whole, small = tmp_path / "model.onnx", tmp_path / "model_int8.onnx"
    write_onnx_of(whole, network, description)
    write_int8(
        small, whole, pictures(64, SIDE, seed=1).split(16), description.model_copy(update={"format": "onnx_int8"})
    )
    assert small.stat().st_size * 3 < whole.stat().st_size
    pixels = pictures(32, SIDE, seed=2)
    exact, found = logits_of(whole, pixels), logits_of(small, pixels)
    signal = exact - exact.mean(0)
    assert 0 < (found - exact).square().mean() < 0.1 * signal.square().mean()
    model = onnx.load(str(small))
    weights = {i.name: i for i in model.graph.initializer if i.data_type == onnx.TensorProto.INT8}
    assert len(weights) >= sum(isinstance(module, nn.Conv2d) for module in network.modules())
    scales = [i.dims[0] for i in model.graph.initializer if i.name.endswith("_scale") and i.dims]
    assert max(scales) == 96 * 6 or 576 in scales  # one for each channel


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"no graph", "onnxruntime cannot read it: "),
        ("model.pt2", b"no zip", "no torch.export file of export.py ("),
        ("model.onnx", None, "no such file"),
    ],
)
def test_what_is_no_exported_file_is_one_line(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        open_exported(tmp_path / name)
    assert message in str(error.value)
    assert str(tmp_path / name) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_an_onnx_file_of_others_says_too_little(tmp_path):
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [value], [same]), opset_imports=opset, ir_version=10
    )
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UserError, match=r"an ONNX file, but none of export\.py"):
        open_exported(tmp_path / "other.onnx")
