"""The accuracy predictor of FBNetV3: pretrain on free statistics, fit to accuracies, predict, save, load."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau

from nars.errors import UserError
from nars.predictor.encoding import Thermometer, scaled_choices, seen_choices
from nars.predictor.fitting import fitted_model
from nars.predictor.model import AccuracyModel, BothKinds, with_later_parts
from nars.predictor.network import AccuracyHead, AccuracyNetwork, Encoder, ProxyNetwork, proxy_loss, with_members
from nars.predictor.phases import Batches, minimise, one_thread
from nars.predictor.process import GaussianProcess
from nars.predictor.storage import AGAIN, check_settings, check_specification, part_of, read, write
from nars.predictor.targets import Targets
from nars.settings import PredictorSettings, PretrainSettings, parse

CHUNK = 4096  # rows predicted at once: fits the cache, and bounds the memory of predicting a large pool

_PRETRAIN, _FIT = 0, 1  # stages of the seed


class Predictor:
    """Accuracy of encoded points: architecture columns first, then recipe columns; either part may be empty.

    `statistics` names the free labels of pretraining; `specification` (`space.specification`) is kept in the file
    and compared at load.
    """

    def __init__(
        self,
        settings: PredictorSettings,
        *,
        architecture_columns: Sequence[str],
        recipe_columns: Sequence[str],
        statistics: Sequence[str],
        specification: dict,
        seed: int,
    ):
        self.settings = settings
        self.architecture_columns = tuple(architecture_columns)
        self.recipe_columns = tuple(recipe_columns)
        self.statistics = tuple(statistics)
        self.specification = specification
        self.seed = seed
        known = specification if settings.encoding == "thermometer" else {}
        self._steps = Thermometer(scaled_choices(self.architecture_columns, known))
        self.check: dict[str, dict[str, float]] | None = None  # of the pretraining, as `pretrain` returns it
        self._proxy: ProxyNetwork | None = None
        self._model: AccuracyModel | None = None

    def pretrain(
        self,
        x_architecture: np.ndarray,
        statistics: np.ndarray,
        *,
        progress: Callable[[str, float], None] | None = None,
    ) -> dict[str, dict[str, float]]:
        """Kendall tau (nan for a constant) and mean relative error of each statistic on the 20 % of rows held out.

        x_architecture float32 (n, architecture columns), statistics (n, s), n >= 10. `progress` is told
        ("pretrain", fraction done). Forgets an earlier fit. UserError for wrong shapes or values not finite.
        """
        x = _rows(x_architecture, self.architecture_columns, "architecture")
        targets = torch.as_tensor(np.asarray(statistics, dtype=np.float64))
        if targets.shape != (len(x), len(self.statistics)) or len(x) < 10 or not self.architecture_columns:
            raise UserError(
                f"pretraining needs at least 10 architectures with statistics {', '.join(self.statistics)}, "
                f"given features {tuple(x.shape)} and statistics {tuple(targets.shape)}"
            )
        if not targets.isfinite().all():
            raise UserError("pretraining: a statistic is not finite")
        if self.settings.encoding == "thermometer" and not self.specification:
            self._steps = Thermometer(seen_choices(x.numpy()))
        x = self._steps(x)
        settings, generator = self.settings.pretrain, self._generator(_PRETRAIN)
        order = torch.randperm(len(x), generator=generator)
        held, taken = order[: len(x) // 5], order[len(x) // 5 :]
        network = self._new_proxy_network(generator)
        network.set_scale(targets[taken])
        batches = Batches(
            tensors=(x[taken], network.standardise(targets[taken])),
            batch_size=settings.batch_size,
            generator=generator,
        )
        minimise(
            proxy_loss,
            network,
            list(network.parameters()),
            batches,
            epochs=-(-_pretraining_steps(settings) // len(batches)),
            lr=settings.lr,
            weight_decay=0.0,
            decay=True,
            progress=(lambda fraction: progress("pretrain", fraction)) if progress else None,
        )
        self._proxy, self._model = network.eval(), None
        self.check = self._checked(x[held], targets[held].numpy())
        return self.check

    @one_thread()
    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn accuracies y (n,) of encoded points x (n, f), n >= 1, from the pretrained encoder if there is one.

        Every fit starts anew, so it depends on the pretraining, the seed and these rows alone. UserError for wrong
        shapes or values not finite.
        """
        x = self._features(x)
        accuracies = np.asarray(y, dtype=np.float64)
        if accuracies.shape != (len(x),) or not len(x):
            raise UserError(f"fitting needs one accuracy per point, given {accuracies.shape} for {len(x)}")
        if not np.isfinite(accuracies).all():
            raise UserError("fitting: an accuracy is not finite")
        generator = self._generator(_FIT)

        def network_of(starts: list[int]) -> AccuracyNetwork:
            return self._new_accuracy_network(starts, generator)

        wide = self._with_statistics(x)
        slopes = self._slopes(x.shape[1])
        self._model = fitted_model(self.settings, network_of, x, wide, accuracies, slopes=slopes, generator=generator)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Accuracies float64 (n,) of encoded points (n, f). UserError before `fit`."""
        return self._in_chunks(x, lambda rows, wide: (self._model.mean(rows, wide),))[0]

    def predict_with_std(self, x: np.ndarray, *, exploring: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Accuracies (n,) and the standard deviations (n,) of measuring them, both float64; UserError before `fit`.

        A deviation is half the distance between the accuracies one deviation of the target below and above.
        `exploring`: as wide as those of `draws`, for a search.
        """

        def ends(rows: torch.Tensor, wide: torch.Tensor) -> tuple[torch.Tensor, ...]:
            mean = self._model.mean(rows, wide)
            std = self._model.deviation(mean, rows, wide, exploring=exploring)
            return mean, mean - std, mean + std

        mean, low, high = self._in_chunks(x, ends)
        return mean, (high - low) / 2

    @one_thread()
    @torch.inference_mode()
    def draws(self, x: np.ndarray, n: int, *, seed: int) -> np.ndarray:
        """n joint samples float64 (n, rows) of the accuracies of encoded points x (rows, f); UserError before `fit`.

        Each is one function that the records allow; their scatter is what is not known, without measurement noise.
        Memory and time grow with the square and cube of the rows: meant for a shortlist of about a thousand.
        """
        self._check_fitted()
        rows = self._features(x)
        generator = torch.Generator().manual_seed(seed)
        samples = self._model.draws(rows, self._with_statistics(rows), n, generator=generator)
        return self._model.targets.to_accuracies(samples.numpy())

    def save(self, path: str | Path) -> None:
        """Write everything to a safetensors file; a reader sees the old file or the new one, never a part."""
        tensors = {}
        for part, network in (("proxy", self._proxy), ("model", self._model)):
            if network is not None:
                tensors |= {f"{part}.{name}": tensor for name, tensor in network.state_dict().items()}
        write(
            path,
            tensors,
            {
                "settings": self.settings.model_dump(mode="json"),
                "architecture_columns": self.architecture_columns,
                "recipe_columns": self.recipe_columns,
                "statistics": self.statistics,
                "specification": self.specification,
                "seed": self.seed,
                "steps": self._steps.choices,
                "check": self.check,
            },
        )

    @classmethod
    def load(
        cls, path: str | Path, *, specification: dict | None = None, settings: PredictorSettings | None = None
    ) -> "Predictor":
        """The predictor that `save` wrote; `settings` replaces the saved ones, for the fits to come.

        UserError if the file cannot be used, was saved for another space than `specification` (names the first
        dimension that differs), or if networks of `settings` have other sizes than the saved ones.
        """
        tensors, metadata = read(path)
        if specification is not None:
            check_specification(path, saved=metadata["specification"], wanted=specification)
        saved = parse(PredictorSettings, {"encoding": "scaled"} | metadata["settings"], where=f"{path}: predictor")
        if settings is not None:
            check_settings(path, saved=saved, wanted=settings)
        predictor = cls(
            settings or saved,
            architecture_columns=metadata["architecture_columns"],
            recipe_columns=metadata["recipe_columns"],
            statistics=metadata["statistics"],
            specification=metadata["specification"],
            seed=metadata["seed"],
        )
        if saved.encoding == "thermometer":
            predictor._steps = Thermometer(metadata["steps"])
        predictor.check = metadata.get("check")  # files of version 0.1 have none
        for part, build in (("proxy", predictor._empty_proxy_network), ("model", predictor._empty_model)):
            state = with_later_parts(part_of(tensors, part))
            if state:
                try:
                    network = build(state)
                    network.load_state_dict(state)
                except (KeyError, RuntimeError):
                    raise UserError(f"{path}: its weights do not fit its settings; {AGAIN}") from None
                setattr(predictor, f"_{part}", network.eval())
        return predictor

    def _generator(self, stage: int) -> torch.Generator:
        seed = np.random.SeedSequence([self.seed, stage]).generate_state(1, dtype=np.uint64)[0]
        return torch.Generator().manual_seed(int(seed))

    def _new_proxy_network(self, generator: torch.Generator) -> ProxyNetwork:
        s = self.settings
        outputs = len(self.statistics)
        return ProxyNetwork(s.members, self._steps.outputs, s.encoder_hidden, s.embedding, outputs, generator=generator)

    def _new_accuracy_network(self, starts: Sequence[int], generator: torch.Generator) -> AccuracyNetwork:
        """Untrained but for the encoders, each a copy of the pretrained one of that index, if there are any."""
        s, inputs = self.settings, self._steps.outputs
        encoder = None
        if self._proxy is not None:
            encoder = with_members(self._proxy.encoder, starts)
        elif inputs:
            encoder = Encoder(len(starts), inputs, s.encoder_hidden, s.embedding, generator=generator)
        features = (s.embedding if encoder else 0) + len(self.recipe_columns)
        head = AccuracyHead(len(starts), features, s.head_hidden, generator=generator)
        return AccuracyNetwork(encoder, head, inputs=inputs)

    def _features(self, x: np.ndarray) -> torch.Tensor:
        x = _rows(x, self.architecture_columns + self.recipe_columns, "architecture and recipe")
        architecture, recipe = x.tensor_split([len(self.architecture_columns)], dim=1)
        return torch.cat([self._steps(architecture), recipe], dim=1)

    def _empty_proxy_network(self, _: dict[str, torch.Tensor]) -> ProxyNetwork:
        return self._new_proxy_network(torch.Generator())

    def _empty_model(self, state: dict[str, torch.Tensor]) -> AccuracyModel | BothKinds:
        if "targets.targets" not in state:
            parts = (part_of(state, kind) for kind in ("standardised", "normal_scores"))
            return BothKinds(*(self._empty_model(part) for part in parts))
        network = process = None
        if "network.head.output.weight" in state:
            network = self._new_accuracy_network(range(self.settings.members), torch.Generator())
        if "process.points" in state:
            process = GaussianProcess(*state["process.points"].shape)
        return AccuracyModel(Targets(len(state["targets.targets"])), network=network, process=process)

    def _with_statistics(self, x: torch.Tensor) -> torch.Tensor:
        """What a process sees: features (n, f) and, once pretrained, the statistics that the proxy head predicts,
        standardised."""
        if self._proxy is None:
            return x
        with torch.inference_mode():
            return torch.cat([x, self._proxy(x[:, : self._steps.outputs]).mean(dim=0)], dim=1)

    def _slopes(self, features: int) -> torch.Tensor:
        """What a process expects the linear parts of its columns to explain: a tenth by the features, and by the
        statistics three times as much of what the architecture may explain (ours)."""
        slopes = torch.full((features,), 0.1 / max(features, 1), dtype=torch.float64)
        if self._proxy is None:
            return slopes
        of_statistics = 0.3 * self._steps.outputs / features / len(self.statistics)
        return torch.cat([slopes, torch.full((len(self.statistics),), of_statistics, dtype=torch.float64)])

    def _check_fitted(self) -> None:
        if self._model is None:
            raise UserError("the predictor has not been fitted to any accuracy yet")

    @one_thread()
    @torch.inference_mode()
    def _in_chunks(self, x: np.ndarray, of: Callable[[torch.Tensor, torch.Tensor], tuple]) -> list[np.ndarray]:
        """Accuracies float64 (n,) of each target (n,) that `of` returns for features and features with statistics."""
        self._check_fitted()
        # networks see the features alone
        wide = self._with_statistics if self._model.has_process else lambda chunk: chunk
        parts = [of(chunk, wide(chunk)) for chunk in self._features(x).split(CHUNK)]
        return [self._model.targets.to_accuracies(torch.cat(column).numpy()) for column in zip(*parts, strict=True)]

    @torch.inference_mode()
    def _checked(self, x: torch.Tensor, statistics: np.ndarray) -> dict[str, dict[str, float]]:
        predicted = self._proxy.restore(self._proxy(x).mean(dim=0)).numpy()
        error = np.abs(predicted - statistics) / np.maximum(np.abs(statistics), 1e-12)
        return {
            name: {
                "kendall_tau": float(kendalltau(predicted[:, i], statistics[:, i]).statistic),
                "mean_relative_error": float(error[:, i].mean()),
            }
            for i, name in enumerate(self.statistics)
        }


def _pretraining_steps(settings: PretrainSettings) -> int:
    taken = settings.pool_size - settings.pool_size // 5
    return settings.epochs * -(-taken // settings.batch_size)


def _rows(x: np.ndarray, columns: tuple[str, ...], what: str) -> torch.Tensor:
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.ndim != 2 or x.shape[1] != len(columns):
        raise UserError(f"expected {len(columns)} {what} columns, given an array of shape {x.shape}")
    if not np.isfinite(x).all():
        raise UserError(f"the {what} features hold a value that is not finite")
    return torch.from_numpy(x)
