"""Ledgers for studies that train nothing: the records that a predictor can learn from."""

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nars.configuration import settings_from
from nars.files import CONF
from nars.methods.usable_records import UsableRecords, usable_records
from nars.problem import Problem
from nars.settings import SearchSettings

SPACES = ("search_space=fbnetv3_micro", "recipe_space=fbnetv3_micro")  # of the ledger that is shipped
SHIPPED = "experiments/natural_images"


def opened(records: str, overrides: tuple[str, ...] = SPACES) -> tuple[Problem, UsableRecords]:
    """The ledger of a file or of a study's folder, as `search.py records=...` takes it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("search", overrides=["constraint=none", *overrides])
    OmegaConf.update(config, "records", records)
    settings = settings_from(config, SearchSettings)
    problem = Problem.of(settings)
    return problem, usable_records(settings, problem)
