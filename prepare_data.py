"""Prepare image files for fast training: `python prepare_data.py data=folder data.root=/my/images output=/prepared`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.settings import PrepareSettings
from nars.sweep import run_job


@hydra.main(version_base="1.3", config_path="conf", config_name="prepare_data")
def main(config: DictConfig) -> None:
    """Compose, check, prepare."""
    run_job(lambda: prepare(settings_from(config, PrepareSettings)))


def prepare(settings: PrepareSettings) -> None:
    """Make what of the prepared folder is not there yet."""
    from nars.commands.prepare import prepare_data  # torch is imported here, after the settings have been checked
    from nars.console import open_console

    prepare_data(settings, open_console())


if __name__ == "__main__":
    run_script(main, PrepareSettings)
