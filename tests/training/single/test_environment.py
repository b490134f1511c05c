"""A training sees no launcher: neither Lightning nor torch learns of ranks and tasks that are none of its own."""

import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from pytorch_lightning.utilities import rank_zero_only

from nars.errors import UserError
from nars.settings import LoggerSettings, TrainerSettings
from nars.training.single.environment import without_launchers
from nars.training.single.fit import open_trainer
from nars.training.single.loggers import open_loggers
from nars.training.single.processes import OurProcesses, Part
from nars.training.single.run import run_training

ROOT = Path(__file__).parents[3]
SLURM = {"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "3", "SLURM_NODEID": "1"}
LAUNCHERS = {
    "slurm": SLURM | {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "nars", "SLURM_NODELIST": "n[1-2]"},
    "slurm, tasks per node": SLURM | {"SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "nars"},
    "torchrun": {
        **{"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"},
        **{"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "n1", "MASTER_PORT": "1"},
    },
    "a shell": {"LOCAL_RANK": "1", "NODE_RANK": "1", "MASTER_PORT": "1", "STANDALONE_PORT": "x", "RANK": ""},
    "lsf": {
        **{"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "/none", "JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2"},
        **{"JSM_NAMESPACE_LOCAL_RANK": "1"},
    },
    "lightning": {"PL_TRAINER_MAX_STEPS": "1", "PL_TRAINER_NUM_NODES": "2", "PL_GLOBAL_SEED": "x"},
}
# Where a job runs, which decides nothing here: Lightning asks for these only when it takes a launcher's word.
WHERE = {"SLURM_JOB_NAME", "SLURM_JOB_ID", "SLURM_NODELIST", "LSB_JOBID", "LSB_DJOB_RANKFILE"}


def read_by_lightning() -> set[str]:
    """Variables in the code by which Lightning knows launchers."""
    package = Path(find_spec("lightning_fabric").origin).parent
    files = [*(package / "plugins" / "environments").glob("*.py"), package / "utilities" / "rank_zero.py"]
    return {name for file in files for name in re.findall(r'"([A-Z][A-Z_]*_[A-Z_]+|RANK)"', file.read_text())}


def test_every_variable_that_lightning_reads_is_hidden(monkeypatch):
    names = read_by_lightning() - WHERE
    assert {"SLURM_PROCID", "JSM_NAMESPACE_RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "RANK"} <= names
    for name in names | WHERE:
        monkeypatch.setenv(name, "7")
    with without_launchers():
        assert not names & os.environ.keys()
        assert {"SLURM_JOB_ID", "SLURM_JOB_NAME"} <= os.environ.keys()  # Hydra's launchers ask for them
        os.environ["WORLD_SIZE"] = "2"  # as Lightning does
        del os.environ["LSB_JOBID"]
    assert {os.environ[name] for name in names} == {"7"}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_training_is_the_same_under_every_launcher(make_job, tmp_path, monkeypatch, launcher):
    """Weights, curves and files; and it leaves the environment as it was."""
    expected = run_training(make_job(tmp_path / "without"))[1]
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # what Lightning guesses when it is imported there
    for name, value in LAUNCHERS[launcher].items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    job = make_job(tmp_path / "with", logger=LoggerSettings(csv=True), trainer=TrainerSettings(accelerator="cpu"))
    with open_loggers(job) as loggers:
        record, module = run_training(job, loggers=loggers)
    assert dict(os.environ) == before
    assert record.accuracies == tuple(expected.accuracies)
    assert torch.equal(module.network.classifier.weight, expected.network.classifier.weight)
    assert module.trainer.global_step == expected.trainer.global_step == 6
    files = {path.name for path in (tmp_path / "with").iterdir()}
    assert files == {"checkpoint.ckpt", "epochs.jsonl", "metrics.csv"}
    assert (tmp_path / "with" / "metrics.csv").read_text().count("\n") == 3


def test_no_state_but_a_training_s_own_is_taken(make_job, tmp_path, monkeypatch):
    """Lightning would go on from `hpc_ckpt_<number>.ckpt` under Slurm; here these are no states at all."""
    for name, value in LAUNCHERS["slurm"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    job = make_job(tmp_path / "job")
    (tmp_path / "job").mkdir()
    for folder in (tmp_path, tmp_path / "job"):
        (folder / "hpc_ckpt_1.ckpt").write_bytes(b"of another training")
    record, module = run_training(job)
    assert len(record.accuracies) == 2
    assert Path(module.trainer.default_root_dir) == tmp_path / "job"
    assert not (tmp_path / "lightning_logs").exists()


def test_a_training_answers_no_signals_of_slurm(make_job, tmp_path, monkeypatch):
    """Lightning would put the job into the queue again."""
    for name, value in LAUNCHERS["slurm"].items():
        monkeypatch.setenv(name, value)
    handlers = []
    run_training(make_job(tmp_path), on_epoch=lambda *_: handlers.append(signal.getsignal(signal.SIGUSR1)))
    assert set(handlers) == {signal.SIG_DFL}


def test_fewer_processes_than_devices_are_refused(make_job, tmp_path):
    """Each would train on its part of the images only."""
    job = make_job(tmp_path, trainer=TrainerSettings(accelerator="cpu", devices=2))
    module = run_training(make_job(tmp_path))[1]
    with pytest.raises(UserError, match=r"^trainer.devices=2, but 1 processes would train"):
        open_trainer(module, job, Part(), [], [])
    trainer = open_trainer(module, job, Part(rank=1, world_size=2, port=9), [], [])
    assert (trainer.world_size, trainer.global_rank, trainer.local_rank, trainer.num_nodes) == (2, 1, 1, 1)
    assert isinstance(trainer.strategy.cluster_environment, OurProcesses)
    assert not trainer.is_global_zero


@pytest.mark.slow
def test_lightning_is_imported_whatever_is_set(tmp_path):
    """It reads ranks as numbers, and would end the program."""
    code = "import nars.training.single.fit as fit; print(fit.rank_zero_only.rank)"
    environment = os.environ | {"RANK": "", "SLURM_PROCID": "first"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "0", done.stderr
