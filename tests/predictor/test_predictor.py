"""The predictor: planted truths it must find, laws it must keep, files it must refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from scipy.stats import kendalltau
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nars.errors import UserError
from nars.predictor.predictor import Predictor
from nars.predictor.storage import read, write
from nars.settings import ArchitectureSpaceSettings, FitSettings, PredictorSettings, PretrainSettings, parse
from nars.spaces.architecture import ArchitectureSpace

CONF = Path(__file__).parents[2] / "conf"
SMALL = PredictorSettings(
    members=2,
    encoder_hidden=32,
    head_hidden=32,
    pretrain=PretrainSettings(pool_size=2000, epochs=5),
    fit=FitSettings(frozen_epochs=10, whole_epochs=10),
)
RECIPE = ("lr", "mixup")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def space():
    values = OmegaConf.to_container(OmegaConf.load(CONF / "search_space" / "tiny.yaml"))
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, values, where="search_space"))


def new(space, settings=SMALL, *, recipe=(), seed=0, architecture=True):
    return Predictor(
        settings,
        architecture_columns=space.columns if architecture else (),
        recipe_columns=recipe,
        statistics=("first", "second"),
        specification=space.specification,
        seed=seed,
    )


def planted_statistics(x):
    """Two statistics float64 (n, 2) that grow with every feature, as costs do."""
    weights = np.linspace(0.5, 2, x.shape[1])
    return np.stack([1e6 * np.exp(x @ weights / 3), 1e3 * (1 + x @ weights[::-1])], axis=1)


def rows(space, n, seed=0, recipe=0):
    x = space.encode(space.sample(n, seed))
    return np.hstack([x, np.random.default_rng(seed).random((n, recipe), dtype=np.float32)])


@pytest.mark.parametrize("name", ["default", "paper"])
def test_shipped_settings_are_valid(name):
    values = OmegaConf.to_container(OmegaConf.load(CONF / "predictor" / f"{name}.yaml"))
    settings = parse(PredictorSettings, values, where="predictor")
    assert list(values) == list(PredictorSettings.model_fields)
    assert settings.pretrained
    if name == "default":
        assert settings == PredictorSettings()


def test_a_planted_additive_function_is_ranked(space):
    x = rows(space, 1200, recipe=2)
    y = x @ np.linspace(-1, 1, x.shape[1])
    predictor = new(space, PredictorSettings(), recipe=RECIPE)
    predictor.fit(x[:200], y[:200])
    assert kendalltau(predictor.predict(x[200:]), y[200:]).statistic > 0.95


def test_deviations_cover_accuracies_of_unseen_rows(space):
    x = rows(space, 1200)
    clean = x @ np.linspace(-1, 1, x.shape[1])
    y = clean + 0.2 * np.random.default_rng(1).standard_normal(len(x))
    for sizes in ({"head": "process"}, {"head": "network"}, {"head": "blend"}, {"head": "blend", "members": 1}):
        predictor = new(space, PredictorSettings(**sizes))
        predictor.fit(x[:200], y[:200])
        mean, std = predictor.predict_with_std(x[200:])
        error = np.abs(mean - y[200:])
        assert 0.55 < (error < std).mean() < 0.85
        assert (error < 2 * std).mean() > 0.87


def test_a_deviation_is_half_of_the_way_from_one_below_to_one_above_in_targets(space):
    x = rows(space, 60)
    predictor = new(space, PredictorSettings(head="process", fit=FitSettings(process_steps=4)))
    predictor.fit(x[:40], np.exp(x[:40].sum(axis=1)))
    model, seen = predictor._model, predictor._features(x[40:])
    model.normal_scores.growth.fill_(0.3)
    mean = model.mean(seen, seen)
    variance = model.normal_scores.process.variance(seen)
    for exploring, factor in (
        (False, model.normal_scores.spread * (0.3 * mean.square()).exp().clamp_max(np.e)),
        (True, model.normal_scores.reach),
    ):
        std = factor * variance.sqrt()
        ends = [model.targets.to_accuracies((mean + sign * std).numpy()) for sign in (-1, 1)]
        given, deviation = predictor.predict_with_std(x[40:], exploring=exploring)
        np.testing.assert_allclose(given, model.targets.to_accuracies(mean.numpy()))
        np.testing.assert_allclose(deviation, (ends[1] - ends[0]) / 2)


def test_deviations_hold_what_they_should_where_noise_has_long_tails(space):
    """Student's t with three degrees: few errors are far off, and must not widen the deviations of all others."""
    inside = []
    for seed in range(5):
        x = rows(space, 1120, seed)
        y = x @ np.linspace(-1, 1, x.shape[1]) + 0.3 * np.random.default_rng(seed).standard_t(3, len(x))
        predictor = new(space, PredictorSettings(head="process", fit=FitSettings(targets="standardised")))
        predictor.fit(x[:120], y[:120])
        mean, std = predictor.predict_with_std(x[120:])
        error = np.abs(mean - y[120:])
        inside.append([(error < std).mean(), (error < 2 * std).mean()])
    one, two = np.mean(inside, axis=0)
    assert 0.64 < one < 0.78
    assert 0.88 < two < 0.98


def test_a_single_network_knows_its_errors_from_others_that_left_records_out(space):
    """Fitted records alone would tell it that it hardly errs: it learns 24 of them by heart."""
    x = rows(space, 1200)
    y = x @ np.linspace(-1, 1, x.shape[1]) + 0.5 * np.random.default_rng(1).standard_normal(len(x))
    predictor = new(space, PredictorSettings(head="network", members=1, fit=FitSettings(targets="standardised")))
    predictor.fit(x[:24], y[:24])
    mean, std = predictor.predict_with_std(x[24:])
    assert (np.abs(mean - y[24:]) < std).mean() > 0.5
    np.testing.assert_allclose(std, std[0])
    assert np.abs(predictor.predict(x[:24]) - y[:24]).mean() < std[0] / 2


def test_outliers_do_not_spoil_the_ranking(space):
    x = rows(space, 1200)
    y = 0.7 + 0.1 * x @ np.linspace(-1, 1, x.shape[1])
    seen = y[:200].copy()
    seen[::20] = 0.0  # trainings that diverged
    taus = {}
    for targets in ("normal_scores", "standardised", "both"):
        predictor = new(space, PredictorSettings(head="process", fit=FitSettings(targets=targets)))
        predictor.fit(x[:200], seen)
        taus[targets] = kendalltau(predictor.predict(x[200:]), y[200:]).statistic
    assert min(taus["normal_scores"], taus["both"]) > max(0.7, taus["standardised"] + 0.05)


def test_pretraining_helps_where_statistics_drive_the_accuracy(space):
    taus = {}
    for pretrained in (True, False):
        taus[pretrained] = []
        for seed in range(2):
            x = rows(space, 2000, seed)
            statistics = planted_statistics(x)
            y = -((np.log(statistics[:, 0]) - np.log(statistics[:, 0]).mean()) ** 2)
            predictor = new(
                space,
                PredictorSettings(head="network", members=3, pretrain=PretrainSettings(pool_size=2000, epochs=30)),
                seed=seed,
            )
            if pretrained:
                predictor.pretrain(x, statistics)
            predictor.fit(x[:24], y[:24])
            taus[pretrained].append(kendalltau(predictor.predict(x[24:]), y[24:]).statistic)
    assert np.mean(taus[True]) > np.mean(taus[False]) + 0.1


def test_pretraining_reports_each_statistic_on_held_out_rows_and_its_progress(space):
    x, seen = rows(space, 2000), []
    report = new(space, PredictorSettings(pretrain=PretrainSettings(pool_size=2000, epochs=20))).pretrain(
        x, planted_statistics(x), progress=lambda stage, fraction: seen.append((stage, fraction))
    )
    assert list(report) == ["first", "second"]
    for statistic in report.values():
        assert statistic["kendall_tau"] > 0.9
        assert statistic["mean_relative_error"] < 0.1
    assert seen == [("pretrain", (i + 1) / 20) for i in range(20)]


def test_same_seed_and_rows_give_the_same_predictions_whatever_was_fitted_before(space):
    x = rows(space, 300)
    y = x.sum(axis=1)
    once, twice, other = new(space), new(space), new(space, seed=1)
    for predictor in (once, twice, other):
        predictor.pretrain(x, planted_statistics(x))
    state = torch.random.get_rng_state()
    once.fit(x[:50], y[:50])
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator was used"
    twice.fit(x[50:90], y[50:90])
    torch.manual_seed(123)
    twice.fit(x[:50], y[:50])
    other.fit(x[:50], y[:50])
    np.testing.assert_array_equal(once.predict(x), twice.predict(x))
    assert not np.allclose(once.predict(x), other.predict(x))


def test_a_fit_freezes_the_pretrained_encoder_then_moves_all_at_a_lower_rate_that_falls_to_nothing(space, tmp_path):
    """What each optimizer step finds: the rate, and whether the encoder is still the one that was pretrained."""
    settings = PredictorSettings(
        head="network",
        members=2,
        pretrain=PretrainSettings(pool_size=80, epochs=2),
        fit=FitSettings(frozen_epochs=3, whole_epochs=4, lr=0.02, whole_lr=0.003, weight_decay=0.07),
    )
    x = rows(space, 80, recipe=2)
    predictor = new(space, settings, recipe=RECIPE)
    predictor.pretrain(x[:, :-2], planted_statistics(x[:, :-2]))
    predictor.save(tmp_path / "pretrained.safetensors")
    pretrained = load_file(tmp_path / "pretrained.safetensors")
    steps, encoder = [], []

    def look(optimizer, *_):
        [group] = optimizer.param_groups
        steps.append((len(group["params"]), group["lr"], group["weight_decay"]))
        if len(group["params"]) == 8 and not encoder:
            encoder.extend(parameter.detach().clone() for parameter in group["params"][:4])

    hook = register_optimizer_step_pre_hook(look)
    predictor.fit(x, x.sum(axis=1))
    hook.remove()
    frozen, whole = steps[: 3 * 8], steps[3 * 8 :]  # 8 batches of 10 records
    assert set(frozen) == {(4, 0.02, 0.07)}  # the head alone
    assert {(count, decay) for count, _, decay in whole} == {(8, 0.07)}
    assert [lr for _, lr, _ in whole] == pytest.approx([0.003 * (1 + np.cos(np.pi * i / 32)) / 2 for i in range(32)])
    names = [f"proxy.encoder.{layer}.{part}" for layer in ("hidden", "embedding") for part in ("weight", "bias")]
    for before, name in zip(encoder, names, strict=True):  # a copy for each kind of targets
        assert torch.equal(before, pretrained[name].repeat(2, 1, 1))


@pytest.fixture
def steps():
    """What the optimizer steps inside a test find: number of parameters, rate and weight decay."""
    seen = []

    def look(optimizer, *_):
        [group] = optimizer.param_groups
        seen.append((len(group["params"]), group["lr"], group["weight_decay"]))

    hook = register_optimizer_step_pre_hook(look)
    yield seen
    hook.remove()


@pytest.mark.parametrize("rows_given", [101, 40])
def test_pretraining_takes_four_fifths_of_the_pool_and_ends_with_a_rate_of_nothing(space, steps, rows_given):
    """As many steps where fewer rows are given, each of them more often."""
    x = rows(space, rows_given)
    settings = PredictorSettings(members=1, pretrain=PretrainSettings(pool_size=101, epochs=2, batch_size=16, lr=0.02))
    new(space, settings).pretrain(x, planted_statistics(x))
    assert len(steps) == 2 * 6  # 81 of 101 rows in batches of 16
    assert {(count, decay) for count, _, decay in steps} == {(6, 0.0)}
    assert [lr for _, lr, _ in steps] == pytest.approx([0.02 * (1 + np.cos(np.pi * i / 12)) / 2 for i in range(12)])


@pytest.mark.parametrize(("records", "batches"), [(3, 1), (9, 3), (40, 8), (80, 8), (200, 8), (400, 13)])
def test_few_records_are_split_into_more_batches(space, steps, records, batches):
    """Eight, unless they had fewer than 4 records then, or more than `batch_size`."""
    x = rows(space, records)
    fit = FitSettings(frozen_epochs=1, whole_epochs=1, batch_size=32)
    new(space, PredictorSettings(head="network", members=1, fit=fit)).fit(x, x.sum(axis=1))
    assert len(steps) == 2 * batches


HEADS = ("network", "process", "blend")


def with_head(head, members=2):
    return SMALL.model_copy(update={"head": head, "members": members})


@pytest.mark.parametrize("n", [1, 2, 4, 33])
@pytest.mark.parametrize("head", HEADS)
def test_few_records_fit(space, head, n):
    x = rows(space, n, recipe=2)
    predictor = new(space, with_head(head), recipe=RECIPE)
    predictor.fit(x, np.linspace(0.1, 0.9, n))
    mean, std = predictor.predict_with_std(x)
    assert mean.shape == std.shape == (n,)
    assert mean.dtype == std.dtype == np.float64
    assert np.isfinite(mean).all()
    assert (std >= 0).all()


@pytest.mark.parametrize("head", HEADS)
def test_constant_accuracies_are_predicted_as_that_constant(space, head):
    x = rows(space, 40)
    predictor = new(space, with_head(head))
    predictor.fit(x, np.full(40, 0.7))
    mean, std = predictor.predict_with_std(x)
    np.testing.assert_allclose(mean, 0.7)
    np.testing.assert_allclose(std, 0, atol=1e-12)


def test_recipe_only_has_no_encoder(space):
    x = rows(space, 300, recipe=2)[:, -2:]
    y = x[:, 0] - x[:, 1]
    predictor = new(space, PredictorSettings(), recipe=RECIPE, architecture=False)
    predictor.fit(x[:100], y[:100])
    assert kendalltau(predictor.predict(x[100:]), y[100:]).statistic > 0.9
    with pytest.raises(UserError, match="at least 10 architectures"):
        predictor.pretrain(np.zeros((20, 0), np.float32), np.ones((20, 2)))


def test_predictions_do_not_depend_on_the_batch_they_are_in(space):
    x = rows(space, 5000)
    predictor = new(space)
    predictor.fit(x[:50], x[:50].sum(axis=1))
    whole = predictor.predict(x)
    np.testing.assert_allclose(whole[[7, 4999]], predictor.predict(x[[7, 4999]]), rtol=1e-4)
    np.testing.assert_array_equal(predictor.predict_with_std(x)[0], whole)
    assert predictor.predict(x[:0]).shape == (0,)


@pytest.mark.parametrize(("head", "fitted"), [*((head, True) for head in HEADS), ("blend", False)])
def test_a_saved_predictor_predicts_the_same(space, tmp_path, head, fitted):
    settings = with_head(head)
    x = rows(space, 200, recipe=2)
    y = x.sum(axis=1)
    predictor = new(space, settings, recipe=RECIPE, seed=3)
    predictor.pretrain(x[:, :-2], planted_statistics(x[:, :-2]))
    if fitted:
        predictor.fit(x, y)
    predictor.save(tmp_path / "new folder" / "predictor.safetensors")
    loaded = Predictor.load(tmp_path / "new folder" / "predictor.safetensors", specification=space.specification)
    assert [p.name for p in (tmp_path / "new folder").iterdir()] == ["predictor.safetensors"]
    assert (loaded.settings, loaded.seed, loaded.statistics) == (settings, 3, ("first", "second"))
    if not fitted:
        with pytest.raises(UserError, match="has not been fitted"):
            loaded.predict(x)
        predictor.fit(x, y)
        loaded.fit(x, y)
    np.testing.assert_array_equal(loaded.predict_with_std(x), predictor.predict_with_std(x))


@pytest.mark.parametrize("told", [True, False])
def test_steps_of_choices_are_told_by_the_space_or_seen_in_pretraining_and_saved(space, tmp_path, told):
    """Told or seen, they are the same, so predictions are; without them they are others."""
    x = rows(space, 400, recipe=2)

    def fitted(encoding, specification):
        predictor = new(space, SMALL.model_copy(update={"encoding": encoding}), recipe=RECIPE)
        predictor = Predictor(
            predictor.settings,
            architecture_columns=space.columns,
            recipe_columns=RECIPE,
            statistics=predictor.statistics,
            specification=specification,
            seed=0,
        )
        predictor.pretrain(x[:, :-2], planted_statistics(x[:, :-2]))
        predictor.fit(x[:40], x[:40].sum(axis=1))
        return predictor

    expected = fitted("thermometer", space.specification).predict(x)
    predictor = fitted("thermometer", space.specification if told else {})
    np.testing.assert_array_equal(predictor.predict(x), expected)
    predictor.save(tmp_path / "saved")
    np.testing.assert_array_equal(Predictor.load(tmp_path / "saved").predict(x), expected)
    inputs = load_file(tmp_path / "saved")["proxy.encoder.hidden.weight"].shape[1]
    assert inputs == sum(max(1, len(choices) - 1) for choices in space.specification.values() if len(choices) > 1)
    if told:
        assert not np.allclose(fitted("scaled", space.specification).predict(x), expected)


def test_a_predictor_of_another_space_is_refused_by_the_first_dimension_that_differs(space, tmp_path):
    path = tmp_path / "predictor.safetensors"
    new(space).save(path)
    specification = space.specification
    first, second = list(specification)[:2]
    cases = {
        "it has no dimension depth": {"depth": [1, 2]} | specification,
        f"it has a dimension {first}, which": {k: v for k, v in specification.items() if k != first},
        rf"{first} has choices \[32, 40, 48\] there and \[32\] here": specification | {first: [32]},
        rf"{first} has choices .* and \[32\.0, 40, 48\] here": specification | {first: [32.0, 40, 48]},
        f"another order, first at {first}": {second: specification[second]} | specification,
    }
    for message, wanted in cases.items():
        with pytest.raises(UserError, match=f"made for another space: .*{message}.*pretrain again"):
            Predictor.load(path, specification=wanted)
    Predictor.load(path, specification=json.loads(json.dumps(specification)))
    short, long = [*range(16), 1000], [*range(16), 10000]  # 60 and 61 characters
    for choices, shown in ((short, str(short)), (long, str(long)[:57] + "...")):
        with pytest.raises(UserError) as error:
            Predictor.load(path, specification=specification | {first: choices})
        assert f"and {shown} here; remove" in str(error.value)


def test_settings_can_be_replaced_at_load_but_not_sizes(space, tmp_path):
    path = tmp_path / "predictor.safetensors"
    new(space).save(path)
    other = SMALL.model_copy(update={"fit": FitSettings(whole_epochs=1)})
    assert Predictor.load(path, settings=other).settings == other
    with pytest.raises(UserError, match=r"saved with predictor.embedding=24, asked for 8"):
        Predictor.load(path, settings=SMALL.model_copy(update={"embedding": 8}))


def test_unusable_files_are_refused_in_one_line(space, tmp_path):
    from safetensors.torch import save_file

    whole = tmp_path / "whole"
    new(space).save(whole)
    trained = new(space)
    trained.fit(rows(space, 4), np.arange(4.0))
    trained.save(tmp_path / "trained")
    content = (tmp_path / "trained").read_bytes()
    (tmp_path / "torn").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello\nworld\n" * 100)
    save_file({"w": torch.zeros(3)}, tmp_path / "foreign")
    tensors, metadata = read(whole)
    write(tmp_path / "unknown", tensors, metadata | {"settings": metadata["settings"] | {"heads": 3}})
    (tmp_path / "folder").mkdir()
    messages = {}
    with pytest.raises(UserError) as caught:
        Predictor.load(tmp_path / "unknown")
    assert str(caught.value).startswith(f"{tmp_path / 'unknown'}: predictor.heads: unknown key")
    for name in ("torn", "empty", "text", "foreign", "folder", "absent"):
        with pytest.raises(UserError) as caught:
            Predictor.load(tmp_path / name)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(str(tmp_path / name))
        assert "pretrain_predictor.py" in message
        messages[name] = message
    assert "not a readable safetensors file (Error while deserializing" in messages["torn"]
    assert "a safetensors file, but not a predictor of this version (nars-predictor-1)" in messages["foreign"]
    assert "no such file; make it with" in messages["absent"]
    assert "no such file; make it with" in messages["folder"]


def test_wrong_shapes_and_values_are_refused(space):
    predictor, x = new(space), rows(space, 20)
    with pytest.raises(UserError, match="has not been fitted"):
        predictor.predict(x)
    with pytest.raises(UserError, match=r"expected .* columns, given an array of shape"):
        predictor.fit(x[:, 1:], np.ones(20))
    with pytest.raises(UserError, match="one accuracy per point"):
        predictor.fit(x, np.ones(19))
    with pytest.raises(UserError, match="an accuracy is not finite"):
        predictor.fit(x, np.full(20, np.nan))
    with pytest.raises(UserError, match="a statistic is not finite"):
        predictor.pretrain(x, np.full((20, 2), np.inf))
    with pytest.raises(UserError, match="needs at least 10 architectures with statistics first, second"):
        predictor.pretrain(x, np.ones((20, 1)))


@pytest.mark.parametrize("head", HEADS)
def test_draws_scatter_about_the_prediction(space, head):
    predictor = new(space, with_head(head))
    x = rows(space, 80)
    y = planted_statistics(x)[:, 0]
    y = (y - y.min()) / (y.max() - y.min())
    predictor.fit(x[:40], y[:40])
    draws = predictor.draws(x, 500, seed=3)
    assert draws.shape == (500, 80)
    np.testing.assert_array_equal(draws, predictor.draws(x, 500, seed=3))
    assert np.abs(draws.mean(axis=0) - predictor.predict(x)).mean() < 0.05
    if head != "network":
        known, unknown = draws.std(axis=0)[:40].mean(), draws.std(axis=0)[40:].mean()
        assert known < unknown
    with pytest.raises(UserError, match="not been fitted"):
        new(space).draws(x, 2, seed=0)
