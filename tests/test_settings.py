"""Settings: strict, frozen, and one clear line for everything that is wrong."""

import json

import pytest
from pydantic import ValidationError

from nars.costs.table import LIMITED
from nars.errors import UserError
from nars.settings import (
    ArchitectureSpaceSettings,
    ConstraintSettings,
    DataSettings,
    FolderSettings,
    NarsSettings,
    PretrainSettings,
    ProtocolSettings,
    Range,
    Recipe,
    RecipeOverrides,
    Settings,
    StudySettings,
    TeacherSettings,
    parse,
)

PROTOCOL = {"epochs": 4, "batch_size": 16}


class Images(Settings):
    """What a script's settings look like around the data."""

    data: DataSettings


def message_of(settings_class, values, where="group") -> str:
    with pytest.raises(UserError) as error:
        parse(settings_class, values, where=where)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "group.epochs: Input should be greater than 0, given 0"),
        ({"epochs": "4"}, "group.epochs: Input should be a valid integer, given '4'"),
        ({"epochs": 4.5}, "group.epochs: Input should be a valid integer, given 4.5"),
        ({"epochs": True}, "group.epochs: Input should be a valid integer, given True"),
        ({"epochs": None}, "group.epochs: Input should be a valid integer, given None"),
        ({"batch_size": 1}, "group.batch_size: Input should be greater than or equal to 2, given 1"),
        ({"lr_decay": 1.5}, "group.lr_decay: Input should be less than or equal to 1, given 1.5"),
        ({"momentum": 1.0}, "group.momentum: Input should be less than 1, given 1.0"),
        ({"lr_decay": float("inf")}, "group.lr_decay: Input should be a finite number, given inf"),
        ({"lr_decay": float("nan")}, "group.lr_decay: Input should be a finite number, given nan"),
        (
            {"augmentation": "mirror"},
            "group.augmentation: Input should be 'none', 'standard', 'autoaugment' or 'randaugment', given 'mirror'",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_path(given, message):
    assert message_of(ProtocolSettings, PROTOCOL | given) == message


def test_an_unknown_key_is_named_with_those_allowed():
    message = message_of(PretrainSettings, {"epoch": 3})
    assert message == "group.epoch: unknown key; did you mean group.epochs? allowed: pool_size, epochs, batch_size, lr"


def test_an_unknown_key_comes_before_the_missing_one_that_it_was_meant_to_be():
    message = message_of(ProtocolSettings, {"epoch": 3, "batch_size": 8})
    assert message.startswith("group.epoch: unknown key; did you mean group.epochs? allowed: epochs, ")
    assert message.endswith(" (and 1 more)")


def test_a_missing_key_is_named():
    assert message_of(ProtocolSettings, {"epochs": 3}) == "group.batch_size: missing, and there is no default"
    assert message_of(ProtocolSettings, {"epochs": 3}, where="") == "batch_size: missing, and there is no default"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": {"max_mac": 9}}, "group.window.max_mac: unknown key"),
        ({"window": {"max_macs": -1}}, "group.window.max_macs: Input should be greater than 0, given -1"),
        ({"window": 3}, "group.window: Input should be an object, given 3"),
        ({"name": "random"}, "group.name: Input should be 'nars', given 'random'"),
        (
            {"choose": "best"},
            "group.choose: Input should be 'expected_improvement', 'improvement_per_second' or 'best_per_bin', "
            "given 'best'",
        ),
    ],
)
def test_nested_keys_have_full_paths(values, message):
    assert message_of(NarsSettings, {"name": "nars"} | values).startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"name": "digits", "val_fraction": 2}, "group.data.val_fraction: Input should be less than 1, given 2"),
        ({"name": "digits", "root": "x"}, "group.data.root: unknown key"),
        ({"name": "folder"}, "group.data.root: missing, and there is no default"),
        ({"name": "imagenet200", "root": 3}, "group.data.root: Input should be a valid string, given 3"),
        ({"name": "cifar"}, "group.data: Input tag 'cifar'"),
    ],
)
def test_alternatives_do_not_show_in_paths(data, message):
    assert message_of(Images, {"data": data}).startswith(message)


@pytest.mark.parametrize(
    ("width", "message"),
    [
        ({"low": 8, "high": "16"}, "width.high: Input should be a valid integer, given '16'"),
        ({"low": 8, "hihg": 16}, "width.hihg: unknown key"),
        ({"low": 8}, "width.high: missing, and there is no default"),
        ({"low": 8, "high": 16, "step": 0}, "width.step: Input should be greater than 0, given 0"),
        ({"low": 9, "high": 8}, "width: high must be low + a multiple of step, not 9..8 by 1, given {"),
        ({"low": 8, "high": 17, "step": 4}, "width: high must be low + a multiple of step, not 8..17 by 4, given {"),
        ({"low": 1, "high": 32_768}, "width: 32,768 choices, at most 32,767; raise step, given {"),
        ({"low": 1, "high": 10**15}, "width: 1,000,000,000,000,000 choices, at most 32,767; raise step, given {"),
        ({"same_as": "stem"}, "width.same_as: String should match pattern"),
        ({"same_as": "stage1", "step": 4}, "width.step: unknown key"),
        ([], "width: Tuple should have at least 1 item"),
        ([8, None], "width.1: Input should be a number, text, true or false, given None"),
        (None, "width: Input should be a number, text, true or false, given None"),
    ],
)
def test_an_error_in_choices_speaks_of_the_kind_that_was_meant(conf, width, message):
    values = conf("search_space", "tiny")
    values["stages"][1]["width"] = width
    assert message_of(ArchitectureSpaceSettings, values).startswith(f"group.stages.1.{message}")


@pytest.mark.parametrize("removed", ["expansion_first", "expansion_rest", "kernel_first"])
def test_half_a_pair_is_refused(conf, removed):
    values = conf("search_space", "tiny")
    del values["stages"][1][removed]
    key = removed.split("_")[0]
    expected = f"group.stages.1: give either {key}, or both {key}_first and {key}_rest, given"
    assert message_of(ArchitectureSpaceSettings, values).startswith(expected)


def test_two_spellings_at_once_are_refused(conf):
    values = conf("search_space", "tiny")
    values["stages"][1]["kernel"] = 3
    assert "give either kernel, or both kernel_first and kernel_rest" in message_of(ArchitectureSpaceSettings, values)


@pytest.mark.parametrize("cost", LIMITED)
def test_crossed_limits_are_refused(cost):
    values = {f"min_{cost}": 5e8, f"max_{cost}": 4e8}
    assert message_of(ConstraintSettings, values).startswith(f"group: min_{cost} is above max_{cost}, given ")
    assert parse(ConstraintSettings, {f"min_{cost}": 4e8, f"max_{cost}": 4e8})
    assert message_of(ConstraintSettings, values, where="").startswith("ConstraintSettings: min_")


def test_what_is_no_json_is_refused():
    assert "not JSON serializable" in message_of(ConstraintSettings, {"max_macs": {1, 2}})


def test_settings_cannot_be_changed():
    settings = parse(ProtocolSettings, PROTOCOL)
    with pytest.raises(ValidationError, match="frozen"):
        settings.epochs = 5


def test_whole_numbers_are_taken_for_real_ones_and_no_others():
    assert parse(ConstraintSettings, {"max_macs": 600_000_000}).max_macs == 6e8
    assert message_of(ConstraintSettings, {"num_classes": 10.0}).startswith("group.num_classes: ")


def test_settings_come_back_from_json(conf):
    space = parse(ArchitectureSpaceSettings, conf("search_space", "fbnetv3"))
    assert parse(ArchitectureSpaceSettings, json.loads(space.model_dump_json(exclude_none=True))) == space
    assert parse(Range, {"low": 20, "high": 30, "unit": 1e-3}).unit == 0.001


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse(FolderSettings, {"name": "folder", "root": "~/images"}).root == "/home/me/images"
    assert parse(StudySettings, {"study": "s", "runs_dir": "~/runs"}).runs_dir == "/home/me/runs"
    assert parse(TeacherSettings, {"weights": "~/w.safetensors"}).weights == "/home/me/w.safetensors"


def test_what_a_recipe_may_be_holds_for_single_keys_too():
    assert RecipeOverrides.model_fields.keys() == Recipe.model_fields.keys()
    assert parse(RecipeOverrides, {"lr": None}) == RecipeOverrides()
    for key, value in {"lr": 0.0, "optimizer": "adam", "ema": 1, "dropout": 1.0, "mixup": -0.1}.items():
        message = message_of(RecipeOverrides, {key: value})
        assert message.startswith(f"group.{key}: Input should be")
