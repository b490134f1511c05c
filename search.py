"""Search architectures and their training recipes jointly: `python search.py constraint=flops_600m`."""

import hydra
from omegaconf import DictConfig

from nars.configuration import run_script, settings_from
from nars.settings import SearchSettings
from nars.study.outcomes import Result
from nars.sweep import in_sweep, run_job

SHARED = {}  # what the jobs of a sweep share that run in this process


@hydra.main(version_base="1.3", config_path="conf", config_name="search")
def main(config: DictConfig) -> float | None:
    """Compose, check, search."""
    return run_job(lambda: search(settings_from(config, SearchSettings)))


def search(settings: SearchSettings) -> Result | None:
    """The answer, also if it is known from an earlier run; None of a dry run.

    A known answer that W&B is to be shown and has not been is searched for again, which trains nothing.
    """
    from nars.console import open_console
    from nars.reporting.screen.presentation import present_known
    from nars.study.answers import known_answer
    from nars.wandb_run import has_run

    console = open_console()
    known = None if settings.dry_run else known_answer(settings)
    if known is not None and (settings.logger.wandb is None or has_run(known.study, f"search-{known.folder.name}")):
        present_known(known, console, in_sweep=in_sweep())
        return known.result
    from nars.commands.search import Search  # torch is imported here, after the settings have been checked

    return Search(settings=settings, console=console, memory=SHARED if in_sweep() else None).run()


if __name__ == "__main__":
    run_script(main, SearchSettings)
