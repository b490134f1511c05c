"""Worker processes: real ones, which die, hang, fail, run out of memory and are killed."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.machine import cores
from nars.settings import LocalExecutorSettings
from nars.training import opening
from nars.training.local_executor import LocalExecutor, _lost, assigned_gpus, default_workers, visible_gpus

ROOT = Path(__file__).parents[2]


def work(job: tuple):
    """What the workers are given: (what, detail)."""
    what, detail = job
    if what == "square":
        return detail * detail
    if what == "threads":
        import torch

        return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "die once" and not detail.exists():
        detail.write_text("died")
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "gpus":
        return os.environ["CUDA_VISIBLE_DEVICES"]
    if what == "gpu memory":
        raise RuntimeError(detail)
    if what == "fail":
        raise ArithmeticError(detail)
    if what == "user error":
        raise UserError(detail)
    if what == "write":
        Path(detail).write_bytes(b"x" * 100_000)
    if what == "allocate":
        return len(bytearray(detail))
    if what == "sleep":
        Path(detail).write_text(str(os.getpid()))
        time.sleep(600)
    if what == "meet":  # two at a time: each waits until the other runs too
        (detail[0] / detail[1]).write_text("here")
        wait_until((detail[0] / detail[2]).exists)
        return os.environ["CUDA_VISIBLE_DEVICES"]
    return os.getpid()


def torch():
    """Imported here, so that workers, which import this file, need not."""
    import torch

    return torch


def open_executor(**values) -> LocalExecutor:
    return LocalExecutor(LocalExecutorSettings(name="local", **values), work)


def outcomes(executor: LocalExecutor, *jobs: tuple) -> dict:
    return {outcome.job: outcome for outcome in executor.map(jobs, lambda: None)}


def running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_that_die_take_nothing_else_with_them(tmp_path):
    polls = []
    with open_executor(workers=2, retries=1) as executor:
        jobs = [("die", None), *(("square", i) for i in range(10)), ("die once", tmp_path / "mark"), ("fail", "boom")]
        jobs += [("threads", None)]
        done = {outcome.job: outcome for outcome in executor.map(jobs, lambda: polls.append(1))}
        assert done.keys() == set(jobs)
        assert [(done["square", i].result, done["square", i].tries) for i in range(10)] == [
            (i * i, 1) for i in range(10)
        ]
        died = done["die", None]
        assert (died.result, died.tries) == (None, 2)
        assert died.reason == "its worker process died (killed, perhaps because memory ran out)"
        again = done["die once", tmp_path / "mark"]
        assert (again.reason, again.tries) == (None, 2)
        assert isinstance(again.result, int)
        assert (done["fail", "boom"].reason, done["fail", "boom"].tries) == ("ArithmeticError: boom", 2)
        assert done["threads", None].result == (1, "1")
        assert polls
        # The same workers take the next jobs, and one that was killed while it waited is replaced.
        pid = outcomes(executor, ("pid", None))["pid", None].result
        assert pid != os.getpid()
        assert outcomes(executor, ("pid", None))["pid", None].result == pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not running(pid))
        other = outcomes(executor, ("pid", None))["pid", None].result
        assert other != pid
        # Whoever leaves early ends what runs, and can begin anew.
        for _ in executor.map([("square", 1), ("sleep", tmp_path / "pid"), ("square", 2)], lambda: None):
            break
        assert outcomes(executor, ("square", 3))["square", 3].result == 9
        # A UserError is for the person at the keyboard.
        with pytest.raises(UserError, match="data is broken"):
            outcomes(executor, ("user error", "data is broken"))
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_hanging_training_is_stopped_and_nothing_else(tmp_path):
    with open_executor(workers=2, retries=0, max_training_seconds=1.5) as executor:
        done = outcomes(executor, ("sleep", tmp_path / "pid"), *(("square", i) for i in range(5)))
        assert done["sleep", tmp_path / "pid"].reason == "stopped after executor.max_training_seconds=1.5"
        assert [done["square", i].result for i in range(5)] == [0, 1, 4, 9, 16]
        wait_until(lambda: not running(int((tmp_path / "pid").read_text())))


@pytest.mark.slow
def test_a_training_beyond_the_memory_limit_is_told_from_others():
    with open_executor(workers=1, retries=1, max_memory_gib=1) as executor:
        done = outcomes(executor, ("allocate", 2**31), ("allocate", 2**20))
    assert done["allocate", 2**31].reason.startswith("out of memory, executor.max_memory_gib=1 (MemoryError)")
    assert done["allocate", 2**31].tries == 2
    assert done["allocate", 2**20].result == 2**20


@pytest.mark.slow
def test_no_more_workers_start_than_there_are_jobs():
    with open_executor(workers=5) as executor:
        outcomes(executor, ("square", 1), ("square", 2))
        assert len(multiprocessing.active_children()) <= 2
        outcomes(executor, ("square", 3))
        assert len(multiprocessing.active_children()) <= 2


@pytest.mark.slow
def test_jobs_that_are_not_there_yet_are_asked_for_again():
    asked = []

    def jobs():
        while len(asked) < 2:
            asked.append(time.monotonic())
            yield None
        yield ("square", 5)

    with open_executor(workers=1) as executor:
        assert [outcome.result for outcome in executor.map(jobs(), lambda: None)] == [25]
    assert asked[1] - asked[0] > 0.1


@pytest.mark.slow
def test_a_full_disk_is_said_once():
    with (
        open_executor(workers=1) as executor,
        pytest.raises(UserError, match="No space left on device; free space or fix permissions"),
    ):
        outcomes(executor, ("write", "/dev/full"), ("square", 1))


@pytest.mark.slow
def test_every_gpu_keeps_one_worker_when_workers_die(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    with open_executor(retries=1) as executor:
        assert executor.workers == 2
        for i in range(2):
            folder = tmp_path / str(i)
            folder.mkdir()
            done = outcomes(executor, ("die once", folder / "mark"), ("square", 2))
            assert done["die once", folder / "mark"].tries == 2
            done = outcomes(executor, ("meet", (folder, "a", "b")), ("meet", (folder, "b", "a")))
            assert {outcome.result for outcome in done.values()} == {"5", "7"}


@pytest.mark.slow
def test_workers_of_the_cpu_see_no_gpu_and_a_full_gpu_is_not_filled_again(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    settings = LocalExecutorSettings(name="local", retries=2, threads_per_worker=1)
    with opening.open_executor(settings, work, accelerator="cpu") as executor:
        assert executor.workers == cores()
        full = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which"
        done = outcomes(executor, ("gpus", None), ("gpu memory", full), ("gpu memory", "no GPU"))
    assert done["gpus", None].result == ""
    assert done["gpu memory", full].tries == 1
    assert done["gpu memory", full].reason == (
        "out of GPU memory (CUDA out of memory. Tried to allocate 2.00 GiB); lower protocol.batch_size (the learning "
        "rate follows), use trainer.precision=bf16-mixed, or let fewer trainings share a GPU"
    )
    assert (done["gpu memory", "no GPU"].tries, done["gpu memory", "no GPU"].final) == (3, False)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), False),
        (MemoryError(), False),
        (ArithmeticError("boom"), False),
    ],
)
def test_only_a_full_gpu_is_final(error, final):
    lost = _lost(error, LocalExecutorSettings(name="local"))
    assert lost.final == final
    assert str(lost).startswith("out of GPU memory (") == final
    assert pickle.loads(pickle.dumps(lost)).final == final  # as it comes from the nodes of a cluster


def test_pytorch_says_that_a_gpu_is_full():
    lost = _lost(torch().OutOfMemoryError("Allocation on device"), LocalExecutorSettings(name="local"))
    assert lost.final
    assert str(lost).startswith("out of GPU memory (Allocation on device); lower protocol.batch_size")


@pytest.mark.parametrize(
    ("named", "gpus"),
    [
        ("5,7", ("5", "7")),
        (" 1 , 0 ", ("1", "0")),
        ("3", ("3",)),
        ("", ()),
        (" ", ()),
        ("-1", ()),
        ("NoDevFiles", ()),
        ("none", ()),
        ("void", ()),
        ("0,-1,1", ("0",)),
        ("0,,1", ("0",)),
        ("0,1,", ("0", "1")),
        ("0,x,1", ("0",)),
        ("0,1,0", ()),
        ("GPU-8932f937,GPU-d72c", ("GPU-8932f937", "GPU-d72c")),
        ("GPU-8932f937,1", ("GPU-8932f937",)),
        ("GPU-8932f937,GPU-8932f937", ()),
        ("MIG-1,MIG-2", ("MIG-1", "MIG-2")),
        ("MIG-1,GPU-2", ("MIG-1",)),
    ],
)
def test_gpus_are_named_as_cuda_reads_them(monkeypatch, named, gpus):
    """Expected from the CUDA programming guide: an entry that is no GPU hides itself and those that follow."""
    if torch().cuda.device_count():
        pytest.skip("of these names, a machine with GPUs has some only")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus
    assert default_workers(1) == (len(gpus) or cores())
    assert default_workers(10_000) == (len(gpus) or 1)


def test_without_a_word_about_gpus_all_that_are_there_are_used(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus() == tuple(map(str, range(torch().cuda.device_count())))


def test_workers_share_gpus_in_turn():
    assert assigned_gpus(("0", "3"), 5) == ["0", "3", "0", "3", "0"]
    assert assigned_gpus((), 2) == [None, None]


@pytest.mark.slow
def test_workers_end_with_a_killed_driver(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys\n"
        "from test_local_executor import open_executor\n"
        "if __name__ == '__main__':\n"
        "    list(open_executor(workers=1).map([('sleep', sys.argv[1])], lambda: None))\n"
    )
    mark = tmp_path / "worker"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    driver = subprocess.Popen([sys.executable, script, mark], env=environment)
    try:
        wait_until(lambda: mark.exists() and mark.read_text())
        worker = int(mark.read_text())
        assert running(worker)
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not running(worker))
