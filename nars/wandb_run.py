"""Weights & Biases runs that never stop the work they show: what W&B raises ends a run's tracking and is noted."""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from nars.settings import Recipe, WandbSettings

INIT_SECONDS = 30  # to wait for the server
FINISH_SECONDS = 60  # to wait for uploads at the end of a run; what is left can be synced
# What W&B may know from the environment: who uploads whereto and how, where W&B keeps its own files, and labels. The
# entity counts where `logger.wandb.entity` is null.
OF_THE_ENVIRONMENT = {
    f"WANDB_{name}"
    for name in (
        *("API_KEY", "IDENTITY_TOKEN_FILE", "CREDENTIALS_FILE", "ENTITY", "USERNAME", "USER_EMAIL"),
        *("BASE_URL", "APP_URL", "INSECURE_DISABLE_SSL", "HTTP_TIMEOUT", "FILE_PUSHER_TIMEOUT"),
        *("CACHE_DIR", "CONFIG_DIR", "DATA_DIR", "ARTIFACT_DIR", "TAGS", "NOTES", "HOST"),
        *("DISABLE_GIT", "DISABLE_CODE", "ERROR_REPORTING"),
    )
}


class WandbRun:
    """The run `key` of a study, in the folder wandb/ of the study's; with `settings` None nothing happens.

    A server that cannot be reached makes the run an offline one, and those that begin after it. An offline run holds
    all from the beginning, because what is resumed logs again what it knows: so an earlier one of the same key is
    removed.
    """

    def __init__(
        self, settings: WandbSettings | None, study: Path, *, key: str, name: str, job_type: str, config: Mapping
    ):
        self.study = study
        self.offline = settings is not None and (settings.offline or problem(study) is not None)
        self._run = None
        if settings is None:
            return
        values = {
            "id": f"{study.name}-{key}",
            "name": name,
            "group": study.name,
            "job_type": job_type,
            "config": dict(config),
        }
        values |= {"project": settings.project, "entity": settings.entity}
        self._begin(values)
        if self._run is None and not self.offline:
            self.offline = True
            self._begin(values)

    def _begin(self, values: dict) -> None:
        try:
            (self.study / "wandb").mkdir(parents=True, exist_ok=True)
            import wandb

            _leave_the_rest_of_the_environment()
            wandb.setup(wandb.Settings(silent=True))
            if self.offline:
                for old in (self.study / "wandb").glob(f"offline-run-*-{values['id']}"):
                    shutil.rmtree(old)
            self._run = wandb.init(
                **values,
                dir=self.study,
                mode="offline" if self.offline else "online",
                resume=None if self.offline else "allow",
                reinit="create_new",
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    init_timeout=INIT_SECONDS,
                    finish_timeout=FINISH_SECONDS,
                    finish_timeout_raises=True,
                ),
            )
        except Exception as error:  # whatever it is: a training of days must not end with its dashboard
            self._give_up(error)

    def log(self, row: Mapping, step: int | None = None) -> None:
        """Log a row of scalars at `step`, where a run that goes on at the server passes over the steps it has; or at
        the next one."""
        self._try(lambda run: run.log(dict(row), step=step, commit=True))

    def define_axis(self, axis: str) -> None:
        """Show everything named `<axis>/...` over `axis`."""
        self._try(lambda run: run.define_metric(f"{axis}/*", step_metric=axis))

    def summarise(self, values: Mapping) -> None:
        """Set values of the run's summary; None is left out."""
        self._try(lambda run: run.summary.update({k: v for k, v in values.items() if v is not None}))

    def tables(self, tables: Mapping[str, Sequence[Mapping]]) -> None:
        """Log tables by name, each a sequence of rows."""
        self._try(lambda run: run.log({name: _table(rows) for name, rows in tables.items()}, commit=True))

    def use(self, name: str, kind: str, files: Sequence[Path]) -> None:
        """Say that the run works with these files; W&B knows an artifact by name and content, whoever made it."""
        # What Run.use_artifact does with a new artifact; itself it refuses to work offline.
        used = {"is_user_created": True, "use_after_commit": True}
        self._try(lambda run: run._log_artifact(_artifact(name, kind, files), **used))

    def give(self, name: str, kind: str, files: Sequence[Path]) -> None:
        """Say that the run made these files."""
        self._try(lambda run: run.log_artifact(_artifact(name, kind, files)))

    def __enter__(self) -> "WandbRun":
        return self

    def __exit__(self, kind, *exception) -> None:
        """End the run and say whether the work failed."""
        self._try(lambda run: run.finish(exit_code=int(kind is not None)))
        self._run = None

    def _try(self, action: Callable) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # as above
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Keep the reason where `problem` finds it, also from another process, and end W&B's own process.

        It would keep the run in use, or, dead already, be mourned with a traceback at exit.
        """
        self._run = None
        with suppress(Exception):
            import wandb

            wandb.teardown()
        reason = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
        with suppress(OSError), open(_problems(self.study), "a", encoding="utf-8") as file:  # the ledger tells of disks
            file.write(f"{type(error).__name__}: {reason}\n")


def has_run(study: Path, key: str) -> bool:
    """Whether W&B was shown the run `key` of a study from this folder, uploaded or not."""
    return any(study.glob(f"wandb/*run-*-{study.name}-{key}"))


def problem(study: Path) -> str | None:
    """Why runs of the study are offline or incomplete: the first reason since `forget_problems`, or None."""
    with suppress(OSError):
        return _problems(study).read_text(encoding="utf-8").partition("\n")[0]
    return None


def forget_problems(study: Path) -> None:
    """Begin anew with `problem`."""
    _problems(study).unlink(missing_ok=True)


@cache
def _leave_the_rest_of_the_environment() -> None:
    """Take W&B's variables from the environment of this process and those it starts, but for `OF_THE_ENVIRONMENT`.

    An agent's would give all runs of a search one id and one sweep, others their folder, group or mode: what a run is
    follows from our settings. A service of the parent's would hold the run of a killed process in use, and the next try
    could not have it.
    """
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        if name not in OF_THE_ENVIRONMENT and not name.startswith(("WANDB_X_", "WANDB__")):  # W&B's inner workings
            del os.environ[name]


def _problems(study: Path) -> Path:
    return study / "wandb" / "problems.txt"


def _table(rows: Sequence[Mapping]):
    import wandb

    columns = list({key: None for row in rows for key in row})
    data = [[row.get(column) for column in columns] for row in rows]
    return wandb.Table(columns=columns, data=data, allow_mixed_types=True)


def _artifact(name: str, kind: str, files: Sequence[Path]):
    import wandb

    artifact = wandb.Artifact(re.sub(r"[^\w.-]", "-", name), type=kind)
    for file in files:
        artifact.add_file(str(file), name=file.name)
    return artifact


def scalars(values: Mapping, prefix: str = "") -> dict:
    """Nested settings as flat keys, `predictor/fit/lr`, for dashboards; null and lists are left out."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= scalars(value, f"{prefix}{key}/")
        elif isinstance(value, bool | int | float | str):
            flat[f"{prefix}{key}"] = value
    return flat


def candidate_scalars(candidate: Mapping) -> dict:
    """The choices of a candidate as flat keys: `recipe/lr`, `arch/resolution`, `arch/stage3/expansion_first`; recipe
    keys also where they are neutral, so that charts compare all."""
    architecture = dict(candidate["architecture"])
    stages = architecture.pop("stages", ())
    flat = scalars(Recipe.neutral() | dict(candidate["recipe"]), "recipe/") | scalars(architecture, "arch/")
    for i, stage in enumerate(stages, start=1):
        flat |= scalars(stage, f"arch/stage{i}/")
        for j, block in enumerate(stage.get("blocks", ()), start=1):
            flat |= scalars(block, f"arch/stage{i}/block{j}/")
    return flat
