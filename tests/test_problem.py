"""What a problem prices, and the architectures at the ends of what it limits."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from nars.configuration import settings_from
from nars.costs.constraint import Constraint
from nars.methods.exploration import exploration_key
from nars.methods.nars import NarsMethod
from nars.problem import Problem
from nars.records import Record
from nars.settings import ConstraintSettings, EvolutionSettings, RandomSettings, SearchSettings, WindowSettings

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(scope="module")
def smoke() -> SearchSettings:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return settings_from(compose("search", overrides=["experiment=smoke"]), SearchSettings)


def asked(settings: SearchSettings, axis: str = "macs", **limits: float) -> SearchSettings:
    """Settings with these limits alone, and another cost axis."""
    window = WindowSettings(min_macs=None, max_macs=None)
    strategy = settings.strategy.model_copy(update={"cost_axis": axis, "window": window})
    return settings.model_copy(update={"constraint": ConstraintSettings(**limits), "strategy": strategy})


@pytest.mark.parametrize("axis", ["macs", "params"])
def test_candidates_are_spread_over_the_cost_axis(smoke, axis):
    """The first batch of a search is one of each cost bin; macs unless something else is said, whatever is limited."""
    settings = asked(smoke, axis, max_params=9e4)
    problem = Problem.of(settings)
    method = NarsMethod(settings, problem, watch=None)
    _, prices = method.pool
    column = prices[:, problem.costs.index(axis)]
    strategy = method._strategy(None)
    np.testing.assert_array_equal(strategy.pool.costs, column)
    batch = strategy.choose(4, np.empty((0, len(problem.space)), dtype=np.int16), np.empty(0))
    chosen = [problem.price_candidate(problem.space.candidate(point))[axis] for point in batch]
    edges = np.linspace(column.min(), column.max(), 5)
    assert all(low <= cost <= high for cost, low, high in zip(chosen, edges[:-1], edges[1:], strict=True))
    assert smoke.strategy.cost_axis == "macs"


def test_the_ends_of_what_is_limited_keep_the_tightest_limits(smoke):
    problem = Problem.of(asked(smoke))
    prices = problem.price(problem.space.sample(3000, 0))
    assert len(problem.extremes) == 0  # nothing is limited
    for column, name in enumerate(problem.costs):
        low, high = prices[:, column].min(), prices[:, column].max()
        least = Problem.of(asked(smoke, **{f"max_{name}": low}))
        assert least.feasible(least.extremes).all()
        greatest = Problem.of(asked(smoke, **{f"min_{name}": high}))
        assert greatest.feasible(greatest.extremes).all()
        both = Problem.of(asked(smoke, **{f"max_{name}": high, f"min_{name}": low}))
        assert len(both.extremes) == 2
        assert both.extremes.dtype == np.int16
        both.check(tries=10)


def test_rounds_are_shared_by_limits_on_the_same_costs(smoke):
    """What they price is part of what they leave; the evolution comes after them."""
    key = exploration_key(asked(smoke, max_macs=1e6))
    assert key == exploration_key(asked(smoke, max_macs=2e6)) == exploration_key(asked(smoke, max_params=9e4))
    evolution = EvolutionSettings(patience=1)
    assert key == exploration_key(asked(smoke, max_macs=1e6).model_copy(update={"evolution": evolution}))
    others = (
        asked(smoke, "params", max_macs=1e6),
        asked(smoke, max_activations=1e6),
        asked(smoke, max_macs=1e6, num_classes=10),
        asked(smoke, max_macs=1e6).model_copy(update={"seed": 1}),
    )
    assert len({key, *map(exploration_key, others)}) == 5
    assert Constraint.of(asked(smoke, max_macs=1e6).constraint, ("macs",)).names == ("macs",)


def test_a_ledger_that_has_grown_has_no_rounds_to_share(smoke, tmp_path):
    ledger = tmp_path / "records.jsonl"
    keys = set()
    for content in ("", "\n"):
        ledger.write_text(content)
        keys.add(exploration_key(smoke.model_copy(update={"records": str(tmp_path)})))
    assert len(keys) == 2


def test_chance_is_that_of_the_images(smoke):
    """One in ten classes, and three standard errors on the images that validate."""
    problem = Problem.of(smoke)
    assert problem.noise_level == pytest.approx(0.1 + 3 * np.sqrt(0.1 * 0.9 / problem.data.val_size))


class Unmoved:
    """A predictor that says the same of all."""

    def fit(self, x, y): ...

    def predict(self, x):
        return np.zeros(len(x))


class Untold:
    """A watch that lets rounds pass."""

    def round(self, done, history, findings): ...


@pytest.mark.parametrize(("below", "epoch"), [(0.99, 3), (1.01, 1)])
def test_trainings_stop_early_only_above_the_chance_of_the_images(smoke, below, epoch):
    """Rankings agree from the first epoch on; the median lies just below or above what counts as learnt."""
    strategy = RandomSettings(name="random", rounds=1, batch=13, window=WindowSettings(min_macs=None, max_macs=None))
    settings = smoke.model_copy(
        update={"strategy": strategy, "protocol": smoke.protocol.model_copy(update={"epochs": 3})}
    )
    problem = Problem.of(settings)
    accuracies = np.linspace(0.01, 2 * problem.noise_level * below - 0.01, 13)

    def evaluate(candidates, epochs, *, title):
        for candidate, accuracy in zip(candidates, accuracies, strict=True):
            yield Record(
                key=candidate.name,
                **candidate.to_dict(),
                training={},
                seed=0,
                epochs=epochs,
                status="finished",
                accuracies=(accuracy,) * epochs,
                costs={},
                seconds=0.0,
            )

    class Trainer:
        trained = 0

    history = NarsMethod(settings, problem, watch=Untold())._rounds(Unmoved(), Trainer(), evaluate)
    assert history.epoch == epoch
    assert history.early_stop.why_not == ("half are at chance" if epoch == 3 else None)
