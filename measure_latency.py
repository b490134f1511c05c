"""Measure the latency of a space's blocks on this device: `python measure_latency.py search_space=tiny`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.settings import MeasureSettings
from nars.sweep import run_job


@hydra.main(version_base="1.3", config_path="conf", config_name="measure_latency")
def main(config: DictConfig) -> None:
    """Compose, check, measure."""
    run_job(lambda: measure(settings_from(config, MeasureSettings)))


def measure(settings: MeasureSettings) -> None:
    """Measure what is not there yet."""
    from nars.commands.latency import measure_latency  # torch is imported here, after the settings have been checked
    from nars.console import open_console

    measure_latency(settings, open_console())


if __name__ == "__main__":
    run_script(main, MeasureSettings)
