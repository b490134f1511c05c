"""Commands for the next step, with all that is otherwise than the defaults of the script they run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import yaml
from pydantic import TypeAdapter

from nars.files import CONF, NumberLoader
from nars.options import options_of, stated
from nars.settings import ExportSettings, SearchSettings, TrainSettings
from nars.shell import command, literal, override, word
from nars.study.answers import Run

SETTINGS = {
    "train": TrainSettings,
    "search": SearchSettings,
    "export": ExportSettings,
}  # of the scripts that take a next step


def train_command(run: Run, rank: int) -> str:
    """Trains answer `rank` of a search as its candidates were trained, into the same study."""
    place = {"study": run.study.name, "runs_dir": str(run.study.parent)}
    return command("train.py", override("candidate", run.answer_file(rank)), *differing("train", _trained(run) | place))


def _trained(run: Run) -> dict:
    """The settings of a search with those that its candidates were trained with: of a ledger's, what it tells."""
    settings, ledger = run.summary.settings, run.summary.ledger
    if ledger is None:
        return settings
    of_images = {key: value for key, value in settings.items() if key not in ("data", "protocol")}
    return of_images | ledger.settings | {"trainer": settings["trainer"] | ledger.settings.get("trainer", {})}


def differing(script: str, given: Mapping) -> list[str]:
    """Words of a command line that give a script the settings `given`, plain containers, where its own defaults are
    others. What the script does not know is passed over."""
    conf = _read(f"{script}.yaml")
    groups = {group: option for entry in conf["defaults"] if isinstance(entry, dict) for group, option in entry.items()}
    words = []
    for key in SETTINGS[script].model_fields:
        if key in given and key in groups:
            default = str(groups[key]).replace("${data}", given.get("data", {}).get("name", "digits"))
            words += _group_words(script, key, default, dict(_leaves(given[key])))
        elif key in given and key in conf:
            known = dict(_leaves({key: conf[key]}))
            words += [word(name, _written(v)) for name, v in _leaves({key: given[key]}) if known.get(name) != v]
    return words


def _group_words(script: str, group: str, default: str, wanted: Mapping) -> Iterator[str]:
    """The option of a group that is nearest to what is wanted, unless it is the default, and what it leaves
    otherwise."""
    others = [option for option in options_of(group) if option != default]
    options = {option: _option(script, group, option) for option in (default, *others)}

    def distance(option: str) -> tuple[bool, int]:
        values = options[option].values
        return values.get("name") != wanted.get("name"), len(_others(wanted, values))

    best = min(options, key=distance)  # of equals the first, so the default if it is one
    if best != default:
        yield word(group, best)
    for key in _others(wanted, options[best].values):
        if key in options[best].values or key in options[best].stated:
            new = "" if key in options[best].stated else "++"  # Hydra's for a key that its files do not have
            yield word(f"{new}{group}.{key}", _written(wanted[key]))


def _others(wanted: Mapping, known: Mapping) -> list[str]:
    return [key for key, value in wanted.items() if key not in known or known[key] != value]


class Option(NamedTuple):
    """All values of an option of a group by full key, and the keys that its file states."""

    values: Mapping
    stated: frozenset[str]


@cache
def _option(script: str, group: str, option: str) -> Option:
    values = stated(group, option)
    settings = TypeAdapter(SETTINGS[script].model_fields[group].annotation)
    whole = settings.validate_json(json.dumps(values)).model_dump(mode="json")
    return Option(dict(_leaves(whole)), frozenset(dict(_leaves(values))))


def _read(name: str) -> dict:
    return yaml.load((CONF / name).read_text(encoding="utf-8"), Loader=NumberLoader)


def _leaves(values: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _written(value) -> str:
    """How Hydra's grammar writes a value."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)
