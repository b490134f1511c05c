"""Words of a command line that cannot be meant as they stand, and what was probably meant."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from itertools import pairwise

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from nars.errors import UserError
from nars.files import CONF
from nars.options import options_of
from nars.settings import Settings
from nars.settings.keys import keys_of

TAKES_A_WORD = ("--cfg", "-c", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd", "--package", "-p")
TAKES_A_WORD += ("--info", "-i", "--experimental-rerun")
SEVERAL = ("constraint", "logger", "format")  # groups and keys of which several options go together
LIMIT = re.compile(r"(constraint|strategy\.window)\.(min|max)_\w+")
SHORT_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG])")
POWERS = {"k": "e3", "m": "e6", "g": "e9"}


def groups_of(settings_class: type[Settings]) -> list[str]:
    """The groups of a script, by name."""
    own = set(settings_class.model_fields) | ({"experiment"} if "strategy" in settings_class.model_fields else set())
    return sorted(group for group in own if (CONF / group).is_dir())


def nearest_option(group: str, given: str) -> str | None:
    """What to say of an option that a group does not have; None if nothing is near."""
    if group == "constraint" and (number := re.search(r"\d+(?:\.\d+)?\s*[kmgKMG]?", given)):
        if "latency" in given or given.endswith("ms"):
            return f"a limit of your own is a key: constraint.max_latency_ms={number.group().rstrip(' mM')}"
        cost = "params" if "param" in given else "macs"
        return f"a limit of your own is a key: constraint.max_{cost}={number.group().replace(' ', '')}"
    similar = get_close_matches(given, options_of(group), n=1, cutoff=0.6)
    return f"did you mean {group}={similar[0]}?" if similar else None


def with_short_numbers(arguments: Sequence[str]) -> list[str]:
    """The arguments, with limits such as constraint.max_macs=600M as numbers."""
    return [_with_short_numbers(argument) for argument in arguments]


def _with_short_numbers(argument: str) -> str:
    key, equals, value = argument.partition("=")
    if not equals or not LIMIT.fullmatch(key.lstrip("+")):
        return argument
    numbers = [SHORT_NUMBER.fullmatch(text.strip()) for text in value.split(",")]
    if not all(numbers):
        return argument
    return f"{key}={','.join(number[1] + POWERS[number[2].lower()] for number in numbers)}"


def check_words(arguments: Sequence[str], settings_class: type[Settings]) -> None:
    """UserError for a word that cannot be meant as it stands, with what was probably meant."""
    groups, keys = groups_of(settings_class), keys_of(settings_class)
    sweep = any(argument == "-m" or argument.startswith("--m") for argument in arguments)
    given: dict[str, str] = {}
    for before, word in zip(["", *arguments], arguments, strict=False):
        if before in TAKES_A_WORD:
            continue
        if word.startswith("-"):
            _check_dashes(word, arguments, [*groups, *keys])
        elif "=" not in word and not word.startswith("~"):
            raise UserError(_not_a_setting(before, word, groups))
        elif "=" in word:
            key, _, value = word.partition("=")
            _check_setting(key, value, groups, sweep=sweep)
            if key in groups and key in given:
                raise UserError(_given_twice(key, given[key], value))
            given[key] = value


def _check_dashes(word: str, arguments: Sequence[str], names: Sequence[str]) -> None:
    name, _, value = word.lstrip("-").partition("=")
    if name in names:
        following = [after for before, after in pairwise(arguments) if before == word]
        value = value or next((after for after in following if "=" not in after), "...")
        raise UserError(f"{word}: settings have no dashes; write {name}={value}")


def _not_a_setting(before: str, word: str, groups: Sequence[str]) -> str:
    if before.count("[") > before.count("]"):
        key, _, value = before.partition("=")
        return f"{before}: the shell parts a list at spaces; write '{key}={value}{word}' in quotes, without spaces"
    owners = [group for group in groups if word in options_of(group)]
    if owners:
        return f"{word}: a setting is key=value; did you mean {owners[0]}={word}?"
    similar = [(group, option) for group in groups for option in get_close_matches(word, options_of(group), n=1)]
    meant = f"; did you mean {similar[0][0]}={similar[0][1]}?" if similar else ""
    return f"{word}: a setting is key=value, such as constraint=flops_600m or seed=1{meant}"


def _check_setting(key: str, value: str, groups: Sequence[str], *, sweep: bool) -> None:
    try:
        override = OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        if value.count("[") > value.count("]"):  # said of the word that follows, if there is one
            return
        raise UserError(
            f"{key}={value}: cannot be read; put text with brackets, commas or colons in quotes: '{key}=\"{value}\"'"
        ) from None
    if key in ("hydra/launcher", "hydra/sweeper"):
        _check_plugin(key, value)
    if override.is_sweep_override() and not sweep:
        both = f", or '{key}=[{value}]' for all of them together" if key in SEVERAL else ""
        raise UserError(f"{key}={value}: several values; add -m for a job of each{both}")


def _check_plugin(key: str, option: str) -> None:
    """UserError if the library of a launcher or sweeper of conf/hydra is not installed."""
    file = CONF / key / f"{option}.yaml"
    if not file.is_file():
        return
    text = file.read_text()
    module = ".".join(yaml.safe_load(text)["_target_"].split(".")[:2])
    try:
        installed = find_spec(module) is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        requirements = re.search(r"requirements-[\w-]+\.txt", text.replace("\n# ", " "))
        raise UserError(f"{key}={option}: not installed; pip install -r {requirements.group()}")


def _given_twice(group: str, first: str, second: str) -> str:
    both = f"; for both: '{group}=[{first},{second}]'" if group in SEVERAL else ""
    return f"{group}: given twice, {first} and {second}; leave one out{both}"
