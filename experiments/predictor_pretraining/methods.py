"""The project's predictor in several settings, and its peers: each learns some rows of a table and predicts all."""

import warnings
from dataclasses import dataclass

import numpy as np
from omegaconf import OmegaConf
from scipy.optimize import minimize
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.neural_network import MLPRegressor
from xgboost import XGBRegressor

from experiments.predictor_pretraining.benchmarks import Benchmark
from nars.predictor.predictor import Predictor
from nars.settings import PredictorSettings, parse

MIN_POOL = 2000  # rows to pretrain on: a table with few architectures repeats them


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Of every row of the table: float64 (n,); `std` None where the method gives none."""

    mean: np.ndarray
    std: np.ndarray | None = None


def settings_of(name: str, **changes) -> PredictorSettings:
    """The shipped settings `conf/predictor/<name>.yaml` with some keys changed."""
    values = OmegaConf.to_container(OmegaConf.load(f"conf/predictor/{name}.yaml"))
    fit = values["fit"] | changes.pop("fit", {})
    return parse(PredictorSettings, values | changes | {"fit": fit}, where="predictor")


class Ours:
    """The project's predictor; pretrained once per table and seed, fitted to every number of records."""

    def __init__(self, settings: PredictorSettings):
        self.settings = settings
        self._pretrained: tuple[tuple[str, int], Predictor] | None = None

    def predictor(self, table: Benchmark, seed: int) -> Predictor:
        """Pretrained if the settings say so."""
        if self._pretrained is None or self._pretrained[0] != (table.name, seed):
            predictor = Predictor(
                self.settings,
                architecture_columns=[f"a{i}" for i in range(table.x_architecture.shape[1])],
                recipe_columns=[f"r{i}" for i in range(table.x_recipe.shape[1])],
                statistics=[f"s{i}" for i in range(table.statistics.shape[1])],
                specification={},
                seed=seed,
            )
            if self.settings.pretrained:
                pool, first = np.unique(table.x_architecture, axis=0, return_index=True)
                copies = -(-MIN_POOL // len(pool))
                predictor.pretrain(np.tile(pool, (copies, 1)), np.tile(table.statistics[first], (copies, 1)))
            self._pretrained = (table.name, seed), predictor
        return self._pretrained[1]

    def __call__(self, table: Benchmark, rows: np.ndarray, seed: int) -> Prediction:
        predictor = self.predictor(table, seed)
        predictor.fit(table.x[rows], table.accuracies[rows])
        mean, std = predictor.predict_with_std(table.x)
        return Prediction(mean=mean, std=std)


class Peer:
    """A regressor of scikit-learn's kind on features, with or without the logarithms of the statistics beside them."""

    def __init__(self, build, *, statistics: bool, deviations: bool = False):
        self.build = build
        self.statistics = statistics
        self.deviations = deviations

    def __call__(self, table: Benchmark, rows: np.ndarray, seed: int) -> Prediction:
        x = np.hstack([table.x, np.log(table.statistics)]) if self.statistics else table.x.astype(float)
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        y = table.accuracies[rows]
        centre, scale = y.mean(), y.std()
        model = self.build(x.shape[1], seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[rows], (y - centre) / scale)
        if not self.deviations:
            return Prediction(mean=model.predict(x) * scale + centre)
        parts = [model.predict(part, return_std=True) for part in np.array_split(x, -(-len(x) // 4096))]
        mean, std = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Prediction(mean=mean * scale + centre, std=std * scale)


def _bounded_steps(objective, start, bounds):
    """scikit-learn's own optimizer, stopped after 50 steps: at 400 records the rest takes minutes."""
    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": 50})
    return found.x, found.fun


def _process(columns: int, seed: int) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * Matern(np.full(columns, np.sqrt(columns)), (1e-2, 1e3), nu=2.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, optimizer=_bounded_steps, random_state=seed)


def _forest(_: int, seed: int) -> RandomForestRegressor:
    return RandomForestRegressor(300, random_state=seed)


def _boosting(_: int, seed: int) -> XGBRegressor:
    return XGBRegressor(
        n_estimators=300,
        learning_rate=0.05,
        max_depth=4,
        subsample=0.8,
        colsample_bytree=0.8,
        random_state=seed,
        n_jobs=1,
    )


def _mlp(_: int, seed: int) -> MLPRegressor:
    return MLPRegressor(
        hidden_layer_sizes=(64, 64), learning_rate_init=5e-3, alpha=1e-3, batch_size=16, max_iter=100, random_state=seed
    )


PEERS = {
    "random forest": Peer(_forest, statistics=True),
    "XGBoost": Peer(_boosting, statistics=True),
    "GP": Peer(_process, statistics=False, deviations=True),
    "GP, statistics": Peer(_process, statistics=True, deviations=True),
    "plain MLP": Peer(_mlp, statistics=False),
}
OURS = {
    "default": Ours(settings_of("default")),
    "default, not pretrained": Ours(settings_of("default", pretrained=False)),
    "default, process alone": Ours(settings_of("default", head="process")),
    "default, process alone, standardised": Ours(
        settings_of("default", head="process", fit={"targets": "standardised"})
    ),
    "paper": Ours(settings_of("paper")),
    "paper, not pretrained": Ours(settings_of("paper", pretrained=False)),
}
