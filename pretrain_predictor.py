"""Pretrain the predictor's encoder on free statistics: `python pretrain_predictor.py search_space=fbnetv3`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.settings import PretrainScriptSettings
from nars.sweep import run_job


@hydra.main(version_base="1.3", config_path="conf", config_name="pretrain_predictor")
def main(config: DictConfig) -> None:
    """Compose, check, pretrain."""
    run_job(lambda: pretrain(settings_from(config, PretrainScriptSettings)))


def pretrain(settings: PretrainScriptSettings) -> None:
    """Write the pretrained encoder, unless it is there."""
    from nars.commands.pretrain import pretrain_to_file  # torch is imported here, after the settings have been checked
    from nars.console import open_console

    pretrain_to_file(settings, open_console())


if __name__ == "__main__":
    run_script(main, PretrainScriptSettings)
