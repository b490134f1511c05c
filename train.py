"""Train one candidate, `python train.py candidate=.../best-1.yaml`, or measure weights."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.errors import UserError
from nars.settings import TrainSettings
from nars.study.outcomes import Result
from nars.sweep import in_sweep, run_job


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    """Compose, check, train or evaluate."""
    return run_job(lambda: train(settings_from(config, TrainSettings)))


def train(settings: TrainSettings) -> Result:
    """What was trained or measured."""
    if in_sweep() and settings.trainer.devices > 1:
        raise UserError(
            f"trainer.devices={settings.trainer.devices} in a sweep (-m), whose jobs train on one device each; give "
            "one command per job"
        )
    from nars.console import open_console

    if settings.mode == "evaluate":
        from nars.commands.evaluate import evaluate_weights  # torch is imported here, after the settings' check

        return evaluate_weights(settings, open_console())
    from nars.commands.train import result_of, train_candidate

    return result_of(train_candidate(settings, open_console()))


if __name__ == "__main__":
    run_script(main, TrainSettings)
