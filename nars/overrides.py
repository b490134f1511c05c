"""Words of the command line before Hydra reads them: what is a text stays one, whatever it holds.

Hydra's grammar has no accents, tildes or lone brackets, takes 2012 for a number and a, b for a sweep. Keys of paths and
names mean text as it is written, so their values are quoted here where Hydra would refuse them or take them otherwise.
"""

import os
from collections.abc import Iterator, Sequence
from types import NoneType

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from pydantic import BaseModel

from nars.errors import UserError
from nars.settings import Settings
from nars.settings.keys import kinds_of
from nars.shell import quoted

OF_HYDRA = {"hydra.run.dir": False, "hydra.sweep.dir": False}  # its folders, with ~ as ours have it
FUNCTIONS = (ValueType.CHOICE_SWEEP, ValueType.GLOB_CHOICE_SWEEP, ValueType.RANGE_SWEEP, ValueType.INTERVAL_SWEEP)


def with_texts_quoted(arguments: Sequence[str], settings_class: type[Settings]) -> list[str]:
    """The arguments of a script, with the values of its text keys such that Hydra reads them as they are written.

    What Hydra can read as a text stays: its quotes, its backslashes, `${...}`; so do null where a key may be null, and
    its functions (`choice(...)`). With -m, commas part the values of a sweep; without, they belong to the text.
    UserError for bytes that are no text.
    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            raise UserError(f"{argument!a}: holds bytes that are no UTF-8; rename the file, or set a UTF-8 locale")
    keys = text_keys(settings_class) | OF_HYDRA
    sweep = any(argument == "-m" or argument.startswith("--m") for argument in arguments)
    return [_with_text_quoted(argument, keys, sweep=sweep) for argument in arguments]


def text_keys(settings_class: type[Settings]) -> dict[str, bool]:
    """Full names of the keys whose values are texts, in every option of a group that has them, and whether each may be
    null."""
    kinds: dict[str, set] = {}
    for name, some in _kinds(settings_class, ""):
        kinds.setdefault(name, set()).update(some)
    return {name: NoneType in some for name, some in kinds.items() if some - {NoneType} == {str}}


def _kinds(settings_class: type[BaseModel], prefix: str) -> Iterator[tuple[str, set]]:
    for name, field in settings_class.model_fields.items():
        kinds = kinds_of(field.annotation)
        yield f"{prefix}{name}", kinds
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _kinds(kind, f"{prefix}{name}.")


def _with_text_quoted(argument: str, keys: dict[str, bool], *, sweep: bool) -> str:
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if not equals or name not in keys:
        return argument
    if name in OF_HYDRA:
        value = os.path.expanduser(value)
    texts = _swept(value) if sweep else [value]
    return f"{key}={','.join(text if _is_text(text, optional=keys[name]) else quoted(text) for text in texts)}"


def _swept(value: str) -> list[str]:
    """The values between the commas of a sweep; a comma within what Hydra reads as one value parts nothing."""
    pieces, values = value.split(","), []
    while pieces:
        whole = (n for n in range(1, len(pieces) + 1) if _element(",".join(pieces[:n])) is not None)
        n = next(whole, 1)
        values.append(",".join(pieces[:n]).strip())
        del pieces[:n]
    return values


def _is_text(value: str, *, optional: bool) -> bool:
    """Whether Hydra reads the value as a text, as null where that is allowed, or as a function of its own."""
    override = _element(value)
    if override is None:
        return False
    if override.value_type in FUNCTIONS:
        return True
    text = override.value()
    return (text is None and optional) or (isinstance(text, str) and value == value.strip())


def _element(value: str) -> Override | None:
    """What Hydra reads as one value; None if it cannot, or would take it for several."""
    try:
        override = OverridesParser.create().parse_override(f"key={value}")
    except HydraException:
        return None
    return None if override.value_type == ValueType.SIMPLE_CHOICE_SWEEP else override
