"""Settings of the methods that answer a search: group `method`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from nars.settings.base import Fraction, NonNegativeInt, Settings
from nars.settings.spaces import Recipe


class NarsMethodSettings(Settings):
    """FBNetV3's way (`method=nars`): rounds that `strategy` chooses and then `evolution` on the `predictor`."""

    name: Literal["nars"]


class WeightStepSettings(Settings):
    """SGD of a supernet's weights; the learning rate falls to 0 along a cosine. Paper (recalled)."""

    lr: PositiveFloat = 0.1
    momentum: Fraction = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4


class ThetaStepSettings(Settings):
    """Adam of the logits theta, of which the first step comes after `after` epochs."""

    lr: PositiveFloat = 0.15
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    after: NonNegativeInt = 2


class TemperatureSettings(Settings):
    """Of the Gumbel-softmax: `start` * exp(-`decay` * epoch), the first epoch being 0."""

    start: PositiveFloat = 5.0
    decay: Annotated[float, Field(ge=0)] = 0.29


class LossSettings(Settings):
    """What theta makes small. `target` (ours): cross-entropy + `weight` * |cost / limit - 1|, which ends at the limit;
    of several upper limits the one counts that costs come nearest to or exceed most. `paper`: cross-entropy * `alpha`
    * log(cost)^`beta`, a trade-off that knows no limit; latency counts in microseconds, other costs in their own unit.
    """

    name: Literal["target", "paper"] = "target"
    weight: PositiveFloat = 1.0
    alpha: PositiveFloat = 0.2
    beta: PositiveFloat = 0.6


class DifferentiableSettings(Settings):
    """What the searches of FBNetV1 and V2 share: a supernet whose weights and logits theta take turns.

    Of the training images `weights_share` train weights, the others theta. With `paths` sampled one path is computed in
    every step instead of all. The most probable architecture and `samples` drawn ones that keep the limits are ranked
    inside the supernet on the images of theta. All are trained by one `recipe`.
    """

    recipe: Recipe
    epochs: PositiveInt = 14
    batch_size: Annotated[int, Field(ge=2)] = 32
    weights_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    weights: WeightStepSettings = WeightStepSettings()
    theta: ThetaStepSettings = ThetaStepSettings()
    temperature: TemperatureSettings = TemperatureSettings()
    loss: LossSettings = LossSettings()
    paths: Literal["all", "sampled"] = "all"
    samples: NonNegativeInt = 15


class Fbnetv1Settings(DifferentiableSettings):
    """FBNetV1's way (`method=fbnetv1`): Gumbel-softmax over the blocks that each layer may be."""

    name: Literal["fbnetv1"]


class Fbnetv2Settings(DifferentiableSettings):
    """FBNetV2's way (`method=fbnetv2`): Gumbel-softmax over widths, expansions, resolutions and blocks of one network,
    whose channels are masked. Theta's loss counts `costs` as exact expectations (ours), or on effective sizes (paper),
    which know nothing of latency.
    """

    name: Literal["fbnetv2"]
    costs: Literal["expected", "effective"] = "expected"


MethodSettings = Annotated[NarsMethodSettings | Fbnetv1Settings | Fbnetv2Settings, Field(discriminator="name")]
