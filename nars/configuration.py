"""From the command line to settings, for the scripts: what Hydra composes, and its errors in one line."""

import os
import re
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, MissingMandatoryValue, OmegaConfBaseException

from nars.advice import check_words, groups_of, nearest_option, with_short_numbers
from nars.costs.table import LIMITED
from nars.errors import UserError, disk_error
from nars.options import options_of
from nars.overrides import with_texts_quoted
from nars.settings import (
    CostLimits,
    DetectSettings,
    ExportSettings,
    FixedSpaceSettings,
    MeasureSettings,
    PrepareSettings,
    PretrainScriptSettings,
    RecipeOverrides,
    SearchSettings,
    Settings,
    SettingsType,
    TrainSettings,
    parse,
)
from nars.settings.keys import nearest_key
from nars.streams import complain, end_if_reader_is_gone, run_and_exit

BY_SCRIPT = {
    "search": SearchSettings,
    "train": TrainSettings,
    "pretrain_predictor": PretrainScriptSettings,
    "prepare_data": PrepareSettings,
    "export": ExportSettings,
    "detect": DetectSettings,
    "measure_latency": MeasureSettings,
}

OWN_IMAGES = ("folder", "prepared")
PUBLISHED_CLASSES = 1000
TRAIN = ("train", "training")

OmegaConf.register_new_resolver("home", os.path.expanduser, replace=True)  # for Hydra's own folders; ours are settings
OmegaConf.register_new_resolver(  # for help, as all that follows
    "options_of_groups",
    lambda script: "".join(f"{group}: {', '.join(options_of(group))}\n" for group in groups_of(BY_SCRIPT[script])),
    replace=True,
)
OmegaConf.register_new_resolver("limited_costs", lambda: ", ".join(LIMITED), replace=True)
OmegaConf.register_new_resolver("name_of_study", lambda *given: name_of_study(*given), replace=True)
OmegaConf.register_new_resolver("name_of_data", lambda data: name_of_data(data), replace=True)
OmegaConf.register_new_resolver("limit_of_space", lambda space: limit_of_space(space), replace=True)
OmegaConf.register_new_resolver("name_of_reference", lambda space: name_of_reference(space), replace=True)
OmegaConf.register_new_resolver("candidate_of", lambda *given: candidate_of(*given), replace=True)
OmegaConf.register_new_resolver("classes_counted", lambda *given: classes_counted(*given), replace=True)
# All keys of a recipe and all limits, null, so that files in conf/ name only what they set: Hydra refuses keys that a
# configuration does not have.
ConfigStore.instance().store(name="recipe_keys", package="recipe", node=dict.fromkeys(RecipeOverrides.model_fields))
ConfigStore.instance().store(name="cost_limits", node=dict.fromkeys(CostLimits.model_fields))
# Presets of launchers are meant to have the names of their plugins. Here, because processes of joblib warn too.
warnings.filterwarnings("ignore", message=r"\s*'hydra/(launcher|sweeper)/.*' is validated against ConfigStore")


def name_of_study(records: str | None, otherwise: str) -> str:
    """The study to which the answers of a ledger go unless they are told otherwise: called as the ledger's file, or as
    its folder where the file is called `records`."""
    if not records:
        return otherwise
    path = Path(records).expanduser().resolve()
    stem = re.sub(r"\.jsonl(\.gz)?$", "", path.name)
    name = path.parent.name if stem == "records" else stem
    return _valid_name(name) or otherwise


def name_of_data(data: DictConfig) -> str:
    """The study of some images unless it is told otherwise: called as the data, or as the folder of own images; of one
    that is called train, as the folder around it."""
    root = None if OmegaConf.is_missing(data, "root") else data.get("root")
    if not root or data.name not in OWN_IMAGES:
        return data.name
    path = Path(os.path.abspath(os.path.expanduser(str(root))))
    name = path.parent.name if path.name.lower() in TRAIN else path.name
    return _valid_name(unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()) or data.name


def limit_of_space(space: str) -> str:
    """The option of constraint= unless it is given: no limit where there is one network alone."""
    return "none" if space == "fixed" else "flops_600m"


def name_of_reference(space: DictConfig) -> str | None:
    """What answers are compared with unless told otherwise: FBNetV3-A; a network whose recipe alone is searched, with
    the recipe that it has already."""
    if "candidate" not in space:
        return "fbnetv3_a"
    return None if OmegaConf.is_missing(space, "candidate") else space.candidate


def candidate_of(weights: str | None, otherwise: str = "fbnetv3_b") -> str:
    """What is trained unless told otherwise: the network whose trained weights are begun with, by the card beside them
    or by its name in timm; without any, a released one."""
    if not weights:
        return otherwise
    card = Path(weights).expanduser().with_name("card.yaml")
    return weights if weights.startswith("timm:") or not card.is_file() else str(card)


def classes_counted(data: str, records: str | None, records_of: str | None) -> int | None:
    """How many classes costs count unless told otherwise: None, those of the images, where they are one's own; those of
    a ledger of such trainings; else as many as published networks have, with which answers are compared."""
    if not records:
        return None if data in OWN_IMAGES else PUBLISHED_CLASSES
    from nars.study.ledgers import first_origin  # imports what takes a while

    origin = first_origin(os.path.expanduser(records), records_of)
    return origin.classes if origin and origin.data.partition(" ")[0] in OWN_IMAGES else PUBLISHED_CLASSES


def _valid_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-").rstrip("-")


def run_script(main: Callable[[], None], settings_class: type[Settings]) -> NoReturn:
    """Run a `hydra.main` function of these settings; its errors and Hydra's own end as `one_line_errors` says."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors arrive here, not in Hydra's own report
    with one_line_errors():
        sys.argv[1:] = with_short_numbers(with_texts_quoted(sys.argv[1:], settings_class))
        check_words(sys.argv[1:], settings_class)
        run_and_exit(main)


def return_to_start() -> None:
    """Work in the folder where the command was started, whatever `hydra.job.chdir` says: relative paths are meant from
    there, and the jobs of a sweep share one ledger."""
    os.chdir(HydraConfig.get().runtime.cwd)


@contextmanager
def user_errors() -> Iterator[None]:
    """What the user can put right becomes a UserError of one line, whoever raised it."""
    try:
        yield
    except MissingConfigException as error:  # an OSError, too
        raise UserError(_missing_option(error)) from None
    except OSError as error:
        if disk_error(error) is None:
            raise
        raise disk_error(error) from None
    except (HydraException, OmegaConfBaseException) as error:
        no_group = re.match(r"Could not override '(?:.*/)?(\w+)'\. No match in the defaults list", str(error))
        if no_group:
            raise UserError(
                f"{no_group[1]}: this script has no such group; its --help lists those that it has"
            ) from None
        words = "; ".join(line.strip() for line in str(error).splitlines()[:2] if line.strip())
        if no_key := re.match(r"Could not override '([\w.]+)'", words):
            words = f"{no_key[1]}: this script has no such key; --cfg job lists those that it has"
        raise UserError(_unknown_key(error) or words) from None
    except RuntimeError as error:
        unknown = str(error).partition("Unknown plugin class : ")[2]
        if not unknown:
            raise
        raise UserError(
            f"{unknown}: this launcher or sweeper is not installed; its file in conf/hydra says what to install"
        ) from None
    except ValueError as error:
        if str(error).startswith("Only one of --"):  # Hydra, of its own options
            raise UserError(str(error)) from None
        if "Config group override" not in str(error):  # what Hydra says of constraint=0
            raise
        raise UserError(
            "a group takes the name of an option, not a number; limits are given as constraint.max_macs=..."
        ) from None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What the user can put right ends the program with one line and exit code 2, Ctrl-C with 130, SIGTERM with 143, a
    reader of the output that goes away (`| head`) with 141 and no line.

    Also inside `hydra.main` functions (`nars.sweep.run_job`), because Hydra announces every exception that leaves one.
    """
    try:
        with user_errors():
            yield
    except UserError as error:
        complain(f"error: {error}")
        sys.exit(2)
    except BrokenPipeError:
        end_if_reader_is_gone()
        raise
    except (KeyboardInterrupt, SystemExit) as stop:
        # Lightning turns Ctrl-C into a SystemExit, and SIGTERM into one of its own, without a code.
        terminated = type(stop).__name__ == "SIGTERMException"
        if isinstance(stop, SystemExit) and not (terminated or isinstance(stop.__context__, KeyboardInterrupt)):
            raise
        complain("\nstopped; all that was finished is kept, the same command goes on from here")
        sys.exit(143 if terminated else 130)


def _unknown_key(error: Exception) -> str | None:
    """What to say of a key that a configuration does not have; None of any other error."""
    cause = error.__cause__
    if not (isinstance(cause, ConfigAttributeError) and cause.parent_node):
        return None
    meant = nearest_key(cause.full_key, _keys_in(cause.parent_node._get_root()))
    allowed = ", ".join(key for key in cause.parent_node if key != "hydra")
    return f"{cause.full_key}: unknown key; " + (f"did you mean {meant}? " if meant else "") + f"allowed: {allowed}"


def _keys_in(config: DictConfig, prefix: str = "") -> Iterator[str]:
    """Full names of the keys of a configuration, Hydra's own left out."""
    for key in config:
        if key != "hydra":
            yield f"{prefix}{key}"
            node = config._get_node(key)
            if isinstance(node, DictConfig) and not node._is_none() and not node._is_missing():
                yield from _keys_in(node, f"{prefix}{key}.")


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    options = error.options or options_of(group)  # Hydra names none of a list
    if not (group and options):
        return str(error).splitlines()[0]
    meant = nearest_option(group, option)
    return f"{group}={option}: no such option; " + (f"{meant}; " if meant else "") + f"allowed: {', '.join(options)}"


def settings_from(config: DictConfig, settings_class: type[SettingsType]) -> SettingsType:
    """Settings of a script, in which a search space of one network says what that is; UserError for a key that must be
    given and was not, or any invalid value."""
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: must be given on the command line: {error.full_key}=...") from None
    settings = parse(settings_class, values)
    if not isinstance(settings, SearchSettings) or not isinstance(settings.search_space, FixedSpaceSettings):
        return settings
    from nars.candidates import with_architecture  # imports spaces, which others here do without

    return settings.model_copy(update={"search_space": with_architecture(settings.search_space)})
