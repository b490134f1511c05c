"""The project's predictor: in the settings that ship, and with one thing changed at a time."""

from typing import ClassVar

import numpy as np
from omegaconf import OmegaConf

from experiments.predictor_pretraining.benchmarks import Benchmark
from experiments.predictor_pretraining.peers import ALL, Prediction, Rows
from nars.predictor.predictor import Predictor
from nars.settings import PredictorSettings, parse

MIN_POOL = 2000  # rows to pretrain on: a table with few architectures repeats them
KEPT = 4  # pretrained predictors: methods that differ in nothing but their fits share one


def settings_of(name: str, **changes) -> PredictorSettings:
    """The shipped settings `conf/predictor/<name>.yaml` with some keys changed."""
    values = OmegaConf.to_container(OmegaConf.load(f"conf/predictor/{name}.yaml"))
    parts = {part: values[part] | changes.pop(part, {}) for part in ("pretrain", "fit")}
    return parse(PredictorSettings, values | changes | parts, where="predictor")


class Ours:
    """The project's predictor; pretrained once per table and seed, or `once` per table, fitted to every number of
    records."""

    _pretrained: ClassVar[dict[tuple, Predictor]] = {}  # by what decides the pretraining

    def __init__(self, settings: PredictorSettings, *, once: bool = False):
        self.settings = settings
        self.once = once

    def predictor(self, table: Benchmark, seed: int) -> Predictor:
        """Pretrained if the settings say so, on all networks of the table."""
        key = (table.name, seed, self.settings.model_dump_json(exclude={"fit", "head"}))
        if key not in self._pretrained:
            predictor = self._new(table, seed)
            if self.settings.pretrained:
                pool, first = np.unique(table.x_architecture, axis=0, return_index=True)
                copies = -(-MIN_POOL // len(pool))
                predictor.pretrain(np.tile(pool, (copies, 1)), np.tile(table.statistics[first], (copies, 1)))
            for old in list(self._pretrained)[: 1 - KEPT]:
                del self._pretrained[old]
            self._pretrained[key] = predictor
        return self._pretrained[key]

    def __call__(self, table: Benchmark, rows: np.ndarray, seed: int, asked: Rows = ALL) -> Prediction:
        """See `Peer`."""
        predictor = self.predictor(table, 0 if self.once else seed)
        predictor.settings, predictor.seed = self.settings, seed
        predictor.fit(table.x[rows], table.accuracies[rows])
        mean, std = predictor.predict_with_std(table.x[asked])
        return Prediction(mean=mean, std=std)

    def _new(self, table: Benchmark, seed: int) -> Predictor:
        return Predictor(
            self.settings,
            architecture_columns=[f"a{i}" for i in range(table.x_architecture.shape[1])],
            recipe_columns=[f"r{i}" for i in range(table.x_recipe.shape[1])],
            statistics=[f"s{i}" for i in range(table.statistics.shape[1])],
            specification={},
            seed=seed,
        )


def default(**changes) -> Ours:
    """The default with some keys changed."""
    return Ours(settings_of("default", **changes))


def steps(times: float) -> Ours:
    """The default with so many times the steps of pretraining that version 0.1 had: 30 epochs."""
    return default(pretrain={"epochs": round(30 * times)})


OURS = {
    "default": default(),
    "networks alone": default(head="network"),
    "processes alone": default(head="process"),
    "paper": Ours(settings_of("paper")),
}
DRAWN = "{}, pretrained once"
PARTS = {  # the blend, then what it is made of
    DRAWN.format(name): Ours(OURS[name].settings, once=True)
    for name in ("default", "networks alone", "processes alone")
}
VARIANTS = {  # of each thing what was tried; the first is the default's
    "ordered choices": {"thermometer": default(), "scaled": default(encoding="scaled")},
    "targets": {
        "both": default(),
        "standardised": default(fit={"targets": "standardised"}),
        "normal scores": default(fit={"targets": "normal_scores"}),
    },
    "head": {"blend": default(), "network": default(head="network"), "process": default(head="process")},
    "width of the encoder": {
        "64, 24": default(),
        "128, 48": default(encoder_hidden=128, embedding=48),
        "32, 12": default(encoder_hidden=32, embedding=12),
    },
    "steps of pretraining": {
        "10,000": default(),
        "625": steps(1 / 3),
        "1,900": steps(1),
        "none": default(pretrained=False),
        "40,000": steps(64 / 3),
    },
}
