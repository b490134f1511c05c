"""Several processes that append to one ledger."""

import itertools
import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.leases import turn
from nars.records import Ledger
from tests.records.conftest import record


def write_slowly(path: Path, text: bytes, begun, go_on) -> None:
    """Append a line in two parts, as its writer's turn allows."""
    with turn(path.with_name("records.jsonl.claim")), open(path, "ab", buffering=0) as file:
        file.write(text[: len(text) // 2])
        begun.set()
        assert go_on.wait(30)
        file.write(text[len(text) // 2 :])


def test_a_line_that_another_process_is_writing_is_waited_for(path):
    """On a shared disk, where a lock of the system would hold within one machine only."""
    Ledger(path).append(record("a"))
    text = path.read_bytes().replace(b'"a"', b'"slow"')
    context = multiprocessing.get_context("fork")
    begun, go_on = context.Event(), context.Event()
    writer = context.Process(target=write_slowly, args=(path, text, begun, go_on))
    writer.start()
    assert begun.wait(30)
    ledger = Ledger(path)
    append = threading.Thread(target=ledger.append, args=(record("b"),))
    append.start()
    append.join(0.3)
    assert append.is_alive()
    assert [r.key for r in Ledger(path)] == ["a"]
    go_on.set()
    writer.join(30)
    append.join(30)
    assert [r.key for r in Ledger(path)] == ["a", "slow", "b"]


@pytest.mark.parametrize("seed", range(10))
def test_where_nobody_waits_no_whole_record_is_lost(path, seed):
    """One process writes its lines in pieces, without waiting for a turn, another appends in between."""
    rng, ledger, reader = random.Random(seed), Ledger(path), Ledger(path)
    for i in range(20):
        ledger.append(record(f"whole{i}"))
        text = path.read_bytes().splitlines(keepends=True)[-1].replace(b"whole", b"pieces")
        cuts = sorted(rng.sample(range(1, len(text)), rng.randrange(3)))
        for n, (start, end) in enumerate(itertools.pairwise([0, *cuts, len(text)])):
            with open(path, "ab") as file:
                file.write(text[start:end])
            if rng.random() < 0.5:
                ledger.append(record(f"between{i}-{n}"))
            reader.refresh()
    written = {r.key for r in ledger}
    assert len(written) > 20
    assert written <= {r.key for r in reader}
    assert [r.key for r in reader] == [r.key for r in Ledger(path)]


def test_refresh_reads_what_others_appended_once(path):
    one, other = Ledger(path), Ledger(path)
    assert one.refresh() == []
    other.append(record("a"))
    other.append(record("b"))
    assert [r.key for r in one.refresh()] == ["a", "b"]
    assert one.refresh() == []
    with open(path, "ab") as file:
        file.write(b'{"schema": 1, "key": "half')
    assert one.refresh() == []
    other.append(record("c"))  # ends the torn line
    one.append(record("d"))
    assert [r.key for r in one.refresh()] == ["c", "d"]
    assert [r.key for r in other.refresh()] == ["a", "b", "c", "d"]
    assert [r.key for r in one] == ["a", "b", "d", "c"]
    with open(path, "ab") as file:
        file.write(b"{}\n")
    with pytest.raises(UserError, match="line 6: ledger schema None"):
        one.refresh()


def write_many(path: Path, name: str, n: int) -> None:
    ledger = Ledger(path)
    for i in range(n):
        ledger.append(record(f"{name}{i}", reason="x" * (i % 7) * 2000))


def write_until_killed(path: Path, started) -> None:
    ledger = Ledger(path)
    for i in range(1_000_000):
        ledger.append(record(f"killed{i}", reason="y" * 100_000))
        started.set()


@pytest.mark.slow
def test_processes_that_append_at_once_lose_nothing_even_if_one_is_killed(path):
    context = multiprocessing.get_context("fork")
    started = context.Event()
    victim = context.Process(target=write_until_killed, args=(path, started))
    writers = [context.Process(target=write_many, args=(path, name, 40)) for name in ("left", "right", "third")]
    for process in (victim, *writers):
        process.start()
    assert started.wait(30)
    os.kill(victim.pid, signal.SIGKILL)
    for process in (victim, *writers):
        process.join(60)
    assert [process.exitcode for process in writers] == [0, 0, 0]
    keys = [r.key for r in Ledger(path)]
    for name in ("left", "right", "third"):
        assert [key for key in keys if key.startswith(name)] == [f"{name}{i}" for i in range(40)]
    assert sum(key.startswith("killed") for key in keys) >= 1
    assert len(keys) - len(path.read_bytes().splitlines()) in (-1, 0)  # the last line of the killed one may be torn
    assert not path.with_name("records.jsonl.claim").exists()
