"""Fits: networks and processes learn the targets of accuracies, and are weighed by records that they left out."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from nars.predictor.model import AccuracyModel, BothKinds, folds, left_out
from nars.predictor.network import AccuracyNetwork, accuracy_loss, with_members
from nars.predictor.phases import Batches, minimise
from nars.predictor.process import GaussianProcess
from nars.predictor.targets import Targets
from nars.settings import FitSettings, PredictorSettings

MIN_BATCHES, MIN_BATCH = 8, 4  # few records are split into more batches, or an epoch would hardly move the weights
CHECKS = 5  # what a single network says of records left out is learnt from so many more, each without a share of them


def fitted_model(
    settings: PredictorSettings,
    network_of: Callable[[list[int]], AccuracyNetwork],
    x: Tensor,
    wide: Tensor,
    accuracies: np.ndarray,
    *,
    slopes: Tensor,
    generator: torch.Generator,
) -> AccuracyModel | BothKinds:
    """The model of accuracies float64 (n,) of features x (n, f), which networks see, and `wide` (n, w), which processes
    see and of whose columns they expect `slopes` float64 (w,).

    `network_of` makes an untrained network whose members start from those pretrained ones, one index each.
    """
    fit = settings.fit
    kinds = ("standardised", "normal_scores") if fit.targets == "both" else (fit.targets,)
    targets = [Targets.of(accuracies, kind) for kind in kinds]
    y = [torch.as_tensor(map_.of_accuracies(accuracies)) for map_ in targets]
    networks, said = [None] * len(kinds), [None] * len(kinds)
    if settings.head != "process":
        networks, said = _networks(settings, network_of, x, y, generator)
    processes = [None] * len(kinds)
    if settings.head != "network":
        learn = partial(GaussianProcess.fitted, wide, slopes=slopes, steps=fit.process_steps, generator=generator)
        processes = [learn(y=of) for of in y]
    models = [
        AccuracyModel(map_, network=network, process=process)
        for map_, network, process in zip(targets, networks, processes, strict=True)
    ]
    with torch.inference_mode():
        if len(models) == 1:
            model = models[0]
            model.calibrate(y[0], said[0])
        else:
            model = BothKinds(*models)
            model.calibrate(accuracies, *said)
    if processes[-1] is not None:  # the last kind's deviations are the model's
        left = processes[-1].leave_out_and_tune(slopes=slopes, steps=fit.process_steps, generator=generator)
        models[-1].scale(y[-1], said[-1], *left)
    return model.eval()


def _networks(
    settings: PredictorSettings,
    network_of: Callable[[list[int]], AccuracyNetwork],
    x: Tensor,
    y: list[Tensor],
    generator: torch.Generator,
) -> tuple[list[AccuracyNetwork], list[Tensor]]:
    """Of each kind of targets the network, and what it says of records left out (n,). All members of all kinds learn
    side by side."""
    members = settings.members
    starts = list(range(members)) if members > 1 else [0] * (1 + CHECKS)
    taken = folds(len(x), members, generator=generator)
    if members == 1:
        taken = torch.cat([taken, folds(len(x), CHECKS, generator=generator)], dim=1)
    network = network_of(starts * len(y))
    targets = torch.cat([of[:, None].expand(-1, len(starts)) for of in y], dim=1).float()
    _train(settings.fit, network, x, targets, taken.repeat(1, len(y)), generator)
    network.eval()
    checks = slice(1, None) if members == 1 else slice(None)
    with torch.inference_mode():
        predicted = network(x).split(len(starts))
        said = [left_out(of[checks], taken[:, checks]) for of in predicted]
    first = range(0, len(starts) * len(y), len(starts))
    return [with_members(network, range(i, i + members)) for i in first], said


def _train(
    settings: FitSettings,
    network: AccuracyNetwork,
    x: Tensor,
    targets: Tensor,
    taken: Tensor,
    generator: torch.Generator,
) -> None:
    """The paper's two phases: encoder frozen, then the whole network at a lower, decaying lr."""
    batch_size = min(settings.batch_size, max(len(x) // MIN_BATCHES, MIN_BATCH))
    batches = Batches(tensors=(x, targets, taken), batch_size=batch_size, generator=generator)
    for parameters, lr, epochs, decay in (
        (network.head.parameters(), settings.lr, settings.frozen_epochs, False),
        (network.parameters(), settings.whole_lr, settings.whole_epochs, True),
    ):
        minimise(
            accuracy_loss,
            network,
            list(parameters),
            batches,
            epochs=epochs,
            lr=lr,
            weight_decay=settings.weight_decay,
            decay=decay,
        )
