"""FBNetV1's supernet: every layer is a mixture of all blocks that it may be."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

from nars.errors import UserError
from nars.networks.build import build_network
from nars.settings import BlockStageSettings
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.table import BLOCK_KEYS


class MixedBlock(nn.Module):
    """Blocks of one shape, of which a mixture is computed: (b, c, h, w) -> (b, c', h', w')."""

    def __init__(self, blocks: Sequence[nn.Module]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor, weights: torch.Tensor, used: Sequence[int]) -> torch.Tensor:
        """The sum over the blocks `used`, each times its entry of weights (blocks,)."""
        first, *others = used
        y = self.blocks[first](x) * weights[first]
        for i in others:
            y = torch.addcmul(y, self.blocks[i](x), weights[i].to(y.dtype))
        return y


class MixedSupernet(nn.Module):
    """See `nars.supernet.contract.Supernet`. The blocks are those that the architectures of `space` are built of, newly
    initialised; theta is 0. UserError if the space chooses anything but kinds of blocks (`check_space`)."""

    def __init__(self, space: ArchitectureSpace, *, num_classes: int):
        super().__init__()
        check_space(space)
        self.space = space
        self.theta = nn.ParameterDict({d.name: torch.zeros(len(d.choices)) for d in space.dimensions})
        self._deciding = _deciding(space)
        parts = [_parts(space, choice, num_classes) for choice in range(int(space.sizes.max()))]
        self.frame = next((frame for frame, _ in parts if frame.placed), parts[0][0])
        choices = [1 if name is None else len(self.theta[name]) for name in self._deciding]
        self.layers = nn.ModuleList(
            MixedBlock([blocks[layer] for _, blocks in parts[:count]]) for layer, count in enumerate(choices)
        )

    def forward(self, images: torch.Tensor, mixture: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See `Supernet`."""
        used = _used(mixture)
        x = self.frame.stem(images)
        one = x.new_ones(1)
        for layer, name in zip(self.layers, self._deciding, strict=True):
            x = layer(x, one, (0,)) if name is None else layer(x, mixture[name], used[name])
        return self.frame.head(x)

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """See `Supernet`."""
        return (parameter for name, parameter in self.named_parameters() if not name.startswith("theta."))


class _Frame(nn.Module):
    """A network without its blocks: what comes before them and after. `placed`: whether it has had any."""

    def __init__(self, network: nn.Module, *, blocks: int):
        super().__init__()
        modules = [module for stack in network.blocks for module in stack]
        network.blocks = nn.Sequential(*modules[blocks:])  # a final expansion belongs to the head
        self.network = network
        self.placed = blocks > 0

    def stem(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.bn1(self.network.conv_stem(images))

    def head(self, x: torch.Tensor) -> torch.Tensor:
        x = self.network.blocks(x)
        if hasattr(self.network, "bn2"):  # EfficientNet's convolution before pooling
            x = self.network.bn2(self.network.conv_head(x))
        return self.network.forward_head(x)


def check_space(space: ArchitectureSpace) -> None:
    """UserError if architectures of the space are told apart by anything but the kinds of their blocks."""
    short = [f"stage{i}" for i, s in enumerate(space.settings.stages, 1) if not isinstance(s, BlockStageSettings)]
    others = [d.name for d in space.dimensions if not d.name.endswith("/kind")]
    why = f"{short[0]} is in short form" if short else f"it chooses {others[0]}" if others else ""
    if why or not len(space):
        raise UserError(
            f"method=fbnetv1 chooses among kinds of blocks, layer by layer, and search_space={space.name} is not such "
            f"a space: {why or 'nothing is left to choose'}; take search_space=fbnet or fbnet_digits, or method=nars, "
            "which searches any space"
        )


def _deciding(space: ArchitectureSpace) -> list[str | None]:
    """Of each layer the dimension that decides it; None where it is fixed."""
    found = [space.deciding([f"run{run}/{key}" for key in BLOCK_KEYS]) for run in range(space.runs)]
    return [space.dimensions[columns[0]].name if columns else None for columns in found]


def _parts(space: ArchitectureSpace, choice: int, num_classes: int) -> tuple[_Frame, list[nn.Module]]:
    """The frame and the blocks of the network all of whose layers are their `choice`-th, or their last one."""
    point = (space.sizes - 1).clip(max=choice)
    architecture = space.architecture(point)
    network = build_network(architecture, num_classes=num_classes)
    modules = iter([module for stack in network.blocks for module in stack])
    placed = [block for stage in architecture.placed_blocks for block in stage]
    blocks = [nn.Identity() if block.is_nothing else next(modules) for block in placed]
    return _Frame(network, blocks=sum(not block.is_nothing for block in placed)), blocks


def _used(mixture: Mapping[str, torch.Tensor]) -> dict[str, list[int]]:
    """The choices of each dimension whose weight is not 0; read from the device at once."""
    weights = iter(torch.cat([m.detach() for m in mixture.values()]).tolist())
    return {name: [i for i in range(len(m)) if next(weights) != 0] for name, m in mixture.items()}
