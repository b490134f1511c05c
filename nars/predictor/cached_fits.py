"""Fits of a predictor, kept as files."""

from pathlib import Path

import numpy as np

from nars.files import content_key
from nars.predictor.predictor import Predictor


class CachedFits:
    """A predictor for the rounds whose fits are kept as files, so that a known fit is loaded and not repeated."""

    def __init__(self, predictor: Predictor, *, identity: str, folder: Path, encoder: Path):
        self.predictor = predictor
        self.encoder = encoder  # the file that it comes from
        self._identity = identity
        self._folder = folder
        self.file: Path | None = None  # of the fit, once there is one

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Fit to accuracies y (n,) of encoded points x (n, f), or load that fit."""
        content = [self._identity, self.predictor.settings.model_dump(mode="json"), x.tolist(), y.tolist()]
        self.file = self._folder / f"predictor-{content_key(content)}.safetensors"
        if self.file.exists():
            self.predictor = Predictor.load(self.file, specification=self.predictor.specification)
            return
        self.predictor.fit(x, y)
        self.predictor.save(self.file)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """See `Predictor.predict`."""
        return self.predictor.predict(x)

    def predict_with_std(self, x: np.ndarray, *, exploring: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """See `Predictor.predict_with_std`."""
        return self.predictor.predict_with_std(x, exploring=exploring)

    def draws(self, x: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        """See `Predictor.draws`."""
        return self.predictor.draws(x, n, seed=seed)
