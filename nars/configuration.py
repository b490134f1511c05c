"""From a composed Hydra configuration to settings, for the three scripts."""

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, MissingMandatoryValue

from nars.errors import UserError
from nars.settings import SettingsType, parse


def settings_from(config: DictConfig, settings_class: type[SettingsType]) -> SettingsType:
    """Settings of a script; UserError for a key that must be given and was not, or any invalid value."""
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: must be given on the command line: {error.full_key}=...") from None
    except InterpolationKeyError as error:
        raise UserError(str(error).splitlines()[0]) from None
    return parse(settings_class, values)
