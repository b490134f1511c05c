"""FBNetV2's supernet: a decided mixture is the network of its own, and options cost no memory."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.costs.shapes import Shape
from nars.costs.statistics import rows_of_space
from nars.errors import UserError
from nars.methods.supernet_plan import bytes_of_image
from nars.networks.build import build_network
from nars.settings import ArchitectureSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.supernet.choices import Choice, joint, without_idle_choices
from nars.supernet.contract import one_hot
from nars.supernet.loop import train_supernet
from nars.supernet.masked import MaskedSupernet, check_space
from nars.supernet.masks import ChannelMask
from nars.supernet.resolution import Grid
from nars.supernet.slicing import sliced


def doubled(mixture):
    return {name: weights.double() for name, weights in mixture.items()}


def shuffled_statistics(supernet):
    """Other statistics, scales and shifts than those that batch norms start with."""
    for norm in supernet.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.running_var):
                tensor.uniform_(0.5, 2)
            for tensor in (norm.bias.data, norm.running_mean):
                tensor.uniform_(-1, 1)


@pytest.mark.parametrize("seed", range(12))
def test_a_decided_mixture_gives_the_scores_of_its_own_network(random_masked_space, seed):
    """In double precision, so that only rounding is forgiven; on the image that nearest subsampling makes."""
    space = random_masked_space(seed)
    torch.manual_seed(seed)
    supernet = MaskedSupernet(space, num_classes=5).double()
    shuffled_statistics(supernet)
    images = torch.randn(2, 3, supernet.largest_side, supernet.largest_side, dtype=torch.float64)
    supernet.eval()
    for point in space.sample(3, seed):
        side = space.architecture(point).resolution
        taken = torch.arange(side) * images.shape[-1] // side
        with torch.no_grad():
            scores = supernet(images, doubled(one_hot(space, point)))
            expected = sliced(supernet, point)(images[:, :, taken][:, :, :, taken])
        torch.testing.assert_close(scores, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


def test_the_whole_space_of_fbnetv2_can_be_sliced(fbnetv2):
    torch.manual_seed(0)
    supernet = MaskedSupernet(fbnetv2, num_classes=5, sides=range(16, 37, 4))
    (point,) = fbnetv2.sample(1, seed=1)
    side = fbnetv2.architecture(point).resolution // 8
    images = torch.randn(2, 3, 36, 36)
    taken = torch.arange(side) * 36 // side
    supernet.eval()
    with torch.no_grad():
        scores = supernet(images, one_hot(fbnetv2, point))
        torch.testing.assert_close(scores, sliced(supernet, point)(images[:, :, taken][:, :, :, taken]))


def test_a_mask_is_the_sum_of_the_masks_of_its_options():
    rng = np.random.default_rng(0)
    for _ in range(50):
        widths = rng.integers(1, 30, size=rng.integers(1, 9))
        weights = torch.tensor(rng.dirichlet(np.ones(len(widths))))
        expected = sum(w * (np.arange(widths.max()) < width) for w, width in zip(weights.numpy(), widths, strict=True))
        np.testing.assert_allclose(ChannelMask(widths)(weights), expected, atol=1e-12)


def test_widths_that_one_dimension_decides_are_equal_whatever_the_mixture():
    mixture = {"a": torch.tensor([0.3, 0.7]), "b": torch.tensor([0.5, 0.5])}
    a, b = (Choice(dimension=name, values=(8, 16)) for name in "ab")
    fixed = Choice(dimension=None, values=(16,))
    assert joint(a, a, mixture, mixture["a"]).tolist() == mixture["a"].diag().tolist()
    torch.testing.assert_close(joint(a, b, mixture, mixture["a"]), torch.tensor([[0.15, 0.15], [0.35, 0.35]]))
    assert joint(a, fixed, mixture, mixture["a"]).tolist() == mixture["a"][:, None].tolist()


def test_what_is_spread_is_what_subsampling_takes():
    for sides in ((7, 7), (5, 8), (16, 20, 28), (1, 9)):
        grid = Grid(sides=sides)
        while max(grid.sides) > 1:
            for i, side in enumerate(grid.sides):
                x = torch.randn(2, 3, side, side)
                wide = grid.spread(x, i)
                assert wide.shape[-1] == max(grid.sides)
                assert torch.equal(grid.subsampled(wide, i), x)
                assert torch.equal(wide.sum(), x.sum()) or math.isclose(wide.sum(), x.sum(), abs_tol=1e-4)
            grid = grid.halved


def kept_bytes(space) -> float:
    return bytes_of_image(MaskedSupernet(space, num_classes=5), 32)


@pytest.mark.parametrize("decided", ["width", "expansion"])
def test_options_cost_no_memory(space_of_widths, decided):
    """What one step keeps for its gradients; a block per option would keep many times more."""
    options = {4: [16, 32, 48, 64], 14: [12, *range(16, 65, 4)]}
    kept = {}
    for n, widths in options.items():
        spaces = {"width": (widths,), "expansion": ([64], [width / 16 for width in widths])}
        kept[n] = kept_bytes(space_of_widths(*spaces[decided]))
    one = kept_bytes(space_of_widths([64], [3.0] if decided == "width" else [4.0]))
    assert kept[14] < 1.02 * kept[4]
    assert kept[4] < 1.6 * one  # masks keep what they multiply


@pytest.mark.parametrize("name", ["random", "fbnetv2_digits"])
def test_a_gradient_reaches_every_choice(request, random_masked_space, name):
    spaces = [random_masked_space(s) for s in range(6)] if name == "random" else [request.getfixturevalue(name)]
    for space in spaces:
        torch.manual_seed(0)
        sides = [32, 40] if name == "fbnetv2_digits" else None
        supernet = MaskedSupernet(space, num_classes=5, sides=sides)
        mixture = {name: torch.softmax(theta, dim=0) for name, theta in supernet.theta.items()}
        scores = supernet(torch.randn(8, 3, supernet.largest_side, supernet.largest_side), mixture)
        nn.functional.cross_entropy(scores, torch.arange(8) % 5).backward()
        assert all(theta.grad.abs().max() > 0 for theta in supernet.theta.parameters()), space.settings
        assert all(p.grad is not None for p in supernet.weight_parameters())


def test_a_resolution_of_weight_zero_is_not_computed(space_of_widths):
    space = space_of_widths([16], resolution=[16, 32])
    supernet = MaskedSupernet(space, num_classes=5)
    seen = []
    supernet.stem.conv.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[-1]))
    images = torch.randn(2, 3, 32, 32)
    for weights in ([0.5, 0.5], [1.0, 0.0], [0.0, 1.0]):
        supernet(images, {"resolution": torch.tensor(weights)})
    assert seen == [16, 32, 16, 32]


def test_the_supernet_is_as_large_as_its_largest_network(fbnetv2_digits):
    """But for the kernels that a block chooses among, its squeeze-and-excites and its skips."""
    supernet = MaskedSupernet(fbnetv2_digits, num_classes=10)
    kinds = {d.name: len(d.choices) - 2 for d in fbnetv2_digits.dimensions if d.name.endswith("/kind")}
    largest = np.array([kinds.get(d.name, len(d.choices) - 1) for d in fbnetv2_digits.dimensions])
    network = build_network(fbnetv2_digits.architecture(largest), num_classes=10)
    other = sum(p.numel() for block in supernet.blocks for p in [*block.skip.parameters(), *extra_kernels(block)])
    assert sum(p.numel() for p in supernet.weight_parameters()) - other == sum(p.numel() for p in network.parameters())


def extra_kernels(block):
    return [p for conv in block.residual.conv_dw.convs[:-1] for p in conv.parameters()]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [{"width": [8, 16], "depth": 1, "kernel": 3, "expansion": 2, "stride": 2, "se": False}],
            "method=fbnetv2 takes spaces whose stages are given block by block; search_space=wrong has stage1 in short "
            "form: give its blocks",
        ),
        (
            [{"stride": 2, "blocks": [{"width": [8, 16], "kernel": 3, "expansion": 2, "groups": [1, 2]}]}],
            "method=fbnetv2 masks channels, which groups of a projection do not allow: stage1/block1 of "
            "search_space=wrong offers some; leave them out, or take method=fbnetv1",
        ),
    ],
)
def test_spaces_that_it_cannot_hold_are_refused(stages, message):
    values = {"name": "wrong", "resolution": 32, "stem_width": 8, "stages": stages, "head": {"conv": 16}}
    space = ArchitectureSpace(parse(ArchitectureSpaceSettings, values))
    with pytest.raises(UserError) as error:
        MaskedSupernet(space, num_classes=5)
    assert str(error.value) == message


def test_fbnetv2_is_as_large_as_was_counted(fbnetv2):
    """10^45.7 in blocks and widths, and six resolutions."""
    assert round(math.log10(fbnetv2.cardinality / 6), 2) == 45.65


def test_so_many_of_its_shapes_are_to_be_measured_for_a_resolution(conf):
    """25,736 inverted residuals, as counted independently, and the convolutions of skips that change the shape."""
    values = conf("search_space", "fbnetv2") | {"resolution": 224}
    rows = rows_of_space(ArchitectureSpace(parse(ArchitectureSpaceSettings, values)), 1000)
    kinds = Counter(Shape.of_row(row).kind for row in rows)
    assert kinds == {"block": 25_736, "skip": 469, "stem": 1, "conv_head": 14, "classifier": 1}


def new(space) -> MaskedSupernet:
    torch.manual_seed(0)
    return MaskedSupernet(space, num_classes=4, sides=[12, 16])


@pytest.fixture(scope="module")
def undecided(space_of_widths):
    """Two blocks with four widths and two expansions each, for images of two sides."""
    return space_of_widths([8, 16, 24, 32], [1.5, 3.0], resolution=[24, 32])


def test_widths_fall_with_the_weight_of_the_cost(undecided, work_on, tmp_path):
    least = extreme(undecided, "macs", Pricing(num_classes=4)).cost
    widths = []
    for weight in (0.001, 20.0):
        changes = {"epochs": 4, "theta": {"after": 1, "lr": 0.5}, "loss": {"name": "target", "weight": weight}}
        supernet, work = new(undecided), work_on(undecided, least, **changes)
        train_supernet(supernet, work, tmp_path / f"{weight}.pt", key="k")
        rows = [supernet.theta[f"stage1/block{i}/width"].detach().softmax(0) for i in (1, 2)]
        widths.append([float(row @ torch.tensor([8.0, 16, 24, 32])) for row in rows])
    assert np.all(np.array(widths[0]) > np.array(widths[1]) + 4)


@pytest.mark.parametrize("paths", ["all", "sampled"])
def test_a_stopped_search_goes_on_to_the_same_bits(undecided, work_on, tmp_path, paths):
    def stop(done: int, total: int) -> None:
        if done == 7:  # in the second epoch
            raise InterruptedError

    work = work_on(undecided, 1e6, epochs=2, paths=paths)
    whole, resumed = new(undecided), new(undecided)
    train_supernet(whole, work, tmp_path / "whole.pt", key="k")
    with pytest.raises(InterruptedError):
        train_supernet(new(undecided), work, tmp_path / "stopped.pt", key="k", on_step=stop)
    train_supernet(resumed, work, tmp_path / "stopped.pt", key="k")
    state = whole.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in resumed.state_dict().items())
    assert any(theta.abs().sum() > 0 for theta in whole.theta.values())


@pytest.mark.parametrize("seed", range(4))
def test_what_means_nothing_for_a_skip_makes_no_other_network(random_masked_space, seed):
    """A choice that changes the network changes the point, and only such a choice does."""
    space, idle = random_masked_space(seed), 0
    for point in space.sample(6, seed):
        others = np.tile(point, (len(space), 1))
        others[range(len(space)), range(len(space))] = (point + 1) % space.sizes
        first, *fewer = without_idle_choices(space, check_space(space), np.stack([point, *others]))
        meanings = [_meaning(space.architecture(p)) for p in (point, first, *others, *fewer)]
        assert meanings[0] == meanings[1]
        for i, changed in enumerate(fewer, start=2):
            assert (meanings[i] == meanings[0]) == np.array_equal(changed, first)
            assert meanings[i] == meanings[i + len(space)]
            idle += meanings[i] == meanings[0]
    assert idle


def _meaning(architecture) -> str:
    """All that a network is built from."""
    blocks = [
        (block.width, block.activation) if block.skip else tuple(block.model_dump().values())
        for stage in architecture.stages
        for block in stage.blocks
    ]
    return str((architecture.resolution, architecture.stem_width, blocks))
