"""Fits: what is learnt from the accuracies of records."""

import numpy as np
import pytest
import torch

from nars.predictor.fitting import fitted_model
from nars.predictor.model import grown, growth_of, spread_of
from nars.settings import FitSettings, PredictorSettings


@pytest.mark.parametrize("targets", ["standardised", "normal_scores", "both"])
def test_deviations_are_scaled_by_records_on_which_nothing_was_tuned(targets):
    """Of both kinds of targets those of the normal scores, which are the model's."""
    rng = np.random.default_rng(0)
    accuracies, slopes = rng.exponential(size=24), torch.full((3,), 0.1, dtype=torch.float64)
    wide = torch.from_numpy(rng.random((24, 3), dtype=np.float32))
    settings = PredictorSettings(head="process", fit=FitSettings(targets=targets, process_steps=4))
    generator = torch.Generator().manual_seed(1)
    model = fitted_model(settings, None, wide, wide, accuracies, slopes=slopes, generator=generator)
    scaled = model.normal_scores if targets == "both" else model
    again = torch.Generator().manual_seed(1)
    for _ in range(2 if targets == "both" else 1):  # each fit draws the records that tune it
        torch.randperm(24, generator=again)
    mean, variance = scaled.process.leave_out_and_tune(slopes=slopes, steps=4, generator=again)
    y = torch.as_tensor(scaled.targets.of_accuracies(accuracies))
    errors = (y - mean) / variance.sqrt()
    growth = growth_of(errors, mean)
    assert growth > 0.01
    spread = spread_of(errors / grown(growth, mean))
    assert abs(float(spread) - 1) > 0.01
    torch.testing.assert_close((scaled.growth, scaled.spread), (growth, spread))
    with torch.inference_mode():
        expected = spread * grown(growth, y) * scaled.process.variance(wide).sqrt()
        torch.testing.assert_close(model.deviation(y, wide, wide), expected)
