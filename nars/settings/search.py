"""Settings of the predictor and of search strategies: groups `predictor`, `strategy` and `evolution`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from nars.costs.table import DEFAULT_AXIS, LIMITED
from nars.settings.base import ClosedFraction, NonNegativeInt, Settings, later
from nars.settings.spaces import CostLimits


class PretrainSettings(Settings):
    """Encoder pretraining on free statistics of `pool_size` Sobol' architectures, 80 % to train, 20 % to check.

    An epoch has as many steps as `pool_size` architectures make batches, however many there are.
    """

    pool_size: Annotated[int, Field(ge=10)] = 20_000
    epochs: PositiveInt = 160
    batch_size: PositiveInt = 256
    lr: PositiveFloat = 5e-3


class FitSettings(Settings):
    """Fit to accuracies: `frozen_epochs` with the encoder frozen, then `whole_epochs` at a lower, decaying lr.

    `batch_size` is halved until an epoch has 8 batches, or a batch 4 records. `process_steps` tune the Gaussian
    process. `targets` are the standardised accuracies, the normal scores of their ranks, or both, blended.
    """

    targets: Literal["standardised", "normal_scores", "both"] = "both"
    frozen_epochs: PositiveInt = 50
    whole_epochs: PositiveInt = 50
    batch_size: PositiveInt = 32
    lr: PositiveFloat = 1e-2
    whole_lr: PositiveFloat = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    process_steps: PositiveInt = 80


class PredictorSettings(Settings):
    """The accuracy predictor (group `predictor`).

    `head` is the paper's `network`, a Gaussian `process` on features and predicted statistics, or a `blend` of both.
    `encoding` says what ordered choices of few values become in architectures: one number (`scaled`) or steps
    (`thermometer`).
    `members` networks are trained side by side; where there are several, each leaves out a share of the records.
    """

    head: Literal["network", "process", "blend"] = "blend"
    encoding: Literal["scaled", "thermometer"] = later("scaled", default="thermometer")
    embedding: PositiveInt = 24
    encoder_hidden: PositiveInt = 64
    head_hidden: PositiveInt = 64
    members: PositiveInt = 5
    pretrained: bool = True
    pretrain: PretrainSettings = PretrainSettings()
    fit: FitSettings = FitSettings()


class EvolutionSettings(Settings):
    """The adaptive genetic algorithm (group `evolution`): starts from up to `best` seeds and `random` random points,
    makes `children` children of every parent in up to `attempts` attempts, keeps `survivors`, stops once the best score
    has risen by at most `min_gain` in each of `patience` generations, or `max_evaluated` points are scored. At most
    `tries` random points are tried.

    `crossover_*` (probability) and `mutations_*` (expected number of dimensions changed) are the constants k1, k3 and
    k2, k4 of Srinivas and Patnaik (1994): what holds at average score, falling to 0 for the best, and below average.
    Sizes and min_gain: paper (recalled). Rates, patience and attempts: ours, measured in experiments/evolution_quality.
    """

    best: NonNegativeInt = 50
    random: PositiveInt = 50
    children: PositiveInt = 24
    survivors: Annotated[int, Field(ge=2)] = 40
    min_gain: Annotated[float, Field(ge=0)] = 1e-6
    patience: PositiveInt = 5
    max_generations: PositiveInt = 200
    max_evaluated: PositiveInt | None = None
    crossover_above: ClosedFraction = 1.0
    crossover_below: ClosedFraction = 1.0
    mutations_above: Annotated[float, Field(ge=0)] = 1.0
    mutations_below: Annotated[float, Field(ge=0)] = 1.0
    attempts: PositiveInt = 3
    tries: PositiveInt = 100_000


class ConfirmSettings(Settings):
    """The last stage of a search: the `pairs` best pairs found and the `pairs` best trained ones within the limits are
    trained with `seeds` seeds for `epochs` epochs (null: the protocol's), and what was measured ranks the answer. 0
    pairs: predictions rank it. Ours."""

    pairs: NonNegativeInt = 0
    seeds: PositiveInt = 1
    epochs: PositiveInt | None = None


class WindowSettings(CostLimits):
    """Costs between which the candidates that are trained lie, whatever the final constraint."""

    min_macs: PositiveFloat | None = 400e6
    max_macs: PositiveFloat | None = 800e6


class RoundsSettings(Settings):
    """What all strategies share: rounds of choose, train and refit the predictor, then evolution on the predictor.

    `cost_axis` is the cost over which candidates are spread and fronts drawn (macs: paper).

    Round one trains `first_batch` candidates (null: a batch, and two at least), each later one `batch`: 1 chooses every
    candidate by all that were trained before, for one worker. Once `early_stop_candidates` or more were trained to the
    end, trainings stop where these are ranked as at the end from then on, with a correlation of at least
    `early_stop_correlation` (0.92: paper; the number of candidates: ours).
    """

    pool_size: PositiveInt = 20_000
    window: WindowSettings = WindowSettings()
    cost_axis: Literal[*LIMITED] = later(DEFAULT_AXIS)
    rounds: PositiveInt = 4
    batch: PositiveInt = 48
    first_batch: Annotated[int, Field(ge=2)] | None = later(None)
    early_stop_correlation: Annotated[float, Field(gt=-1, le=1)] = 0.92
    early_stop_candidates: Annotated[int, Field(ge=2)] = 12
    answers: PositiveInt = 5

    def size(self, number: int) -> int:
        """How many candidates round `number`, from 1 on, trains."""
        return self.first_batch or max(self.batch, 2) if number == 1 else self.batch

    @property
    def candidates(self) -> int:
        """How many all rounds train."""
        return sum(map(self.size, range(1, self.rounds + 1)))


class NarsSettings(RoundsSettings):
    """Rounds choose by the predictor, as many candidates in each of `cost_bins` bins of `cost_axis`: the best predicted
    ones (paper), or those of greatest expected improvement (ours, measured in experiments/joint_search), or of greatest
    expected improvement per second of training: where trainings take very different times, more of them fit into the
    same hours (ours, measured in experiments/cost_aware). What it chooses depends on how fast the machines were.

    `cost_bins` null makes as many as a batch has candidates, and four at least, so that every later constraint is
    served; 1 looks for the best candidate of the window, whatever its cost. A batch of fewer candidates than bins takes
    those that improve most on theirs; best_per_bin makes no more bins than a batch has candidates.
    """

    name: Literal["nars"]
    choose: Literal["expected_improvement", "improvement_per_second", "best_per_bin"] = "expected_improvement"
    cost_bins: PositiveInt | None = None


class RandomSettings(RoundsSettings):
    """Rounds choose at random: the plainest comparison."""

    name: Literal["random"]


class RegularisedEvolutionSettings(RoundsSettings):
    """Rounds choose by regularised evolution. Not the group `evolution`, which is the last stage of every strategy."""

    name: Literal["evolution"]
    population: Annotated[int, Field(ge=2)] = 50
    tournament: PositiveInt = 10


class TpeSettings(RoundsSettings):
    """Rounds choose by Optuna's tree-structured Parzen estimator."""

    name: Literal["tpe"]


class ReinforceSettings(RoundsSettings):
    """Rounds choose by a policy that learns by REINFORCE: `steps` clipped steps (`clip`, `lr`, `entropy_bonus`) after
    every `update_every` trainings, against rewards averaged with `baseline_decay`.

    The reward is accuracy times (cost / highest cost)^`cost_exponent`; 0: limits alone decide, -0.07: MnasNet's.
    Numbers: ours, chosen on one task of experiments/joint_search.
    """

    name: Literal["reinforce"]
    update_every: Annotated[int, Field(ge=2)] = 4
    steps: PositiveInt = 4
    lr: PositiveFloat = 0.5
    clip: PositiveFloat = 0.2
    entropy_bonus: Annotated[float, Field(ge=0)] = 0.01
    baseline_decay: ClosedFraction = 0.9
    cost_exponent: Annotated[float, Field(le=0)] = 0.0


StrategySettings = Annotated[
    NarsSettings | RandomSettings | RegularisedEvolutionSettings | TpeSettings | ReinforceSettings,
    Field(discriminator="name"),
]
