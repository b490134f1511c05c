"""Pretrain the predictor's encoder on free statistics: `python pretrain_predictor.py search_space=fbnetv3`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import one_line_errors, run_script, settings_from
from nars.settings import PretrainScriptSettings


@hydra.main(version_base="1.3", config_path="conf", config_name="pretrain_predictor")
def main(config: DictConfig) -> None:
    """Compose, check, pretrain."""
    with one_line_errors():
        settings = settings_from(config, PretrainScriptSettings)

        from rich.console import Console

        from nars.commands.pretrain import (
            pretrain_to_file,  # torch is imported here, after the settings have been checked
        )

        pretrain_to_file(settings, Console())


if __name__ == "__main__":
    run_script(main)
