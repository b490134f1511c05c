"""What launchers of programs (Slurm, torchrun, MPI, LSF, ...) write into the environment, kept from the trainings here.

A training starts its processes itself (`processes.py`), so such a variable describes processes of another program: the
job that a whole search is one task of, say, or a launcher of earlier that left it in the shell.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = frozenset(
    (
        *("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "ROLE_RANK", "ROLE_NAME"),
        *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE"),
        *("MASTER_ADDR", "MASTER_PORT", "STANDALONE_PORT", "PL_GLOBAL_SEED", "PL_SEED_WORKERS"),
    )
)
# Not SLURM_JOB_ID and the like, which say where the job runs: Hydra's launchers ask for them.
PREFIXES = (
    *("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NNODES", "SLURM_STEP_"),
    *("TORCHELASTIC_", "TORCHCOMM_", "JSM_NAMESPACE_", "LSB_DJOB_", "PL_TRAINER_"),
    *("OMPI_COMM_WORLD_", "PMI_", "PMIX_", "MPI_LOCAL", "MV2_COMM_WORLD_"),
)


@contextmanager
def without_launchers() -> Iterator[None]:
    """Hide the variables of launchers from this process and from those that it starts meanwhile."""
    hidden = _variables()
    _remove(hidden)
    try:
        yield
    finally:
        _remove(_variables())  # what Lightning has set meanwhile
        os.environ.update(hidden)


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in NAMES or name.startswith(PREFIXES)}


def _remove(names) -> None:
    for name in names:
        os.environ.pop(name, None)
