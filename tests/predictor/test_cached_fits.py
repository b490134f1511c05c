"""Fits as files: known ones are loaded, others made; what is predicted is the predictor's own."""

from pathlib import Path

import numpy as np
import pytest

from nars.errors import UserError
from nars.files import content_key
from nars.predictor.cached_fits import CachedFits
from nars.predictor.predictor import Predictor
from nars.settings import FitSettings, PredictorSettings

COLUMNS = ("lr", "mixup")


def predictor(**settings) -> Predictor:
    given = {"head": "process", "fit": FitSettings(process_steps=3)} | settings
    return Predictor(
        PredictorSettings(**given),
        architecture_columns=(),
        recipe_columns=COLUMNS,
        statistics=(),
        specification={"lr": [1, 2], "mixup": [3, 4]},
        seed=0,
    )


def cached(folder, *, identity="encoder-a", **settings) -> CachedFits:
    return CachedFits(predictor(**settings), identity=identity, folder=folder, encoder=folder / identity)


def changed(file: Path) -> tuple[Path, int, int]:
    """What would differ had the file been written again; when it was read does not count."""
    return file, file.stat().st_ino, file.stat().st_mtime_ns


@pytest.fixture(scope="module")
def rows():
    x = np.random.default_rng(0).random((12, 2), dtype=np.float32)
    return x, (x @ np.array([1.0, 0.5])).astype(float)


def test_a_known_fit_is_loaded_and_not_made_again(rows, tmp_path):
    x, y = rows
    first = cached(tmp_path)
    assert first.file is None
    first.fit(x, y)
    [file] = tmp_path.iterdir()
    content = ["encoder-a", first.predictor.settings.model_dump(mode="json"), x.tolist(), y.tolist()]
    assert first.file == file == tmp_path / f"predictor-{content_key(content)}.safetensors"
    written = changed(file)
    again = cached(tmp_path)
    again.fit(x, y)
    assert again.file == file
    assert [changed(path) for path in tmp_path.iterdir()] == [written]
    np.testing.assert_array_equal(again.predict(x), first.predict(x))
    other = predictor()
    other.fit(x, 1 - y)
    other.save(file)  # what lies there is taken as it is
    again = cached(tmp_path)
    again.fit(x, y)
    np.testing.assert_array_equal(again.predict(x), other.predict(x))


def test_other_rows_accuracies_settings_or_encoders_are_other_fits(rows, tmp_path):
    x, y = rows
    fits = [
        (cached(tmp_path), x, y),
        (cached(tmp_path), x[::-1], y),
        (cached(tmp_path), x, y / 2),
        (cached(tmp_path, identity="encoder-b"), x, y),
        (cached(tmp_path, fit=FitSettings(process_steps=4)), x, y),
    ]
    for fit, points, accuracies in fits:
        fit.fit(points, accuracies)
    assert len({fit.file for fit, _, _ in fits}) == len(list(tmp_path.iterdir())) == 5


def test_a_fit_of_another_space_is_refused(rows, tmp_path):
    fits = cached(tmp_path)
    fits.fit(*rows)
    other = cached(tmp_path)
    other.predictor.specification = {"lr": [1, 2], "mixup": [3, 5]}
    with pytest.raises(UserError, match="made for another space: mixup"):
        other.fit(*rows)


def test_it_predicts_what_its_predictor_does(rows, tmp_path):
    x, y = rows
    fits, bare = cached(tmp_path), predictor()
    fits.fit(x, y)
    bare.fit(x, y)
    assert fits.encoder == tmp_path / "encoder-a"
    np.testing.assert_array_equal(fits.predict(x), bare.predict(x))
    np.testing.assert_array_equal(fits.predict_with_std(x), bare.predict_with_std(x))
    np.testing.assert_array_equal(fits.draws(x, 7, seed=3), bare.draws(x, 7, seed=3))
