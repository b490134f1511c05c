"""Trained weights as files for other programs: `python export.py weights=.../weights.safetensors format=onnx`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.settings import ExportSettings
from nars.sweep import run_job


@hydra.main(version_base="1.3", config_path="conf", config_name="export")
def main(config: DictConfig) -> None:
    """Compose, check, export."""
    run_job(lambda: export(settings_from(config, ExportSettings)))


def export(settings: ExportSettings) -> None:
    """Write every format, and measure it."""
    from nars.commands.export import export_weights  # torch is imported here, after the settings have been checked
    from nars.console import open_console

    export_weights(settings, open_console())


if __name__ == "__main__":
    run_script(main, ExportSettings)
