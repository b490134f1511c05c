"""A latency table from the command line to the answer of a search."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from nars.candidates import load_architecture
from nars.commands.evaluate import costs_line, pricing_of
from nars.configuration import settings_from
from nars.costs.statistics import costs
from nars.errors import UserError
from nars.latency.table import LINES, append_measurement, read_table
from nars.networks.architectures import architecture_of, costs_of
from nars.problem import Problem
from nars.settings import SearchSettings, TrainSettings
from nars.study.answers import answer_folder

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture
def asked(tmp_path):
    """A function: the settings of a search."""

    def made(*overrides: str) -> SearchSettings:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            given = ["experiment=smoke", f"runs_dir={tmp_path}", *overrides]
            return settings_from(compose("search", overrides=given), SearchSettings)

    return made


@pytest.fixture
def table(planted_latency, tmp_path) -> Path:
    folder = tmp_path / "device"
    folder.mkdir()
    (folder / LINES).write_text((planted_latency / LINES).read_text())
    return folder


@pytest.mark.parametrize("given", ["constraint.max_latency_ms=2", "strategy.cost_axis=latency_ms"])
def test_a_search_asks_whose_latency_is_meant(asked, given):
    with pytest.raises(UserError) as error:
        Problem.of(asked(given))
    assert str(error.value) == (
        "latency_ms of which device? give the folder of its table: latency.table=...; "
        "python measure_latency.py search_space=tiny makes one"
    )


def test_limits_are_kept_several_at_once(asked, table):
    problem = Problem.of(asked(f"latency.table={table}", "constraint.max_latency_ms=1.5", "constraint.max_macs=1.2e6"))
    assert problem.costs == ("macs", "params", "latency_ms")
    points = problem.space.sample(2000, 0)
    macs, _, ms = problem.price(points).T
    kept = problem.feasible(points)
    assert 0 < kept.sum() < len(points)
    assert (kept == ((ms <= 1.5) & (macs <= 1.2e6))).all()
    architectures, _ = problem.space.split(points)
    assert (ms == costs(problem.space.architecture, architectures, ("latency_ms",), problem.pricing)[:, 0]).all()
    problem.check(tries=1000)


def test_a_table_is_priced_without_a_limit(asked, table):
    assert Problem.of(asked(f"latency.table={table}")).costs == ("macs", "params", "latency_ms")
    assert Problem.of(asked()).costs == ("macs", "params")


def test_what_no_architecture_keeps_is_refused(asked, table):
    problem = Problem.of(asked(f"latency.table={table}", "constraint.max_latency_ms=0.001"))
    with pytest.raises(
        UserError, match=r"latency_ms <= 0.001 cannot be met: the smallest architecture of search_space"
    ):
        problem.check(tries=10)


def test_missing_entries_are_counted_with_the_command_that_measures_them(asked, table):
    lines = (table / LINES).read_text().splitlines(keepends=True)
    (table / LINES).write_text("".join(lines[:-7]))
    problem = Problem.of(asked(f"latency.table={table}", "constraint.max_latency_ms=1.5"))
    with pytest.raises(UserError) as error:
        problem.check(tries=10)
    assert str(error.value).startswith(
        f"latency.table={table}: 7 of the {len(lines) - 1} blocks that can occur are not"
    )
    assert "measure_latency.py search_space=tiny num_classes=1000 table=" in str(error.value)
    assert str(error.value).endswith("or give latency.missing=predict")


def test_an_answer_belongs_to_the_entries_that_it_was_asked_of(asked, table, tmp_path):
    """A table that is moved, or gains entries of other spaces, gives the known answer; one with other values not."""
    limit = "constraint.max_latency_ms=1.5"
    answer = answer_folder(asked(f"latency.table={table}", limit))
    shape, ms = next(iter(read_table(table).entries.items()))
    append_measurement(table, shape._replace(side=77), 1.0)
    append_measurement(table, shape, ms + 1)  # slower: the least counts
    moved = table.rename(tmp_path / "moved")
    assert answer_folder(asked(f"latency.table={moved}", limit)) == answer
    append_measurement(moved, shape, ms / 2)
    assert answer_folder(asked(f"latency.table={moved}", limit)) != answer
    assert answer_folder(asked(limit)).name != answer.name


def test_data_of_other_classes_is_served_in_proportion(asked, table):
    """Of the classifier alone: 1,000 classes were measured."""
    ten = Problem.of(asked(f"latency.table={table}", "constraint.num_classes=10"))
    thousand = Problem.of(asked(f"latency.table={table}"))
    points = ten.space.sample(20, 0)
    [classifier] = [ms for shape, ms in read_table(table).entries.items() if shape.kind == "classifier"]
    less = thousand.price(points)[:, 2] - ten.price(points)[:, 2]
    assert less == pytest.approx(0.99 * classifier, abs=1e-4)


@pytest.mark.parametrize("given", [["candidate=fbnet_a"], ["candidate=timm:resnet18", "recipe=middle"]])
def test_a_network_whose_blocks_the_table_lacks_is_named(table, given):
    """`train.py` prices what it trains."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = settings_from(compose("train", overrides=[*given, f"latency.table={table}"]), TrainSettings)
    architecture = architecture_of(load_architecture(settings.candidate))
    words = "a network of timm's" if "timm" in settings.candidate else "measure_latency.py candidate=fbnet_a"
    with pytest.raises(UserError, match=words):
        pricing_of(settings, architecture, 10)


def test_a_network_of_the_space_has_its_latency_in_its_card(asked, table):
    problem = Problem.of(asked(f"latency.table={table}", "constraint.num_classes=10"))
    point = problem.space.sample(1, 3)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = settings_from(compose("train", overrides=[f"latency.table={table}"]), TrainSettings)
    architecture = architecture_of(problem.space.candidate(point[0]).architecture)
    found = costs_of(architecture, pricing_of(settings, architecture, 10))
    assert found["latency_ms"] == problem.price(point)[0, 2]
    assert f"{found['latency_ms']:.4g} ms latency" in costs_line(found, 32, 10)


def test_a_folder_without_a_table(asked, tmp_path):
    with pytest.raises(UserError) as error:
        _ = Problem.of(asked(f"latency.table={tmp_path}")).pricing
    assert str(error.value) == f"{tmp_path}: no latency table (latency.csv); python measure_latency.py makes one"
