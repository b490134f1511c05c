"""Claims of trainings, between real processes that end, are killed and stand still."""

import multiprocessing
import os
import signal
import time

import pytest

from nars.training.claims import Claims

LEASE_SECONDS = 1.0


def hold(folder, key: str, taken, let_go) -> None:
    claims = Claims(folder, lease_seconds=LEASE_SECONDS)
    if claims.take(key):
        taken.set()
        let_go.wait(60)
        claims.release_all()


@pytest.fixture
def holder(tmp_path):
    """A process that claimed training "a" in tmp_path, and the event that makes it let go."""
    context = multiprocessing.get_context("fork")
    taken, let_go = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, "a", taken, let_go))
    process.start()
    assert taken.wait(30)
    yield process, let_go
    process.kill()
    process.join()


def seconds_until_taken(claims: Claims, key: str) -> float:
    started = time.monotonic()
    while not claims.take(key):
        assert time.monotonic() < started + 30
        time.sleep(0.02)
    return time.monotonic() - started


def test_one_process_at_a_time_has_a_claim(holder, tmp_path):
    process, let_go = holder
    claims = Claims(tmp_path, lease_seconds=LEASE_SECONDS)
    deadline = time.monotonic() + 2 * LEASE_SECONDS
    while time.monotonic() < deadline:  # its heartbeat keeps it for longer than a lease
        assert not claims.take("a")
        time.sleep(0.05)
    assert claims.holder("a").startswith(f"process {process.pid} on ")
    assert claims.take("b")
    assert claims.holder("c") is None
    let_go.set()
    process.join(30)
    assert claims.holder("a") is None
    assert claims.take("a")
    assert claims.holder("a").startswith(f"process {os.getpid()} on ")
    claims.release_all()
    assert Claims(tmp_path, lease_seconds=LEASE_SECONDS).take("a")


def test_the_claim_of_a_killed_process_is_taken_over_at_once(holder, tmp_path):
    process, _ = holder
    process.kill()
    process.join()
    assert Claims(tmp_path, lease_seconds=LEASE_SECONDS).take("a")


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs signals that suspend a process")
def test_the_claim_of_a_process_that_stands_still_is_taken_over_after_the_lease(holder, tmp_path):
    process, let_go = holder
    os.kill(process.pid, signal.SIGSTOP)
    claims = Claims(tmp_path, lease_seconds=LEASE_SECONDS)
    assert seconds_until_taken(claims, "a") >= 0.9 * LEASE_SECONDS
    # Awake again it neither takes the claim back nor removes it.
    os.kill(process.pid, signal.SIGCONT)
    let_go.set()
    process.join(30)
    assert claims.holder("a").startswith(f"process {os.getpid()} on ")


def test_a_claim_without_a_name_is_taken_over(tmp_path):
    """What a process leaves that is killed between making the file and writing into it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "claim").touch()
    claims = Claims(tmp_path, lease_seconds=LEASE_SECONDS)
    assert seconds_until_taken(claims, "a") > 1
    assert claims.holder("a").startswith(f"process {os.getpid()} on ")


def test_of_several_processes_one_takes_over_a_claim_without_a_name(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "claim").touch()
    several = [Claims(tmp_path, lease_seconds=60) for _ in range(3)]
    deadline, taken = time.monotonic() + 6, []
    while time.monotonic() < deadline:
        taken += [claims for claims in several if claims not in taken and claims.take("a")]
        time.sleep(0.02)
    assert len(taken) == 1
