"""Train a detector on a candidate's network, `python detect.py candidate=...`, measure one, or use it on photos."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.errors import UserError
from nars.settings import DetectSettings
from nars.study.outcomes import Result
from nars.sweep import in_sweep, run_job


@hydra.main(version_base="1.3", config_path="conf", config_name="detect")
def main(config: DictConfig) -> float | None:
    """Compose, check, train, evaluate or predict."""
    return run_job(lambda: detect(settings_from(config, DetectSettings)))


def detect(settings: DetectSettings) -> Result | None:
    """What was trained or measured."""
    if in_sweep() and settings.trainer.devices > 1:
        raise UserError(
            f"trainer.devices={settings.trainer.devices} in a sweep (-m), whose jobs train on one device each; give "
            "one command per job"
        )
    from nars.console import open_console

    if settings.mode == "train":
        from nars.commands.detect import train_detector  # torch is imported here, after the settings' check

        return train_detector(settings, open_console())
    from nars.commands.detections import evaluate_detector, predict

    if settings.mode == "evaluate":
        return evaluate_detector(settings, open_console())
    predict(settings, open_console())
    return None


if __name__ == "__main__":
    run_script(main, DetectSettings)
