"""Search architectures and their training recipes jointly: `python search.py constraint=flops_600m`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import one_line_errors, run_script, settings_from
from nars.settings import SearchSettings


@hydra.main(version_base="1.3", config_path="conf", config_name="search")
def main(config: DictConfig) -> None:
    """Compose, check, search."""
    with one_line_errors():
        settings = settings_from(config, SearchSettings)

        from rich.console import Console

        from nars.pipeline import Search  # torch is imported here, after the settings have been checked

        Search(settings=settings, console=Console()).run()


if __name__ == "__main__":
    run_script(main)
