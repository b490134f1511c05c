"""Pretrained encoders: made once for a space, shared by the studies beside each other."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from nars.methods.encoder import pretrained_predictor
from nars.settings import PredictorSettings, PretrainSettings

SMALL = PredictorSettings(members=2, encoder_hidden=8, pretrain=PretrainSettings(pool_size=200, epochs=2))


class Silent:
    """Progress that nobody sees."""

    def start(self, title, total):
        """Nothing."""

    def update(self, done, note=""):
        """Nothing."""

    def stop(self):
        """Nothing."""


class Pretrainings(list):
    """The files that were pretrained, each with the check of its encoder."""

    @contextmanager
    def __call__(self, file):
        yield lambda check: self.append((file, check))


@pytest.fixture
def made():
    return Pretrainings()


def pretrained(runs, study, space, made, *, settings=SMALL, num_classes=10, seed=0):
    where = {"folder": runs / study / "predictors", "shared": runs / ".encoders"}
    decides = {"num_classes": num_classes, "seed": seed}
    return pretrained_predictor(settings, space, **decides, **where, progress=Silent(), watched=made)


def test_a_second_study_of_the_same_space_does_not_pretrain_again(tmp_path, tiny_joint, made):
    first, file, found = pretrained(tmp_path, "one", tiny_joint, made)
    assert [path for path, _ in made] == [file]
    assert not found
    second, copy, found = pretrained(tmp_path, "two", tiny_joint, made)
    assert found
    assert len(made) == 1
    assert copy.parent == tmp_path / "two" / "predictors"
    assert copy.read_bytes() == file.read_bytes()
    x = tiny_joint.encode(tiny_joint.sample(40, 0))
    for predictor in (first, second):
        assert predictor.check == made[0][1]
        assert set(predictor.check) == {"macs", "params"}
        predictor.fit(x[:20], x[:20].sum(axis=1))
    np.testing.assert_array_equal(first.predict(x), second.predict(x))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"num_classes": 11}, {"settings": SMALL.model_copy(update={"members": 3})}]
)
def test_what_decides_a_pretraining_has_a_file_of_its_own(tmp_path, tiny_joint, made, change):
    _, file, _ = pretrained(tmp_path, "one", tiny_joint, made)
    _, other, found = pretrained(tmp_path, "two", tiny_joint, made, **change)
    assert not found
    assert other.name != file.name
    assert len(made) == 2


def test_a_study_keeps_its_encoder_when_the_shared_one_is_gone(tmp_path, tiny_joint, made):
    _, file, _ = pretrained(tmp_path, "one", tiny_joint, made)
    (tmp_path / ".encoders" / file.name).unlink()
    assert pretrained(tmp_path, "one", tiny_joint, made)[1:] == (file, True)
    assert len(made) == 1


def test_of_studies_at_the_same_time_one_pretrains(tmp_path, tiny_joint, made):
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda i: pretrained(tmp_path, f"study{i}", tiny_joint, made), range(4)))
    assert len(made) == 1
    assert sorted(found for *_, found in done) == [False, True, True, True]
    assert len({file.read_bytes() for _, file, _ in done}) == 1
