"""The options of the groups in conf/: their names, and what their files say."""

from pathlib import Path

import yaml

from nars.errors import UserError
from nars.files import CONF, NumberLoader


def options_of(group: str) -> list[str]:
    """The options of a group, by name."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def stated(group: str, option: str) -> dict:
    """What the file of an option says, with what it is based on; UserError if the group has no such option.

    `option` is a name in conf/<group>, or the path of a YAML file of one's own.
    """
    path = Path(option) if Path(option).suffix in (".yaml", ".yml") else CONF / group / f"{option}.yaml"
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=NumberLoader)
    except OSError:
        names = ", ".join(options_of(group))
        raise UserError(f"{group}={option}: no such file; give a YAML file, or one of {names}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict | None):
        raise UserError(f"{path}: holds no keys; see {CONF / group} for what such a file says")
    values, parts = values or {}, []
    for base in values.get("defaults", ()):
        if base != "_self_":
            parts.append(stated(group, base.removeprefix(f"/{group}/").partition("@")[0]))
    return {key: value for part in [*parts, values] for key, value in part.items() if key != "defaults"}
