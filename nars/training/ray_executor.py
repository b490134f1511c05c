"""Trainings on a Ray cluster: a task per candidate, which has a worker process of its node train it."""

import logging
import os
import pickle
import socket
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property, lru_cache

from nars.errors import UserError, disk_error
from nars.machine import cores
from nars.settings import LocalExecutorSettings, RayExecutorSettings
from nars.training.executor import Completed, Executor, LostError
from nars.training.local_executor import LocalExecutor, visible_gpus

CONNECT_SECONDS = 20
OBJECT_STORE_BYTES = 2**27  # of a Ray of our own: jobs and records are small


class RayExecutor(Executor):
    """Trains on all nodes of the cluster at `address`, or of a Ray that is started here when the first job comes.

    As many trainings run at a time as the cluster holds, or `workers`. The nodes need this code and the data under the
    same paths. What a lost node was training is tried again on another. Ray chooses the GPUs; no `gpus` says that none
    may be asked for. UserError then, or if Ray is not installed.
    """

    def __init__(self, settings: RayExecutorSettings, run: Callable, *, gpus: tuple[str, ...] | None = None):
        super().__init__(retries=settings.retries)
        if gpus == () and settings.gpus_per_candidate:
            raise UserError(
                f"executor.gpus_per_candidate={settings.gpus_per_candidate:g}: with trainer.accelerator=cpu no "
                "training uses a GPU; set it to 0, or the accelerator to auto"
            )
        try:
            import ray
        except ImportError:
            raise UserError(
                "executor=ray: Ray is not installed; pip install -r requirements-ray.txt, or use executor=local"
            ) from None
        self.settings = settings
        self._run = run
        self._ray = ray

    def close(self) -> None:
        """Leave the cluster, or end the Ray that was started here; trainings in flight end."""
        self._ray.shutdown()
        self.__dict__.pop("_train", None)

    @cached_property
    def _train(self):
        """The remote function, once this process belongs to the cluster."""
        address = self.settings.address
        own = {} if address else {"num_cpus": cores(), "object_store_memory": OBJECT_STORE_BYTES}
        if own and "CUDA_VISIBLE_DEVICES" in os.environ:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible_gpus())  # Ray takes every entry for a GPU
        try:
            _knock(address)
            self._ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **own,
            )
        except OSError as error:
            if address is None or disk_error(error) is not None:
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"executor.address={address}: no Ray cluster answers: {reason}") from None
        if not self._places():
            raise UserError(self._too_small())
        return self._ray.remote(train_on_node).options(
            num_cpus=self.settings.cpus_per_candidate,
            num_gpus=self.settings.gpus_per_candidate,
            max_retries=0,  # counted by the driver
        )

    def _has_room(self, running: int) -> bool:
        self._train  # noqa: B018 (joins the cluster)
        # With no place left (all nodes lost) one job waits for a node to come back.
        return running < (self.settings.workers or max(1, self._places()))

    def _start(self, job) -> Future:
        s = self.settings
        limits = LocalExecutorSettings(
            name="local",
            workers=1,
            threads_per_worker=max(1, int(s.cpus_per_candidate)),
            retries=0,
            max_training_seconds=s.max_training_seconds,
            max_memory_gib=s.max_memory_gib,
        )
        return self._train.remote(limits, pickle.dumps((os.getcwd(), self._run, job))).future()

    def _collect(self, future: Future):
        try:
            result = future.result()
        except self._ray.exceptions.RayTaskError as error:  # the code is not there, say: the last line names it
            raise LostError(f"Ray could not run it: {str(error).strip().splitlines()[-1]}") from error
        except self._ray.exceptions.RayError as error:
            raise LostError(f"its node or Ray process was lost ({type(error).__name__})") from error
        if isinstance(result, UserError | LostError):
            raise result
        return result

    def _places(self) -> int:
        """How many trainings the living nodes hold at a time."""
        return sum(_places_on(node["Resources"], self.settings) for node in self._ray.nodes() if node["Alive"])

    def _too_small(self) -> str:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        largest = ", ".join(f"{max(node.get(kind, 0) for node in nodes):g} {kind}s" for kind in ("CPU", "GPU"))
        s = self.settings
        return (
            f"executor.cpus_per_candidate={s.cpus_per_candidate:g} executor.gpus_per_candidate="
            f"{s.gpus_per_candidate:g}: no node of the Ray cluster has that; the most on one node: {largest}"
        )


def _knock(address: str | None) -> None:
    """OSError at once if nobody listens at host:port; Ray itself tries for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _places_on(resources: dict, settings: RayExecutorSettings) -> int:
    """Trainings that one node holds at a time."""
    needs = {"CPU": settings.cpus_per_candidate, "GPU": settings.gpus_per_candidate}
    return min(int(resources.get(kind, 0) / need + 1e-9) for kind, need in needs.items() if need > 0)


def train_on_node(settings: LocalExecutorSettings, payload: bytes):
    """Run a pickled (folder, function, job) within limits in a worker process of this node; runs in a Ray process.

    Returns what the function returns, or the UserError or LostError that it ended with.
    """
    import ray

    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    try:
        (completed,) = _completed(settings, ",".join(gpus), payload)
    except UserError as error:
        return error
    return completed.result if completed.reason is None else LostError(completed.reason, final=completed.final)


def _completed(settings: LocalExecutorSettings, gpus: str, payload: bytes) -> list[Completed]:
    if not gpus:
        return list(_worker(settings).map([payload], lambda: None))
    # Ray gives this process another GPU next time, and this one to another process: the worker must let go of it.
    with LocalExecutor(settings, run_pickled, gpus=(gpus,)) as worker:
        return list(worker.map([payload], lambda: None))


@lru_cache(maxsize=1)
def _worker(settings: LocalExecutorSettings) -> LocalExecutor:
    """The worker of this Ray process for trainings without a GPU, alive as long as the process is."""
    return LocalExecutor(settings, run_pickled, gpus=())


def run_pickled(payload: bytes):
    """The result of a pickled (folder, function, job): of the function with the job, in the driver's folder.

    Bytes, so that the Ray process in between need not import torch.
    """
    folder, run, job = pickle.loads(payload)
    os.chdir(folder)
    return run(job)
