"""Ledgers with torn lines, other versions, wrong values, and disks that are full or closed."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.records import Ledger
from tests.records.conftest import record


@pytest.mark.parametrize("cut", [2, 50, 200, 250])
def test_a_torn_last_line_is_passed_over_and_stays(path, cut):
    ledger = Ledger(path)
    ledger.append(record("a"))
    ledger.append(record("b"))
    torn = path.read_bytes()[:-cut]
    path.write_bytes(torn)
    assert [r.key for r in Ledger(path)] == ["a"]
    assert path.read_bytes() == torn  # reading changes nothing
    reader = Ledger(path)
    reader.append(record("c"))
    assert [r.key for r in reader] == [r.key for r in Ledger(path)] == ["a", "c"]
    assert path.read_bytes().startswith(torn + b"\n")  # another process may be about to finish it


def test_a_whole_last_line_without_its_end_is_a_record(path):
    """As editors and copies leave it, and a kill in the last moment."""
    ledger = Ledger(path)
    ledger.append(record("a"))
    ledger.append(record("b"))
    path.write_bytes(path.read_bytes()[:-1])
    reader = Ledger(path)
    assert [r.key for r in reader] == ["a", "b"]
    assert reader.refresh() == []
    writer = Ledger(path)
    writer.append(record("c"))
    assert [r.key for r in reader.refresh()] == ["c"]
    for ledger in (reader, writer, Ledger(path)):
        assert [r.key for r in ledger] == ["a", "b", "c"]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize("rubbish", [b"{", b"\x00" * 70_000, b'{"schema": 1}' * 20_000])
def test_a_torn_first_line_is_passed_over_however_long(path, rubbish):
    path.parent.mkdir()
    path.write_bytes(rubbish)
    assert len(Ledger(path)) == 0
    Ledger(path).append(record("a"))
    assert [r.key for r in Ledger(path)] == ["a"]
    path.write_bytes(path.read_bytes() + rubbish)
    Ledger(path).append(record("b"))
    assert [r.key for r in Ledger(path)] == ["a", "b"]


@pytest.mark.parametrize("rubbish", [b"{", b"[1]", b"\x00\x00", b"\xff", b'{"schema": 1, "key": "torn", "arch'])
def test_what_is_no_record_is_passed_over_and_said_once(path, caplog, rubbish):
    """What others wrote into the same line, before or after it, is kept."""
    ledger = Ledger(path)
    for key in "abc":
        ledger.append(record(key, reason="größer"))
    a, b, c = path.read_bytes().splitlines()
    path.write_bytes(a + b"\n" + rubbish + b"\n" + rubbish + b + c + rubbish + b"\n" + c + b"\n")
    for _ in range(2):
        assert [r.key for r in Ledger(path)] == ["a", "b", "c"]
    said = [message.getMessage() for message in caplog.records]
    assert [message.partition(" that are ")[0] for message in said] == [
        f"{path} line 2: passed over {len(rubbish)} bytes",
        f"{path} line 3: passed over {2 * len(rubbish)} bytes",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"schema": 99}', "line 2: ledger schema 99, this version reads schema 1; use another study=..."),
        ("{}", "line 2: ledger schema None, this version reads schema 1"),
        ('{"schema": 1}', "line 2: key: Field required; remove this line or move the file away"),
    ],
)
def test_a_line_of_another_version_is_refused_with_its_number(path, line, message):
    Ledger(path).append(record("a"))
    path.write_text(path.read_text() + line + "\n" + path.read_text())
    with pytest.raises(UserError) as error:
        Ledger(path)
    assert str(error.value).startswith(f"{path} {message}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "lost"}, "status: Input should be 'finished', 'diverged' or 'failed'"),
        ({"accuracies": [0.1, 1.5]}, "accuracies.1: Input should be less than or equal to 1"),
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"costs": {"macs": None}}, "costs.macs: Input should be a valid number"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(path, change, message):
    Ledger(path).append(record("a"))
    path.write_text(json.dumps(json.loads(path.read_text()) | change) + "\n")
    with pytest.raises(UserError) as error:
        Ledger(path)
    assert str(error.value).startswith(f"{path} line 1: {message}")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "records.jsonl"
    with pytest.raises(UserError) as error:
        Ledger(path).append(record())
    assert str(error.value).startswith(f"{path}: cannot write a record: ")
    assert "free space or fix permissions" in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(path):
    path.parent.mkdir()
    path.parent.chmod(0o500)
    with pytest.raises(UserError, match="cannot write a record: Permission denied"):
        Ledger(path).append(record())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named_and_the_record_is_not_kept(path):
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    ledger = Ledger(path.parent / "other.jsonl")
    ledger.path = path
    with pytest.raises(UserError, match="cannot write a record: No space left on device"):
        ledger.append(record())
    assert len(ledger) == 0


def fill(folder: Path) -> Path:
    """A file that takes all the space that is left."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
    return ballast


def append_until_full(ledger: Ledger) -> None:
    """What is left of the file's last page takes a few."""
    for i in range(100):
        ledger.append(record(f"b{i}", reason="x" * 1000))


def test_a_disk_that_fills_up_loses_and_tears_nothing(mount_disk):
    path = mount_disk("size=64k") / "study" / "records.jsonl"
    ledger = Ledger(path)
    ledger.append(record("a"))
    ballast = fill(path.parent)
    with pytest.raises(UserError) as error:
        append_until_full(ledger)
    assert str(error.value) == (
        f"{path}: cannot write a record: No space left on device; free space or fix permissions, then run the same "
        "command again"
    )
    kept = [r.key for r in ledger]
    assert [r.key for r in Ledger(path)] == kept
    assert path.read_bytes().endswith(b"\n")  # what was written of the line is taken back
    ballast.unlink()
    ledger.append(record("c"))
    assert [r.key for r in Ledger(path)] == [*kept, "c"]


def test_a_ledger_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot read the ledger: Is a directory"):
        Ledger(tmp_path)
