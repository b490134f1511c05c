"""method=fbnetv2 as a method: it answers inside its limit, with images as large as trainings have them."""

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from nars.configuration import settings_from
from nars.errors import UserError
from nars.methods.fbnetv2 import Fbnetv2Method
from nars.problem import Problem
from nars.settings import LoggerSettings, SearchSettings
from nars.supernet.choices import without_idle_choices
from nars.supernet.effective import EffectiveCosts
from nars.supernet.expected import ExpectedCosts
from nars.supernet.masked import check_space

ROOT = Path(__file__).parents[2]
FEW = [
    "confirm.pairs=0",
    "data.val_fraction=0.95",
    "method.batch_size=32",
    "method.epochs=2",
    "method.theta.after=1",
    "method.samples=2",
]


class Nobody:
    """Nobody looks on."""

    logger = LoggerSettings()

    def __init__(self):
        self.progress = self

    def start(self, title, total): ...
    def update(self, done, note): ...
    def stop(self): ...
    def epoch(self, findings): ...


def method_of(folder: Path, *overrides: str) -> Fbnetv2Method:
    given = [
        "method=fbnetv2",
        "search_space=fbnetv2_digits",
        "constraint=none",
        "confirm.pairs=0",
        f"runs_dir={folder}",
    ]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = settings_from(compose("search", overrides=[*given, *FEW, *overrides]), SearchSettings)
    return Fbnetv2Method(settings, Problem.of(settings), Nobody())


@pytest.mark.parametrize(("costs", "kind"), [("expected", ExpectedCosts), ("effective", EffectiveCosts)])
def test_costs_are_counted_as_it_is_told(tmp_path, costs, kind):
    method = method_of(tmp_path, "constraint.max_macs=20e6", f"method.costs={costs}")
    assert type(method.open_costs(method.problem.space.architecture)) is kind


def test_it_answers_inside_the_limit(tmp_path):
    method = method_of(tmp_path, "constraint.max_macs=20e6")
    method.check()
    space = method.problem.space.architecture
    supernet = method.open_supernet(space, num_classes=10)
    assert supernet.sides.values == (32, 40)
    assert [space.architecture(point).image_side(0.1667) for point in (0 * space.sizes, space.sizes - 1)] == [32, 40]
    answer = method.answer()
    assert method.problem.feasible(answer.points).all()
    architectures, _ = method.problem.space.split(answer.points)
    np.testing.assert_array_equal(without_idle_choices(space, check_space(space), architectures), architectures)
    assert set(answer.findings["supernet"]["choices"]) == {d.name for d in space.dimensions}


def test_a_space_in_short_form_is_refused_in_one_line(tmp_path):
    method = method_of(tmp_path, "search_space=tiny", "constraint.max_macs=20e6")
    with pytest.raises(UserError, match=r"search_space=tiny has stage1 in short form: give its blocks"):
        method.check()
