"""Prepare image files for fast training: `python prepare_data.py data=folder data.root=/my/images output=/prepared`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import one_line_errors, run_script, settings_from
from nars.settings import PrepareSettings


@hydra.main(version_base="1.3", config_path="conf", config_name="prepare_data")
def main(config: DictConfig) -> None:
    """Compose, check, prepare."""
    with one_line_errors():
        settings = settings_from(config, PrepareSettings)

        from rich.console import Console

        from nars.commands.prepare import prepare_data  # torch is imported here, after the settings have been checked

        prepare_data(settings, Console())


if __name__ == "__main__":
    run_script(main)
