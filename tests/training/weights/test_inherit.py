"""What a network takes of trained tensors: laws over networks whose outputs must stay the parent's."""

import pytest
import torch

from nars.errors import UserError
from nars.networks.architectures import architecture_of, network_of
from nars.networks.layers import head_of
from nars.settings import StartSettings
from nars.training.job import StartJob
from nars.training.weights.files import write_weights
from nars.training.weights.inherit import fill
from nars.training.weights.start import begin_with, open_start

STAGE = {"stride": 2, "kernel_first": 5, "kernel_rest": 5, "expansion_first": 4, "expansion_rest": 3, "se": False}
PARENT = {
    "resolution": 32,
    "stem_width": 16,
    "stages": [STAGE | {"width": 24, "depth": 3}, STAGE | {"width": 32, "depth": 3, "stride": 1}],
    "head": {"expansion": 2, "width": 32},
}
CLASSES = ("a", "b", "c")


def with_stages(**keys) -> dict:
    return PARENT | {"stages": [stage | keys for stage in PARENT["stages"]]}


def random_network(architecture: dict, classes=CLASSES, seed: int = 0) -> torch.nn.Module:
    """A network in evaluation whose tensors are all random: nothing in it is neutral."""
    generator = torch.Generator().manual_seed(seed)
    network = network_of(architecture_of(architecture), num_classes=len(classes))
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3 + (0.8 if name.endswith("var") else 0))
            tensor.abs_() if name.endswith("var") else None
        else:
            tensor.fill_(7 + seed)
    return network.eval()


@pytest.fixture
def begin(tmp_path):
    """A function: a new network of an architecture that begins with those of another, and what it took."""

    def begin(child: dict, parent: torch.nn.Module, of: dict, inherit="sliced", classes=CLASSES, known=CLASSES):
        write_weights(tmp_path / "weights.safetensors", parent)
        settings = StartSettings(name="inherit", weights=str(tmp_path / "weights.safetensors"), inherit=inherit)
        start = open_start(settings.model_copy(update={"inherit": "exact"}), folder=tmp_path)
        start = start.model_copy(update={"settings": settings, "architecture": of, "classes": known and list(known)})
        network = random_network(child, classes, seed=1)
        return network, begin_with(start, network, architecture_of(child), classes)

    return begin


def images() -> torch.Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("inherit", ["exact", "matching", "sliced"])
def test_the_same_network_becomes_its_parent(begin, inherit):
    parent = random_network(PARENT)
    child, filled = begin(PARENT, parent, PARENT, inherit)
    assert torch.equal(child(images()), parent(images()))
    assert filled.whole == set(parent.state_dict())
    assert not filled.part | filled.new


def test_fewer_blocks_are_the_parent_whose_other_blocks_do_nothing(begin):
    """The second stage goes into the stack of the first, so its blocks are called otherwise in the child."""
    parent = random_network(PARENT)
    for last in (parent.blocks[0][2], parent.blocks[0][4], parent.blocks[0][5]):
        last.bn3.weight.data.zero_()
        last.bn3.bias.data.zero_()
    first, second = PARENT["stages"]
    child, filled = begin(PARENT | {"stages": [first | {"depth": 2}, second | {"depth": 1}]}, parent, PARENT)
    torch.testing.assert_close(child(images()), parent(images()))
    assert filled.whole == set(child.state_dict())


def test_smaller_kernels_are_the_middle_of_the_parent_s(begin):
    parent = random_network(PARENT)
    for block in parent.blocks[0]:
        kernel = block.conv_dw.weight.data
        kernel[:, :, [0, -1]] = 0
        kernel[:, :, :, [0, -1]] = 0
    child, _ = begin(with_stages(kernel_first=3, kernel_rest=3), parent, PARENT)
    torch.testing.assert_close(child(images()), parent(images()))


def test_larger_kernels_compute_what_the_parent_s_do(begin):
    parent = random_network(PARENT)
    child, _ = begin(with_stages(kernel_first=7, kernel_rest=7), parent, PARENT)
    torch.testing.assert_close(child(images()), parent(images()))


def test_fewer_channels_are_the_first_of_the_parent_s(begin):
    """Inside blocks; a parent whose projections do not look at the others says the same."""
    parent, smaller = random_network(PARENT), with_stages(expansion_first=2, expansion_rest=2)
    child = random_network(smaller)
    for block, small in zip(parent.blocks[0], child.blocks[0], strict=True):
        block.conv_pwl.weight.data[:, small.conv_pwl.in_channels :] = 0
    child, filled = begin(smaller, parent, PARENT)
    torch.testing.assert_close(child(images()), parent(images()))
    assert filled.whole == set(child.state_dict())


def test_every_slice_is_the_parent_s(begin):
    """Narrower, shallower and with smaller kernels at once: each tensor is the beginning of the one at its place."""
    parent, (first, second) = random_network(PARENT), with_stages(kernel_first=3, kernel_rest=3)["stages"]
    stages = [first | {"width": 12, "depth": 2}, second | {"width": 20, "depth": 1, "expansion_first": 2}]
    smaller = PARENT | {"stem_width": 8, "stages": stages, "head": {"expansion": 1, "width": 24}}
    child, filled = begin(smaller, parent, PARENT)
    places = {"blocks.0.0.": "blocks.0.0.", "blocks.0.1.": "blocks.0.1.", "blocks.0.2.": "blocks.0.3."}
    theirs = parent.state_dict()
    assert filled.whole == set(child.state_dict())
    for name, tensor in child.state_dict().items():
        source = theirs[places.get(name[:11], name[:11]) + name[11:]]
        if "conv_dw" in name:
            source = source[:, :, 1:-1, 1:-1]
        assert torch.equal(tensor, source[tuple(map(slice, tensor.shape))]), name


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_all_kinds_are_sliced_or_stay_as_they_were(begin, random_block_space, seed):
    space = random_block_space(seed)
    small, large = (space.decode(point) for point in space.sample(2, seed))
    child, filled = begin(small, random_network(large), large)
    own, untouched = child.state_dict(), random_network(small, seed=1).state_dict()
    assert filled.whole | filled.part | filled.new == set(own)
    for name in own:
        assert torch.equal(own[name], untouched[name]) == (name in filled.new), name


def test_what_a_larger_network_has_more_stays_new(begin):
    parent = random_network(PARENT)
    first, second = PARENT["stages"]
    larger = PARENT | {"stem_width": 20, "stages": [first | {"depth": 4}, second]}
    child, filled = begin(larger, parent, PARENT)
    assert torch.equal(child.conv_stem.weight[:16], parent.conv_stem.weight)
    assert "conv_stem.weight" in filled.part
    assert {name for name in filled.new if not name.startswith("blocks.0.3.")} == set()
    assert torch.equal(child.blocks[0][4].conv_pw.weight, parent.blocks[0][3].conv_pw.weight)


def test_matching_takes_what_has_the_same_name_and_shape(begin):
    parent, (first, second) = random_network(PARENT), PARENT["stages"]
    child, filled = begin(PARENT | {"stages": [first, second | {"width": 40}]}, parent, PARENT, "matching")
    assert torch.equal(child.blocks[0][2].conv_pw.weight, parent.blocks[0][2].conv_pw.weight)
    assert "blocks.0.3.conv_pwl.weight" in filled.new
    assert not filled.part


@pytest.mark.parametrize(("classes", "rows"), [("cab", [2, 0, 1]), ("bc", [1, 2]), ("abd", None)])
def test_a_classifier_is_taken_by_the_names_of_its_classes(begin, classes, rows):
    parent = random_network(PARENT)
    child, filled = begin(PARENT, parent, PARENT, "exact", classes=tuple(classes))
    untouched = random_network(PARENT, tuple(classes), seed=1)
    expected = untouched.classifier.weight if rows is None else parent.classifier.weight[rows]
    assert torch.equal(child.classifier.weight, expected)
    assert torch.equal(child.conv_head.weight, parent.conv_head.weight)
    assert filled.new == ({"classifier.weight", "classifier.bias"} if rows is None else set())


def test_of_weights_without_a_card_the_classifier_is_new(begin):
    child, filled = begin(PARENT, random_network(PARENT), PARENT, "exact", known=None)
    assert filled.new == {"classifier.weight", "classifier.bias"}
    assert torch.equal(child.classifier.bias, random_network(PARENT, seed=1).classifier.bias)


def test_a_trunk_takes_what_it_needs():
    """A network without classifier, as one for another task has it: what it lacks may be left over in the file."""
    parent, trunk = random_network(PARENT), torch.nn.Module()
    trunk.conv_stem = torch.nn.Conv2d(3, 16, 3, bias=False)
    rest = tuple(name for name in parent.state_dict() if not name.startswith("conv_stem"))
    filled = fill(trunk, parent.state_dict(), "exact", unused=rest, where="start.weights=x")
    assert filled.whole == {"conv_stem.weight"}
    assert torch.equal(trunk.conv_stem.weight, parent.conv_stem.weight)


@pytest.mark.parametrize(
    ("inherit", "child", "message"),
    [
        (
            "exact",
            with_stages(width=24),
            "of another network: blocks.0.3.conv_pwl.weight is (32, 96, 1, 1) in the file",
        ),
        ("sliced", PARENT | {"stages": PARENT["stages"][:1]}, "2 stages and the head Head there, 1 and Head here"),
        (
            "sliced",
            {"timm": "test_resnet", "resolution": 32},
            "sliced is for networks of the FBNet family, not for timm:",
        ),
        ("matching", {"timm": "test_vit", "resolution": 160}, "of another network: no tensor fits"),
    ],
)
def test_weights_of_another_network_are_one_line(begin, inherit, child, message):
    with pytest.raises(UserError) as error:
        begin(child, random_network(PARENT), PARENT, inherit)
    assert message in str(error.value)
    assert str(error.value).startswith("start.weights=")
    assert "\n" not in str(error.value)


def test_a_file_that_has_changed_is_not_taken(tmp_path):
    network = random_network(PARENT)
    write_weights(tmp_path / "w.safetensors", network)
    settings = StartSettings(name="finetune", weights=str(tmp_path / "w.safetensors"))
    start = open_start(settings, folder=tmp_path)
    write_weights(tmp_path / "w.safetensors", random_network(PARENT, seed=3))
    with pytest.raises(UserError, match="the file has changed since"):
        begin_with(start, network, architecture_of(PARENT), CLASSES)


def test_statistics_of_timm_s_networks_are_timm_s(tmp_path):
    """A state dict of timm's has no card: mean and std are those of the network that takes it."""
    candidate = {"timm": "test_vit", "resolution": 160}
    write_weights(tmp_path / "w.safetensors", network_of(architecture_of(candidate), num_classes=9))
    settings = StartSettings(name="finetune", weights=str(tmp_path / "w.safetensors"))
    start = open_start(settings, folder=tmp_path, architecture=candidate)
    assert isinstance(start, StartJob)
    assert start.statistics == {"mean": [0.5] * 3, "std": [0.5] * 3}
    network = network_of(architecture_of(candidate), num_classes=4)
    assert begin_with(start, network, architecture_of(candidate), "wxyz").new == {"head.weight", "head.bias"}
    assert head_of(network) == ("head.",)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("/none.safetensors", "start.weights=/none.safetensors: no such file"),
        ("timm:resnet1", "start.weights=timm:resnet1: timm has no model resnet1"),
        ("timm:efficientnet_b8", "start.weights=timm:efficientnet_b8: timm has no trained weights of it"),
        ("timm:test_resnet.none", "timm has no tag none of test_resnet; its tags: r160_in1k"),
        ("timm:test_resnet", "start.weights=timm:test_resnet: not to be had over the network"),
    ],
)
def test_weights_that_are_not_there_are_one_line(tmp_path, monkeypatch, weights, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError) as error:
        open_start(StartSettings(name="finetune", weights=weights), folder=tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_slices_need_the_parent_s_card(tmp_path):
    write_weights(tmp_path / "w.safetensors", random_network(PARENT))
    settings = StartSettings(name="inherit", weights=str(tmp_path / "w.safetensors"), inherit="sliced")
    with pytest.raises(UserError, match=r"has no card\.yaml beside it: slices are taken of a network that train\.py"):
        open_start(settings, folder=tmp_path)
