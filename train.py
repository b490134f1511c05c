"""Train one candidate: `python train.py candidate=runs/digits/answers/macs-max-600M/best-1.yaml`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import one_line_errors, run_script, settings_from
from nars.settings import TrainSettings


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Compose, check, train."""
    with one_line_errors():
        settings = settings_from(config, TrainSettings)

        from rich.console import Console

        from nars.final_training import train_candidate  # torch is imported here, after the settings have been checked

        train_candidate(settings, Console())


if __name__ == "__main__":
    run_script(main)
