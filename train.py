"""Train one candidate, `python train.py candidate=.../best-1.yaml`, or measure weights."""

import hydra
from omegaconf import DictConfig

from nars.configuration import one_line_errors, run_script, settings_from
from nars.settings import TrainSettings


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Compose, check, train or evaluate."""
    with one_line_errors():
        settings = settings_from(config, TrainSettings)

        from rich.console import Console

        from nars.final_training import evaluate_weights, train_candidate  # torch only after the settings are checked

        (train_candidate if settings.mode == "train" else evaluate_weights)(settings, Console())


if __name__ == "__main__":
    run_script(main)
