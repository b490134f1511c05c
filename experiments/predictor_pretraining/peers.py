"""What one would use otherwise: regressors on features and, if they like, the logarithms of the statistics."""

import warnings
from dataclasses import dataclass

import numpy as np
from catboost import CatBoostRegressor
from lightgbm import LGBMRegressor
from scipy.optimize import minimize
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from xgboost import XGBRegressor

from experiments.predictor_pretraining.benchmarks import Benchmark

Rows = np.ndarray | slice
ALL = slice(None)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Of the rows asked for: float64 (n,); `std` None where the method gives none."""

    mean: np.ndarray
    std: np.ndarray | None = None


class Peer:
    """A regressor of scikit-learn's kind on features, ordered choices of few values as they are or `one_hot`, with or
    without the logarithms of the statistics beside them."""

    def __init__(self, build, *, statistics: bool = True, deviations: bool = False, one_hot: bool = False):
        self.build = build
        self.statistics = statistics
        self.deviations = deviations
        self.one_hot = one_hot

    def __call__(self, table: Benchmark, rows: np.ndarray, seed: int, asked: Rows = ALL) -> Prediction:
        """What it learns of some rows, and predicts of those `asked`."""
        x = table.one_hot if self.one_hot else table.x.astype(float)
        if self.statistics:
            x = np.hstack([x, np.log(table.statistics)])
        spread = x.std(axis=0)
        x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
        y = table.accuracies[rows]
        centre, scale = y.mean(), y.std()
        model = self.build(x.shape[1], seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[rows], (y - centre) / scale)
        if not self.deviations:
            return Prediction(mean=model.predict(x[asked]) * scale + centre)
        mean, std = model.predict(x[asked], return_std=True)
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


def _lightgbm(_: int, seed: int) -> LGBMRegressor:
    return LGBMRegressor(
        n_estimators=300,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=5,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.8,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    )


def _catboost(_: int, seed: int) -> CatBoostRegressor:
    return CatBoostRegressor(random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False)


class _SingleTaskGP:
    """BoTorch's default Gaussian process, as its authors ship it but in the form of scikit-learn."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Maximise the posterior of the hyperparameters."""
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Normalize
        from gpytorch.mlls import ExactMarginalLogLikelihood

        x, y = torch.as_tensor(x), torch.as_tensor(y)[:, None]
        self.model = SingleTaskGP(x, y, input_transform=Normalize(x.shape[1]))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(self.model.likelihood, self.model))

    def predict(self, x: np.ndarray, *, return_std: bool) -> tuple[np.ndarray, np.ndarray]:
        """Means and deviations of new measurements."""
        import torch

        with torch.no_grad():
            posterior = self.model.posterior(torch.as_tensor(x), observation_noise=True)
            return posterior.mean[:, 0].numpy(), posterior.variance[:, 0].sqrt().numpy()


PEERS = {
    "GP": Peer(_process, deviations=True),
    "GP, one-hot": Peer(_process, deviations=True, one_hot=True),
    "SingleTaskGP": Peer(lambda *_: _SingleTaskGP(), deviations=True, one_hot=True),
    "random forest": Peer(_forest),
    "XGBoost": Peer(_boosting),
    "LightGBM": Peer(_lightgbm),
    "CatBoost": Peer(_catboost),
}
