"""Trainings on Ray: a real cluster of two nodes on this machine, one of which is killed."""

import importlib.util
import json
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.records import Ledger, Record
from nars.settings import LocalExecutorSettings, RayExecutorSettings
from nars.training.job import TrainingJob
from nars.training.opening import open_executor
from nars.training.ray_executor import RayExecutor, _places_on, train_on_node
from nars.training.trainer import CandidateTrainer

ROOT = Path(__file__).parents[2]
INSTALLED = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not INSTALLED, reason="Ray is not installed (requirements-ray.txt)")


def settings(**values) -> RayExecutorSettings:
    return RayExecutorSettings(name="ray", **values)


def work(job: tuple):
    """What the workers are given: (what, detail)."""
    what, detail = job
    if what == "user error":
        raise UserError(detail)
    if what == "fail":
        raise ArithmeticError(detail)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(600)
    return os.getcwd(), os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"]


def pretend(job: TrainingJob) -> Record:
    """A record as `train_job` makes it; the file "pid" is there as long as it takes."""
    mark = Path(job.folder, "pid")
    mark.write_text(str(os.getpid()))
    time.sleep(2)
    mark.unlink()
    values = job.candidate.to_dict() | {"key": job.key, "training": job.training, "seed": job.seed}
    costs = {"costs": job.costs, "seconds": 2.0}
    return Record(**values, **costs, epochs=job.epochs, status="finished", accuracies=(0.5,) * job.epochs)


def ancestors(pid: int) -> list[int]:
    """The processes that a process descends from."""
    parents = []
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:  # it ended
            break
        parents.append(pid)
    return parents


def kill_while_it_trains(nodes, node) -> None:
    raylet = node.all_processes["raylet"][0].process.pid
    deadline = time.monotonic() + 120
    while not any(raylet in ancestors(int(mark.read_text() or 0)) for mark in Path("trainings").rglob("pid")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    nodes.remove_node(node, allow_graceful=False)


class Quiet:
    def start(self, title, total): ...
    def update(self, done, note): ...
    def stop(self): ...


@pytest.fixture
def importable(monkeypatch):
    """What is started from here on finds this module."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))


@pytest.fixture
def cluster(importable):
    """A head node and one more, of one CPU each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield cluster, cluster.add_node(num_cpus=1)
    cluster.shutdown()


@needs_ray
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_with_a_node_killed_every_training_is_in_the_ledger_once(cluster, job_values, candidate, tmp_path, monkeypatch):
    nodes, victim = cluster
    monkeypatch.chdir(tmp_path)  # relative paths mean the driver's folder, not the nodes'
    candidates = [candidate(lr=0.02 + i / 1000) for i in range(6)]
    with open_executor(settings(address=nodes.address, retries=3), pretend) as executor:
        trainer = CandidateTrainer(
            Ledger(Path("records.jsonl")),
            executor,
            job_values=job_values,
            price=lambda c: {"macs": 100.0, "params": 200.0},
            folder=Path("trainings"),
            progress=Quiet(),
        )
        records = []
        killer = threading.Thread(target=kill_while_it_trains, args=(nodes, victim))
        for record in trainer(candidates, 2, title="round"):
            records.append(record)
            if len(records) == 1:
                assert len(list(Path("trainings").iterdir())) < len(candidates)  # records come as they are finished
                killer.start()  # in a thread, because the driver must go on to give the node a training
        killer.join()
    lines = [json.loads(line) for line in Path("records.jsonl").read_text().splitlines()]
    keys = [line["key"] for line in lines]
    assert sorted(keys) == sorted({record.key for record in records})
    assert len(keys) == len(candidates)
    assert {line["status"] for line in lines} == {"finished"}
    assert max(line.get("tries", 1) for line in lines) >= 2


@needs_ray
@pytest.mark.slow
def test_a_ray_of_our_own_keeps_the_limits_and_says_why_trainings_are_lost(importable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_executor(settings(retries=1, cpus_per_candidate=0.5, max_training_seconds=10), work) as executor:
        jobs = [("place", None), ("fail", "boom"), ("die", None), ("sleep", None)]
        done = {outcome.job[0]: outcome for outcome in executor.map(jobs, lambda: None)}
        assert done["place"].result == (str(tmp_path), "", "1")
        assert (done["fail"].reason, done["fail"].tries) == ("ArithmeticError: boom", 2)
        assert done["die"].reason == "its worker process died (killed, perhaps because memory ran out)"
        assert done["sleep"].reason == "stopped after executor.max_training_seconds=10"
        with pytest.raises(UserError, match="data is broken"):
            list(executor.map([("user error", "data is broken")], lambda: None))
    with (
        open_executor(settings(gpus_per_candidate=64), work) as executor,
        pytest.raises(UserError, match=r"executor\.gpus_per_candidate=64: no node of the Ray cluster has that"),
    ):
        list(executor.map([("place", None)], lambda: None))


def beside_ray(limits: LocalExecutorSettings, payload: bytes) -> tuple[int, str, str]:
    """A task: its Ray process, the GPU that Ray gave it, and the one that its worker saw."""
    import ray

    given = ",".join(ray.get_runtime_context().get_accelerator_ids()["GPU"])
    return os.getpid(), given, train_on_node(limits, payload)[1]


@needs_ray
@pytest.mark.slow
def test_a_training_sees_the_gpus_that_ray_gave_it(importable, tmp_path):
    """GPUs are declared, none needs to be there."""
    import ray

    limits = LocalExecutorSettings(name="local", workers=1, retries=0)
    payload = pickle.dumps((str(tmp_path), work, ("place", None)))
    ray.init(address="local", num_cpus=2, num_gpus=4, include_dashboard=False, log_to_driver=False)
    try:
        task = ray.remote(beside_ray)
        wanted = [1, 1, 0.5, 2, 1, 1, 2, 1]
        done = ray.get([task.options(num_cpus=1, num_gpus=n).remote(limits, payload) for n in wanted])
    finally:
        ray.shutdown()
    assert [given for _, given, _ in done] == [seen for _, _, seen in done]
    assert [len(seen.split(",")) for _, _, seen in done] == [1, 1, 1, 2, 1, 1, 2, 1]
    processes = {pid: {given for other, given, _ in done if other == pid} for pid, _, _ in done}
    assert max(map(len, processes.values())) > 1  # of which one had several GPUs in turn


def test_a_gpu_that_no_training_uses_is_not_asked_for():
    with pytest.raises(UserError, match=r"executor\.gpus_per_candidate=1: with trainer\.accelerator=cpu no training"):
        open_executor(settings(gpus_per_candidate=1), work, accelerator="cpu")


@needs_ray
@pytest.mark.slow
def test_an_address_where_no_cluster_answers_is_named():
    with (
        open_executor(settings(address="127.0.0.1:1"), work) as executor,
        pytest.raises(UserError, match=r"executor\.address=127\.0\.0\.1:1: no Ray cluster answers"),
    ):
        list(executor.map([("place", None)], lambda: None))


@pytest.mark.skipif(INSTALLED, reason="Ray is installed")
def test_without_ray_one_line_says_what_to_install():
    with pytest.raises(UserError, match=r"Ray is not installed; pip install -r requirements-ray\.txt"):
        RayExecutor(settings(), work)


@pytest.mark.parametrize(
    ("resources", "values", "places"),
    [
        ({"CPU": 8.0}, {}, 8),
        ({"CPU": 8.0}, {"cpus_per_candidate": 3}, 2),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus_per_candidate": 1}, 2),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus_per_candidate": 0.5, "cpus_per_candidate": 2}, 4),
        ({"CPU": 1.0}, {"cpus_per_candidate": 0.1}, 10),
        ({"CPU": 8.0}, {"gpus_per_candidate": 0.5}, 0),
        ({}, {}, 0),
    ],
)
def test_a_node_holds_what_its_cores_and_gpus_allow(resources, values, places):
    assert _places_on(resources, settings(**values)) == places
