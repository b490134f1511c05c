"""search_space=fixed: one network, of whose trainings the recipe alone is searched."""

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir
from rich.console import Console

from nars.api import open_study
from nars.candidates import open_architectures, with_architecture
from nars.commands.search import Search
from nars.configuration import settings_from, user_errors
from nars.costs.extremes import extreme
from nars.costs.pricing import Pricing
from nars.costs.statistics import costs
from nars.errors import UserError
from nars.latency.opening import open_latency, shapes_of_space
from nars.methods.encoder import opened_predictor
from nars.methods.reference import open_reference
from nars.networks.architectures import architecture_of, network_of
from nars.networks.timm_models import measured_costs
from nars.predictor.predictor import Predictor
from nars.problem import Problem
from nars.records import Ledger, Record, training_key
from nars.search.distinct import best_apart
from nars.settings import FixedSpaceSettings, LatencySettings, PretrainScriptSettings, SearchSettings
from nars.spaces.candidate import Candidate
from nars.study.answers import answer_folder, known_answer

ROOT = Path(__file__).parents[1]
SCRIPTS = {"search": SearchSettings, "pretrain_predictor": PretrainScriptSettings}
SMALL = {  # as a card of a training has it, with more than a candidate needs
    "architecture": {
        "resolution": 32,
        "stem_width": 8,
        "stages": [
            {"width": 8, "depth": 1, "kernel_first": 3, "kernel_rest": 3, "expansion_first": 2, "expansion_rest": 2}
            | {"stride": 2, "se": False}
        ],
        "head": {"expansion": 2, "width": 16},
    },
    "recipe": {"lr": 0.1, "optimizer": "sgd"},
    "top1": 0.5,
    "load": "import nars\n",
}
FEW_STEPS = (
    "predictor.members=2",
    "predictor.fit.frozen_epochs=10",
    "predictor.fit.whole_epochs=10",
    "strategy.pool_size=300",
    "evolution.max_generations=6",
    "evolution.children=8",
    "logger=none",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("candidates") / "card.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    return str(file)


def settings_of(candidate: str, *overrides: str, script: str = "search"):
    asked = ["search_space=fixed", *overrides] + ([f"search_space.candidate={candidate}"] if candidate else [])
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"), user_errors():
        return settings_from(compose(script, overrides=asked), SCRIPTS[script])


def space_of(candidate: str, **given):
    return open_architectures(FixedSpaceSettings(name="fixed", candidate=candidate, **given))


def answered(settings: SearchSettings) -> str:
    output = io.StringIO()
    Search(settings=settings, console=Console(file=output, width=400)).run()
    return output.getvalue()


def test_a_point_is_a_recipe(small):
    problem = Problem.of(settings_of(small))
    points = problem.space.sample(64, 3)
    names = [dimension.name for dimension in problem.space.dimensions]
    assert names == [dimension.name for dimension in problem.space.recipe.dimensions]
    assert points.shape == (64, 7)
    np.testing.assert_array_equal(problem.space.encode(points), problem.space.recipe.encode(points))
    candidates = [problem.space.candidate(point) for point in points]
    assert all(candidate.architecture == SMALL["architecture"] for candidate in candidates)
    for point, candidate in zip(points, candidates, strict=True):
        np.testing.assert_array_equal(problem.space.locate_candidate(candidate), point)


def test_another_network_is_not_in_the_space(small):
    other = SMALL["architecture"] | {"stem_width": 16}
    with pytest.raises(
        UserError, match=r"space fixed holds .*card.yaml alone, not this network: its stem_width differs"
    ):
        space_of(small).locate(other)


@pytest.mark.parametrize("classes", [10, 1000])
@pytest.mark.parametrize("candidate", ["fbnetv3_b", "fbnet_c", "timm:resnet10t"])
def test_costs_are_those_of_the_network_built(candidate, classes):
    space = space_of(candidate, resolution=64)
    pricing, names = Pricing(num_classes=classes), ("activations", "macs", "params")
    measured = measured_costs(network_of(space.network, num_classes=classes), 64)
    priced = costs(space, np.empty((3, 0), dtype=np.int16), names, pricing)
    np.testing.assert_array_equal(priced, [[measured[name] for name in names]] * 3)
    for greatest in (False, True):
        found = extreme(space, "macs", pricing, greatest=greatest)
        assert (found.cost, found.exact, found.point.shape) == (measured["macs"], True, (0,))


def test_latency_is_that_of_its_blocks(tiny, planted_latency, tmp_path):
    """In a table of a space that has them; of another network the command that measures them is named."""
    point = tiny.sample(1, 4)
    file = tmp_path / "found.yaml"
    file.write_text(yaml.safe_dump({"architecture": tiny.decode(point[0]), "recipe": "middle"}))
    latency = f"latency.table={planted_latency}"
    problem = Problem.of(settings_of(str(file), latency))
    priced = problem.price(problem.space.sample(3, 0))[:, problem.costs.index("latency_ms")]
    whole = costs(tiny, point, ("latency_ms",), Pricing(latency=_whole(tiny, planted_latency)))[0, 0]
    assert priced.tolist() == [whole] * 3
    with pytest.raises(UserError, match=r"measure_latency.py candidate=fbnetv3_a num_classes=1000 table="):
        _ = Problem.of(settings_of("fbnetv3_a", latency)).measured_latency


def _whole(space, folder: Path):
    return open_latency(LatencySettings(table=str(folder)), shapes_of_space(space, 1000), of=()).table


def test_what_is_composed_fits_one_network(small):
    """No limit and no window that it could break, and itself beside the answer."""
    for candidate in (small, "fbnetv3_g", "timm:resnet50"):
        settings = settings_of(candidate)
        assert settings.constraint.limited == settings.strategy.window.limited == ()
        assert settings.reference == candidate
    experiment = settings_of("timm:resnet50", "experiment=imagenet200", "data.root=/images")
    assert experiment.strategy.window.limited == ()
    assert settings_of(small, "constraint=params_9m").constraint.limited == ("params",)


def test_the_settings_say_what_the_network_is(small, tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text(Path(small).read_text())
    before = settings_of(str(copy))
    assert before.search_space.architecture == SMALL["architecture"]
    copy.write_text(yaml.safe_dump(SMALL | {"architecture": SMALL["architecture"] | {"stem_width": 16}}))
    after = settings_of(str(copy))
    assert after.search_space.architecture["stem_width"] == 16
    assert answer_folder(before) != answer_folder(after)
    assert with_architecture(before.search_space) == before.search_space  # also once the file says otherwise
    assert settings_of(small, "search_space.resolution=40").search_space.architecture["resolution"] == 40


@pytest.mark.parametrize(
    ("candidate", "overrides", "said"),
    [
        (None, (), "search_space.candidate: must be given on the command line"),
        ("fbnetv3_h", (), "search_space.candidate=fbnetv3_h: no such file; give a best-N.yaml of a search"),
        ("timm:resnet19", (), "search_space.candidate=timm:resnet19: timm has no model resnet19; similar: resnet"),
    ],
)
def test_a_network_that_is_not_there(candidate, overrides, said):
    with pytest.raises(UserError, match=f"^{said}"):
        settings_of(candidate, *overrides)


@pytest.mark.parametrize(
    ("candidate", "overrides", "said"),
    [
        (
            "fbnetv3_b",
            ("constraint.max_macs=1e8",),
            r"constraint macs <= 100M cannot be met: the smallest architecture of search_space=fixed needs 46\d\.\dM",
        ),
        ("fbnetv3_b", ("strategy.window.min_macs=9e8",), r"strategy.window macs >= 900M cannot be met: the largest"),
        (
            "fbnetv3_b",
            ("method=fbnetv1",),
            "method=fbnetv1 chooses architectures, and fbnetv3_b is one; take method=nars",
        ),
        (
            "timm:densenet121",
            ("search_space.resolution=32",),
            r"timm:densenet121 has no stochastic depth; .*recipe_space.stochastic_depth=0.0",
        ),
        ("timm:resnet10t", ("latency.table=planted",), "timm:resnet10t has no latency: blocks of timm's networks"),
    ],
)
def test_what_cannot_be_searched_is_one_line(candidate, overrides, said, planted_latency, tmp_path):
    overrides = [override.replace("planted", str(planted_latency)) for override in overrides]
    settings = settings_of(candidate, *overrides, f"runs_dir={tmp_path}")
    with pytest.raises(UserError, match=said):
        Search(settings=settings, console=Console(file=io.StringIO())).run()


def test_the_encoder_s_pretraining_is_not_for_one_network():
    with pytest.raises(UserError, match="search_space: one network is nothing to choose among, so search_space=fixed"):
        settings_of("fbnetv3_b", script="pretrain_predictor")


def test_there_is_no_encoder(small, tmp_path):
    settings = settings_of(small, f"runs_dir={tmp_path}", *FEW_STEPS)
    problem = Problem.of(settings)
    fits = opened_predictor(settings, problem, watch=_Unwatched())
    x = problem.space.encode(problem.space.sample(40, 0))
    fits.fit(x, x[:, 0].astype(float))
    saved = Predictor.load(fits.file, specification=problem.space.specification)
    assert saved.architecture_columns == ()
    assert saved.check is None  # nothing was pretrained
    assert np.corrcoef(saved.predict(x), x[:, 0])[0, 1] > 0.9


class _Unwatched:
    """Who does not expect a pretraining."""

    progress = None

    def pretraining(self, file: Path):
        raise AssertionError(file)


def test_answers_differ_in_their_recipes(small):
    space = Problem.of(settings_of(small)).space
    points = np.repeat(space.sample(20, 1), 3, axis=0)
    points[1::3, 0] = (points[1::3, 0] + 1) % space.sizes[0]  # one dimension away
    chosen = points[best_apart(points, 5, space)]
    distances = (chosen[:, None] != chosen[None]).sum(axis=2)
    assert len(chosen) == 5
    assert distances[np.triu_indices(5, 1)].min() >= 2


def test_its_own_recipe_is_beside_the_answer(small):
    of_file = open_reference(*_asked(small))
    assert of_file.candidate.architecture == SMALL["architecture"]
    assert of_file.candidate.recipe["lr"] == 0.1
    of_timm = open_reference(
        *_asked("timm:densenet121", "search_space.resolution=32", "recipe_space.stochastic_depth=0.0")
    )
    middle = yaml.safe_load((ROOT / "conf" / "recipe" / "middle.yaml").read_text())
    assert {key: of_timm.candidate.recipe[key] for key in middle} == middle | {"stochastic_depth": 0.0}
    assert of_timm.candidate.architecture == {"timm": "densenet121", "resolution": 32}


def _asked(candidate: str, *overrides: str) -> tuple[SearchSettings, Problem]:
    settings = settings_of(candidate, *overrides, "protocol.image_scale=1.0")
    return settings, Problem.of(settings)


def test_a_ledger_answers_for_the_network_alone(small, tmp_path):
    """A planted best recipe is nearly found, and records of another network play no part."""
    overrides = ("data=folder", "data.root=/no/such", "constraint.num_classes=10", f"runs_dir={tmp_path / 'runs'}")
    settings = settings_of(small, f"records={tmp_path}", *overrides, *FEW_STEPS)
    space = Problem.of(settings).space
    slopes = np.array([0.05, 0.1, 0.0, 0.05, -0.1, -0.2, 0.1, -0.2, 0.0])
    training = {"data": "d1", "protocol": {}, "precision": "32-true"}
    ledger = Ledger(tmp_path / "records.jsonl")
    for i, point in enumerate(space.sample(70, 5)):
        candidate = space.candidate(point)
        accuracy = 0.5 + float(space.encode(point[None])[0] @ slopes)
        if i % 7 == 0:  # another network, which is always better
            other = candidate.architecture | {"resolution": 48}
            candidate, accuracy = Candidate(architecture=other, recipe=candidate.recipe), 0.99
        values = {"epochs": 1, "status": "finished", "accuracies": (accuracy,), "costs": {"macs": 1.0, "params": 1.0}}
        key = training_key(candidate, training, 0)
        ledger.append(Record(key=key, **candidate.to_dict(), training=training, seed=0, seconds=1.0, **values))
    output = answered(settings)
    assert "60 records" in output
    assert "10 of candidates that fixed+fbnetv3 does not offer" in output
    run = known_answer(settings)
    found = space.locate_candidate(Candidate.from_dict(run.answers[0]))
    everything = space.encode(space.sample(4096, 8)) @ slopes
    assert space.encode(found[None])[0] @ slopes > np.quantile(everything, 0.99)
    assert len({answer["costs"]["macs"] for answer in run.answers}) == 1


@pytest.mark.slow
def test_a_search_for_the_recipe_alone(small, tmp_path):
    """Rounds, confirmation and answer; a dry run says that nothing is left to train; a study in Python knows the
    network without its file."""
    file = tmp_path / "card.yaml"
    file.write_text(Path(small).read_text())
    short = (
        "protocol.epochs=1",
        "protocol.steps_per_epoch=2",
        "strategy.batch=2",
        "executor.workers=1",
        "confirm.pairs=1",
    )
    settings = settings_of(
        str(file), *FEW_STEPS, *short, "protocol.image_scale=1.0", f"runs_dir={tmp_path / 'runs'}", "study=s"
    )
    output = answered(settings)
    assert f"{file} alone, recipes of fbnetv3" in output
    assert f"The reference {file}" in output
    study = open_study(tmp_path / "runs" / "s")
    records = study.study.records.values()
    assert len({record.candidate.name for record in records}) >= 4
    assert all(record.architecture == SMALL["architecture"] for record in records)
    assert len({str(record.costs) for record in records}) == 1
    known = known_answer(settings)
    assert all(answer["architecture"] == SMALL["architecture"] for answer in known.answers)
    assert [architecture_of(SMALL["architecture"])] == [study.space().architecture.network]
    assert "nothing would be trained" in answered(settings.model_copy(update={"dry_run": True}))
    file.unlink()
    points = study.space().sample(5, 0)
    assert study.predictor().predict(study.space().encode(points)).shape == (5,)
    assert study.problem().feasible(points).all()
