"""What the architectures of a space cost on average, exactly and differentiably."""

from collections.abc import Mapping

import torch

from nars.costs.pricing import Pricing
from nars.costs.statistics import part_tables
from nars.errors import UserError
from nars.spaces.architecture import ArchitectureSpace


class ExpectedCosts:
    """The expected costs `names` of architectures of `space` whose choices are drawn independently (ours).

    A network costs the sum over its parts, and each part's costs are known for all combinations of the few choices that
    decide it: contracted with the probabilities of these choices they give the part's expectation, exactly, whatever
    the space. UserError if a part depends on too many choices to be tabulated.
    """

    def __init__(self, space: ArchitectureSpace, names: tuple[str, ...], pricing: Pricing):
        tables = part_tables(space, names, pricing)
        if tables is None:
            raise UserError(
                f"search_space={space.name}: the costs of a part of its networks depend on more choices than can be "
                "tabulated, which a differentiable search needs; give the space fewer choices"
            )
        self.names = names
        dimensions = [dimension.name for dimension in space.dimensions]
        self._tables = [
            ([dimensions[column] for column in table.dimensions], torch.tensor(table.values, dtype=torch.float64))
            for table in tables
        ]

    def __call__(self, probabilities: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """float64 (k,), on the CPU, from the probabilities (choices,) of each dimension.

        Of any mixtures it is what their entries would cost as probabilities: the mean over soft mixtures of
        `gumbel_softmax` is not the mean over the architectures that the logits give.
        """
        rows = {name: p.to("cpu", torch.float64) for name, p in probabilities.items()}
        total = torch.zeros(len(self.names), dtype=torch.float64)
        for dimensions, values in self._tables:
            for name in reversed(dimensions):
                values = values @ rows[name]
            total = total + values
        return total
