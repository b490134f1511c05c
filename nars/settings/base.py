"""What all settings have in common: strict, frozen values, and errors in one line."""

import json
import os
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from nars.errors import UserError
from nars.settings.keys import keys_of, nearest_key


class Settings(BaseModel):
    """Base: frozen, no unknown keys, no silent type conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


SettingsType = TypeVar("SettingsType", bound=Settings)

TOGETHER = "together"  # type of pydantic's errors that speak of several keys, and of what was given for them
Fraction = Annotated[float, Field(ge=0, lt=1)]
ClosedFraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
PathText = Annotated[str, AfterValidator(os.path.expanduser)]


def later(neutral, **limits):
    """A key that came later: left out of files and hashes while neutral, so that those from before it hold. Where the
    `default` is another, whoever reads files of settings says the neutral value for what they leave out."""
    return Field(**{"default": neutral} | limits, exclude_if=lambda value: value == neutral)


def parse(settings_class: type[SettingsType], values: dict, *, where: str = "") -> SettingsType:
    """Settings of `settings_class` from plain containers (dict, list, scalars); `where` goes before key names.

    Raises UserError with one line: the key's full path, what was given and what is allowed.
    """
    try:
        # Through JSON, because strict mode then takes lists for tuples but still no "3" for 3.
        return settings_class.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise UserError(_one_line(error, settings_class, values, where)) from None
    except TypeError as error:
        raise UserError(f"{where or settings_class.__name__}: {error}") from None


def _one_line(error: ValidationError, settings_class: type[Settings], values, where: str) -> str:
    problems = error.errors(include_url=False)
    problem = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path = _path(problem, values, where)
    others = {_path(p, values, where) for p in problems} - {path}
    more = f" (and {len(others)} more)" if others else ""
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(settings_class.model_fields) if len(problem["loc"]) == 1 else "see conf/"
        meant = nearest_key(path, keys_of(settings_class, f"{where}." if where else ""))
        return f"{path}: unknown key; " + (f"did you mean {meant}? " if meant else "") + f"allowed: {allowed}{more}"
    if problem["type"] == "missing":
        return f"{path}: missing, and there is no default{more}"
    message = problem["msg"].removeprefix("Value error, ")
    if sum(p["loc"][:-1] == problem["loc"][:-1] for p in problems) > 1 and problem["loc"][-1] == "bool":
        message = "Input should be a number, text, true or false"  # pydantic tells each of the four apart
    given = "" if problem["type"] == TOGETHER else f", given {problem['input']!r}"
    return f"{path or settings_class.__name__}: {message}{given}{more}"


def _path(problem: dict, values, where: str) -> str:
    """Full path of a key as it is written in YAML: pydantic's, without the tags of unions that it puts in between."""
    path, place = [where] if where else [], values
    for part in problem["loc"]:
        if isinstance(place, dict | list) and (part in place if isinstance(place, dict) else isinstance(part, int)):
            path.append(str(part))
            place = place[part]
    if problem["type"] == "missing":
        path.append(str(problem["loc"][-1]))
    return ".".join(path)
