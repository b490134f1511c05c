"""Every shipped YAML file composes into valid settings, says what it is, and shows in the help text."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict

from nars.candidates import load_candidate, open_architectures
from nars.configuration import BY_SCRIPT, run_script, settings_from, user_errors
from nars.costs.table import LIMITED
from nars.errors import UserError
from nars.settings import (
    CostLimits,
    DetectSettings,
    PrepareSettings,
    PretrainScriptSettings,
    Recipe,
    RecipeOverrides,
    SearchSettings,
    Settings,
    TrainSettings,
)
from nars.spaces.recipe import recipe_space

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
SCRIPTS = {
    "search": SearchSettings,
    "train": TrainSettings,
    "detect": DetectSettings,
    "pretrain_predictor": PretrainScriptSettings,
}
GROUPS = sorted(
    folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name not in ("hydra", "candidates")
)
FILES = sorted(f"{group}/{file.stem}" for group in GROUPS for file in (CONF / group).glob("*.yaml"))
LIMITS = {
    "flops_450m": {"max_macs": 450e6},
    "flops_500m": {"max_macs": 500e6},
    "flops_550m": {"max_macs": 550e6},
    "flops_600m": {"max_macs": 600e6},
    "flops_650m": {"max_macs": 650e6},
    "flops_700m": {"max_macs": 700e6},
    "flops_750m": {"max_macs": 750e6},
    "flops_800m": {"max_macs": 800e6},
    "flops_1g": {"max_macs": 1e9},
    "flops_2g": {"max_macs": 2e9},
    "params_8m": {"max_params": 8e6},
    "params_9m": {"max_params": 9e6},
    "params_10m": {"max_params": 10e6},
    "params_12m": {"max_params": 12e6},
    "params_14m": {"max_params": 14e6},
    "activations_8m": {"max_activations": 8e6},
    "activations_10m": {"max_activations": 10e6},
    "latency_10ms": {"max_latency_ms": 10.0},
    "latency_20ms": {"max_latency_ms": 20.0},
    "latency_40ms": {"max_latency_ms": 40.0},
    "none": {},
}
ASKED_FOR = {"prepare_data": ("data.root=/images", "output=/prepared"), "export": ("weights=x",)}
MUST_BE_GIVEN = {name: ["data.root=/images"] for name in ("folder", "imagenet200", "prepared", "tiny_imagenet")}
MUST_BE_GIVEN |= {name: ["detection_data.root=/images"] for name in ("coco", "voc", "yolo")}
MUST_BE_GIVEN |= {"fixed": ["search_space.candidate=fbnetv3_b"]}
MUST_BE_GIVEN |= {name: ["start.weights=x"] for name in ("finetune", "linear_probe", "inherit")}


@pytest.fixture(scope="module", autouse=True)
def _hydra():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@cache
def composed(script: str, *overrides: str) -> DictConfig:
    """What Hydra makes of a command line; do not change it."""
    return compose(script, overrides=list(overrides))


def settings_of(script: str, *overrides: str):
    return settings_from(composed(script, *overrides), SCRIPTS[script])


def groups_of(script: str) -> set[str]:
    return set(SCRIPTS[script].model_fields) & set(GROUPS) | ({"experiment"} if script == "search" else set())


def help_of(script: str) -> str:
    command = [sys.executable, f"{script}.py", "--help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_every_group_belongs_to_a_script():
    assert set().union(*map(groups_of, SCRIPTS)) == set(GROUPS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_defaults_are_valid(script):
    settings = settings_of(script)
    assert settings.seed == 0
    assert settings.runs_dir == "runs"


def not_default(settings: Settings, prefix: str = "") -> dict:
    """All values, by full key, that are otherwise than the default in the settings class."""
    found = {}
    for key, field in type(settings).model_fields.items():
        value = getattr(settings, key)
        if isinstance(value, Settings):
            found |= not_default(value, f"{prefix}{key}.")
        elif not field.is_required() and value != field.get_default(call_default_factory=True):
            found[prefix + key] = value
    return found


@pytest.mark.parametrize(
    ("group", "option"),
    [
        ("data", "digits"),
        ("data", "folder"),
        ("data", "imagenet200"),
        ("evolution", "default"),
        ("executor", "local"),
        ("executor", "ray"),
        ("predictor", "default"),
        ("protocol", "search"),
        ("start", "none"),
        ("strategy", "evolution"),
        ("strategy", "nars"),
        ("strategy", "random"),
        ("strategy", "reinforce"),
        ("strategy", "tpe"),
        ("trainer", "default"),
    ],
)
def test_a_file_and_its_settings_class_have_the_same_defaults(group, option):
    """But for what is small enough for a laptop in search.yaml, and the paper's in the class."""
    settings = settings_of("search", f"{group}={option}", *MUST_BE_GIVEN.get(option, []))
    small = {"window.max_macs": 600e6, "rounds": 3, "batch": 4}
    assert not_default(getattr(settings, group)) == (small if group == "strategy" else {})


@pytest.mark.parametrize("script", [*SCRIPTS, "prepare_data", "export"])
def test_a_script_s_own_keys_have_the_defaults_of_its_settings_class(script):
    """But for what a search compares its answers with: older ones were compared with nothing."""
    settings = settings_from(composed(script, *ASKED_FOR.get(script, ())), BY_SCRIPT[script])
    own = {key: value for key, value in not_default(settings).items() if "." not in key}
    assert own == ({"reference": "fbnetv3_a"} if script == "search" else {})


def rows_of(script: str) -> list[dict[str, str]]:
    """Choices of one option per group that together take every option once; constraints have a test of their own."""
    options = {
        group: [file.split("/")[1] for file in FILES if file.startswith(f"{group}/")] for group in groups_of(script)
    }
    if script != "search":  # the only one that takes a space of one network
        options["search_space"] = [name for name in options.get("search_space", []) if name != "fixed"]
    options = {group: names for group, names in options.items() if names}
    alone = [{"experiment": name} for name in options.pop("experiment", [])]
    options.pop("constraint", None)
    if script == "pretrain_predictor":
        options["logger"] = ["none", "wandb"]
    rows = [{g: o[i % len(o)] for g, o in sorted(options.items())} for i in range(max(map(len, options.values())))]
    return rows + alone


@pytest.mark.parametrize(("script", "row"), [(script, row) for script in SCRIPTS for row in rows_of(script)])
def test_every_option_is_valid(script, row):
    given = {override for option in row.values() for override in MUST_BE_GIVEN.get(option, [])}
    settings = settings_of(script, *(f"{group}={option}" for group, option in row.items()), *sorted(given))
    for group, option in row.items():
        if group == "search_space":
            assert open_architectures(settings.search_space).name == option
        elif group == "recipe_space":
            assert recipe_space(settings.recipe_space).name == option
        elif group == "data":
            assert settings.data.name == option
        elif group == "logger":
            chosen = {name for name, value in settings.logger if value}
            assert chosen == {option} - {"none"}


def test_several_loggers_at_once():
    logger = settings_of("search", "logger=[csv,wandb]", "logger.wandb.offline=false").logger
    assert (logger.csv, logger.tensorboard, logger.wandb.offline) == (True, False, False)


@pytest.mark.parametrize("option", ["csv", "tensorboard"])
def test_a_pretraining_has_no_curves_for_some_loggers(option):
    with pytest.raises(UserError) as error:
        settings_of("pretrain_predictor", f"logger={option}")
    assert str(error.value).startswith("logger: a pretraining is shown by logger=wandb or logger=none")


@pytest.mark.parametrize("option", [file.stem for file in sorted((CONF / "constraint").iterdir())])
def test_constraints_are_what_their_names_say(option):
    """Each file composed alone and put into the composition of `search.py`, which takes seconds only once."""
    config = composed("search").copy()
    config.constraint = OmegaConf.merge(
        composed("constraint/none").constraint, composed(f"constraint/{option}").constraint
    )
    limits = settings_from(config, SearchSettings).constraint.model_dump(exclude_none=True, exclude={"num_classes"})
    assert limits == LIMITS[option]


OF_THE_EMBEDDED_DEFAULT = {  # what the shipped configuration sets otherwise than the settings' classes: for a laptop
    "constraint.max_macs",
    "logger.csv",
    "protocol.steps_per_epoch",
    "protocol.image_scale",
    "protocol.warmup_epochs",
    "protocol.ema_decay",
    "protocol.augmentation",
    "detection_protocol.lr_batch_size",
    "detection_protocol.lr_decay",
    "detection_protocol.warmup_epochs",
    "detection_protocol.ema_decay",
    "detection_protocol.augmentation",
    "strategy.rounds",
    "strategy.window.max_macs",
    "strategy.batch",
    "confirm.pairs",
    "reference",
}


def otherwise(settings: Settings, prefix: str = ""):
    """Keys whose value is not the default that the settings' class says; spaces are tables of values, not defaults."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings) and not name.endswith("_space"):
            yield from otherwise(value, f"{prefix}{name}.")
        elif not field.is_required() and value != field.get_default(call_default_factory=True):
            yield f"{prefix}{name}"


@pytest.mark.parametrize("script", BY_SCRIPT)
def test_defaults_in_files_and_in_code_are_the_same(script):
    settings = settings_from(composed(script, *ASKED_FOR.get(script, ())), BY_SCRIPT[script])
    groups = {key.partition(".")[0] for key in OF_THE_EMBEDDED_DEFAULT} & set(type(settings).model_fields)
    expected = {key for key in OF_THE_EMBEDDED_DEFAULT if key.partition(".")[0] in groups}
    assert set(otherwise(settings)) == (expected - {"logger.csv"} if script == "pretrain_predictor" else expected)


def test_a_constraint_of_another_kind_replaces_the_default_one():
    limits = settings_of("search", "constraint=params_9m").constraint
    assert (limits.max_macs, limits.max_params) == (None, 9e6)


def test_every_cost_can_be_limited_whatever_the_files_name():
    """Hydra refuses keys that a configuration does not have."""
    given = {f"{end}_{name}": value for name in LIMITED for end, value in (("min", 1e6), ("max", 9e8))}
    places = ("constraint", "strategy.window")
    overrides = [f"{place}.{key}={value}" for place in places for key, value in given.items()]
    settings = settings_of("search", *overrides)
    for limits in (settings.constraint, settings.strategy.window):
        assert limits.limited == LIMITED
        assert {key: getattr(limits, key) for key in given} == given


@pytest.mark.parametrize(
    ("override", "meant", "allowed"),
    [
        ("constraint.max_mac=1", "constraint.max_macs", ", ".join([*CostLimits.model_fields, "num_classes"])),
        ("sed=1", "seed", "search_space, recipe_space, constraint"),
    ],
)
def test_an_unknown_key_is_named_with_those_allowed(override, meant, allowed):
    with pytest.raises(UserError) as error, user_errors():
        settings_of("search", override)
    key = override.partition("=")[0]
    assert str(error.value).startswith(f"{key}: unknown key; did you mean {meant}? allowed: {allowed}")
    assert "hydra" not in str(error.value)


def test_the_paper_s_scale_is_one_option():
    """48 candidates x 4 rounds of 150 epochs, pool 20,000 between 400 and 800 M MACs."""
    settings = settings_of("search", "experiment=imagenet200", "data.root=/images")
    strategy, protocol = settings.strategy, settings.protocol
    assert (strategy.batch, strategy.rounds, strategy.pool_size) == (48, 4, 20_000)
    assert (strategy.window.min_macs, strategy.window.max_macs) == (400e6, 800e6)
    assert strategy.early_stop_correlation == 0.92
    assert (protocol.epochs, protocol.batch_size, protocol.lr_decay, protocol.image_scale) == (150, 256, 0.963, 1.0)
    assert (settings.data.num_classes, settings.data.val_images) == (200, 10_000)
    assert (settings.search_space.name, settings.recipe_space.name) == ("fbnetv3", "fbnetv3_joint")
    assert settings.recipe_space.ema is True
    evolution = settings.evolution
    assert (evolution.patience, evolution.min_gain) == (1, 1e-6)
    assert (evolution.best, evolution.random, evolution.children, evolution.survivors) == (50, 50, 24, 40)
    assert settings_of("search", "predictor=paper").predictor.members == 1


def test_a_value_on_the_command_line_wins():
    settings = settings_of("search", "experiment=smoke", "strategy.batch=7", "constraint.max_macs=5e8")
    assert settings.strategy.batch == 7
    assert settings.constraint.max_macs == 5e8


@pytest.mark.parametrize(
    "given",
    [
        "constraint.max_params=9e6",
        "constraint.num_classes=200",
        "pretrained=some.safetensors",
        "evolution.patience=1",
        "evolution.tries=1000",
    ],
)
def test_keys_that_help_names_can_be_given(given):
    assert settings_of("search", given)


def test_the_folder_of_a_sweep_may_be_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = compose("search", overrides=["runs_dir='~/runs'"], return_hydra_config=True)
    assert config.hydra.sweep.dir.startswith("/home/me/runs/sweeps/")


def test_texts_on_the_command_line_reach_the_settings_as_they_are_written(monkeypatch):
    """Whatever Hydra's grammar says of them; a tilde is the home folder, which shells say only in some words."""
    monkeypatch.setenv("HOME", "/home/me")
    given = ["data=folder", "data.root=~/O'Brien (2019)", "data.val_root=2012", "runs_dir=café, [v2]", "study=007"]
    monkeypatch.setattr(sys, "argv", ["train.py", *given, "candidate=~", "seed=3"])
    seen = []
    with pytest.raises(SystemExit) as stop:
        run_script(lambda: seen.append(settings_of("train", *sys.argv[1:])), TrainSettings)
    assert not stop.value.code
    [settings] = seen
    assert settings.data.root == "/home/me/O'Brien (2019)"
    assert settings.data.val_root == "2012"
    assert (settings.runs_dir, settings.study, settings.candidate) == ("café, [v2]", "007", "/home/me")
    assert settings.seed == 3


@pytest.mark.parametrize("script", ["search", "train"])
def test_what_must_be_given_is_named(script):
    with pytest.raises(UserError) as error:
        settings_of(script, "data=folder")
    assert str(error.value) == "data.root: must be given on the command line: data.root=..."


@pytest.mark.parametrize("data", ["folder", "imagenet200"])
def test_image_files_can_be_prepared(data):
    config = composed("prepare_data", f"data={data}", "data.root=/images", "output=/prepared")
    settings = settings_from(config, PrepareSettings)
    assert (settings.data.name, settings.output, settings.short_side, settings.workers) == (
        data,
        "/prepared",
        288,
        None,
    )


@pytest.mark.parametrize("data", ["digits", "prepared"])
def test_what_is_no_image_files_cannot_be_prepared(data):
    given = MUST_BE_GIVEN.get(data, [])
    with pytest.raises(UserError) as error:
        settings_from(composed("prepare_data", f"data={data}", *given, "output=/prepared"), PrepareSettings)
    assert str(error.value).startswith("data: ")
    assert "'folder', 'imagenet200'" in str(error.value)


def test_preparing_asks_for_what_must_be_given():
    with pytest.raises(UserError) as error:
        settings_from(composed("prepare_data", "data.root=/images"), PrepareSettings)
    assert str(error.value) == "output: must be given on the command line: output=..."


@pytest.mark.parametrize(
    ("script", "key", "value", "message"),
    [
        ("search", "data.image", 3, "data.image: unknown key"),
        ("search", "sed", 3, "sed: unknown key; did you mean seed? allowed: study, runs_dir, seed, search_space"),
        ("search", "seed", -1, "seed: Input should be greater than or equal to 0, given -1"),
        ("train", "seed", 2**32, "seed: Input should be less than 4294967296, given 4294967296"),
        ("search", "study", "a/b", "study: String should match pattern"),
        ("search", "evolution", "fast", "evolution: Input should be an object, given 'fast'"),
        ("search", "executor.workers", 0, "executor.workers: Input should be greater than 0, given 0"),
        ("search", "constraint.min_macs", 7e8, "constraint: min_macs is above max_macs"),
        ("search", "strategy.window.min_macs", 9e8, "strategy.window: min_macs is above max_macs"),
        ("train", "recipe.optimizer", "adam", "recipe.optimizer: Input should be 'rmsprop' or 'sgd', given 'adam'"),
        ("pretrain_predictor", "num_classes", "many", "num_classes: Input should be a valid integer, given 'many'"),
    ],
)
def test_wrong_settings_give_one_line_with_the_path(script, key, value, message):
    config = composed(script).copy()
    with open_dict(config):
        OmegaConf.update(config, key, value)
    with pytest.raises(UserError) as error:
        settings_from(config, SCRIPTS[script])
    assert str(error.value).startswith(message)
    assert len(str(error.value).splitlines()) == 1


def test_a_key_that_a_file_leaves_out_is_named():
    config = composed("search").copy()
    with open_dict(config):
        del config.protocol.batch_size
    with pytest.raises(UserError) as error:
        settings_from(config, SearchSettings)
    assert str(error.value) == "protocol.batch_size: missing, and there is no default"


def test_a_misspelt_key_of_a_group_is_named_by_hydra():
    with pytest.raises(ConfigCompositionException, match=r"constraint\.max_mac"):
        settings_of("search", "constraint.max_mac=1e6")


@pytest.mark.parametrize("file", FILES + [f"candidates/{file.stem}" for file in (CONF / "candidates").iterdir()])
def test_every_file_begins_by_saying_what_it_is(file):
    first, *rest = (CONF / f"{file}.yaml").read_text().splitlines()
    if file.startswith("experiment/"):
        assert first == "# @package _global_"
        assert rest[0].startswith(f"# python search.py experiment={file.split('/')[1]}")
        first = rest[1]
    assert first.startswith("# ")
    assert len(first.split()) > 2


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_every_group_and_option(script):
    text = help_of(script)
    for group in groups_of(script):
        assert f"\n    {group} " in text or f"\n  {group} " in text, group
        line = next(line for line in text.splitlines() if line.strip().startswith(f"{group}: "))
        offered = [option.strip() for option in line.split(":")[1].split(",")]
        assert offered == sorted(file.stem for file in (CONF / group).glob("*.yaml"))
    for key in (
        "study",
        "runs_dir",
        "seed",
        *{"train": ("candidate=", "recipe."), "detect": ("candidate=",)}.get(script, ()),
    ):
        assert key in text, key


@pytest.mark.parametrize("script", ASKED_FOR)
def test_help_of_other_scripts_names_their_keys(script):
    text = help_of(script)
    for key in BY_SCRIPT[script].model_fields:
        assert f"\n{key} " in text or f"\n  {key} " in text, key


def test_every_recipe_key_may_be_given():
    assert composed("train").recipe == dict.fromkeys(Recipe.model_fields)
    values = Recipe(lr=0.5, optimizer="sgd").model_dump() | {"ema": True}
    for key in Recipe.model_fields:
        value = values.get(key, Recipe.neutral().get(key))
        assert settings_of("train", f"recipe.{key}={value}").recipe == RecipeOverrides(**{key: value})


def test_the_middle_recipe_names_only_what_it_changes():
    values = yaml.safe_load((CONF / "recipe/middle.yaml").read_text())
    assert {key for key, neutral in Recipe.neutral().items() if values.get(key) == neutral} == set()
    assert load_candidate("timm:resnet18", values).recipe == Recipe.from_dict(values).to_dict()


@pytest.mark.parametrize("option", ["fbnetv1", "fbnetv1_paper", "fbnetv2", "fbnetv2_paper"])
def test_a_supernet_s_networks_are_trained_by_the_middle_recipe(option):
    middle = yaml.safe_load((CONF / "recipe/middle.yaml").read_text())
    method = settings_of("search", f"method={option}").method
    assert method.recipe == Recipe(**middle)
    if option in ("fbnetv1", "fbnetv2"):  # whose other keys are the defaults of their classes
        assert method == type(method)(name=option, recipe=method.recipe)


def test_a_candidate_may_name_its_recipe(tmp_path):
    file = tmp_path / "mine.yaml"
    values = load_candidate("fbnetv3_a").to_dict()
    middle = yaml.safe_load((CONF / "recipe/middle.yaml").read_text())
    for recipe, wanted in (("middle", middle), ({"lr": 1, "optimizer": "sgd"}, {"lr": 1.0, "optimizer": "sgd"})):
        file.write_text(yaml.safe_dump(values | {"recipe": recipe}))
        assert load_candidate(str(file)).recipe == Recipe(**wanted).to_dict()
        changed = load_candidate(str(file), {"dropout": 0.5}).recipe
        assert changed == Recipe(**(wanted | {"dropout": 0.5})).to_dict()
    file.write_text(yaml.safe_dump(values | {"recipe": "midle"}))
    with pytest.raises(UserError) as error:
        load_candidate(str(file))
    assert str(error.value) == (
        f"{file}: recipe: midle is not in conf/recipe; give the recipe's keys, or one of middle"
    )
    file.write_text(yaml.safe_dump(values | {"recipe": {"lr": 0.1, "mixup": 0.1}}))
    with pytest.raises(UserError, match=r"mine.yaml: recipe.optimizer: missing, and there is no default"):
        load_candidate(str(file))


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "candidates").iterdir()))
def test_published_candidates_are_valid(name, fbnetv3_recipes):
    candidate = load_candidate(name)
    fbnetv3_recipes.locate(candidate.recipe)
    assert len(candidate.architecture["stages"]) == (5 if name.startswith("fbnetv2") else 7)
