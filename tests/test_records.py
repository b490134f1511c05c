"""The ledger: what is appended is found again, whatever happens in between."""

import contextlib
import itertools
import json
import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.leases import turn
from nars.records import Ledger, Record, training_key
from nars.settings import ProtocolSettings, Recipe, parse
from nars.spaces.candidate import Candidate

CANDIDATE = Candidate(architecture={"stem_width": 16}, recipe={"lr": 0.021})


def record(key: str = "a", *, status: str = "finished", accuracies=(0.1, 0.2, 0.3), **given) -> Record:
    values = {
        "key": key,
        **CANDIDATE.to_dict(),
        "training": {"data": "digits"},
        "seed": 0,
        "epochs": 3,
        "status": status,
        "accuracies": tuple(accuracies),
        "costs": {"macs": 6e8, "params": 8e6},
        "seconds": 1.5,
    }
    return Record(**(values | given))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "study" / "records.jsonl"


def test_what_is_appended_is_found_again(path):
    ledger = Ledger(path)
    assert len(ledger) == 0
    assert not path.exists()
    records = [record(key, accuracies=(i / 10, 0.123456789012345)) for i, key in enumerate("abc")]
    for r in records:
        ledger.append(r)
    for reader in (ledger, Ledger(path)):
        assert list(reader) == records
        assert [reader.find(key, 2) for key in "abc"] == records
        assert reader.find("d", 1) is None
    assert Ledger(path).find("a", 2).candidate == CANDIDATE


def test_every_field_comes_back_exactly(path):
    full = record(
        status="failed",
        accuracies=(),
        epochs=7,
        seconds=0.1 + 0.2,
        reason="broken\nline",
        versions={"torch": "2"},
        seed=5,
    )
    Ledger(path).append(full)
    assert list(Ledger(path)) == [full]
    line = path.read_text()
    assert line.count("\n") == 1
    assert json.loads(line)["schema"] == 1


def test_a_name_that_is_no_utf8_spoils_no_ledger(path):
    odd, other = record("a", reason="/photos/caf\udce9/ä.jpg"), record("b")
    for r in (odd, other):
        Ledger(path).append(r)
    assert list(Ledger(path)) == [odd.model_copy(update={"reason": "/photos/caf?/ä.jpg"}), other]


@pytest.mark.parametrize(
    ("kept", "epochs", "answers"),
    [
        (record(), 3, True),
        (record(), 1, True),
        (record(), 4, False),
        (record(epochs=5), 4, False),
        (record(status="diverged", accuracies=(0.1,)), 1, True),
        (record(status="diverged", accuracies=()), 100, True),
        (record(status="failed", accuracies=()), 1, False),
    ],
)
def test_a_record_answers_what_it_knows(path, kept, epochs, answers):
    assert kept.answers(epochs) == answers
    Ledger(path).append(kept)
    assert Ledger(path).find("a", epochs) == (kept if answers else None)


def test_accuracies_by_epoch():
    assert [record().accuracy_at(epoch) for epoch in (1, 2, 3, 4)] == [0.1, 0.2, 0.3, 0.0]
    assert record(status="diverged", accuracies=(0.4,)).accuracy_at(2) == 0.0


SHORT = record(accuracies=(0.1, 0.2), epochs=2)
LONG = record(accuracies=(0.1, 0.2, 0.3, 0.4), epochs=4)
DIVERGED = record(status="diverged", accuracies=(0.1, 0.2, 0.3), epochs=4)
DIVERGED_NEXT = record(status="diverged", accuracies=(0.1, 0.2), epochs=4)
DIVERGED_EARLY = record(status="diverged", accuracies=(0.1,), epochs=4)
FAILED = record(status="failed", accuracies=(), epochs=4)


@pytest.mark.parametrize(
    ("appended", "kept"),
    [
        ([SHORT, LONG], LONG),
        ([LONG, SHORT], LONG),
        ([FAILED, SHORT], SHORT),
        ([SHORT, FAILED], SHORT),
        ([FAILED, DIVERGED], DIVERGED),
        ([DIVERGED, FAILED], DIVERGED),
        ([SHORT, DIVERGED], DIVERGED),
        ([SHORT, DIVERGED_NEXT], DIVERGED_NEXT),
        ([SHORT, DIVERGED_EARLY], DIVERGED_EARLY),
        ([LONG, SHORT, FAILED], LONG),
    ],
)
def test_of_two_records_of_a_key_the_one_that_answers_more_is_kept(path, appended, kept):
    """The ledger that wrote them and one that reads them agree, so that no training is asked for for ever."""
    ledger = Ledger(path)
    for r in appended:
        ledger.append(r)
    for reader in (ledger, Ledger(path)):
        assert [r.content() for r in reader] == [kept.content()]
        for epochs in range(1, 6):
            found = reader.find("a", epochs)
            assert (found and found.content()) == (kept.content() if kept.answers(epochs) else None)


def test_what_an_epoch_took_stays_when_a_training_goes_on(path):
    """Else what a search chose by it would no longer follow from the ledger."""
    ledger = Ledger(path)
    ledger.append(record(accuracies=(), status="failed", seconds=7.0))
    assert ledger.get("a").seconds_per_epoch == 7.0
    ledger.append(record(accuracies=(0.1, 0.2, 0.3), seconds=6.0))
    assert ledger.get("a").seconds_per_epoch == 2.0
    for epochs, seconds in ((4, 400.0), (5, 1.0)):
        ledger.append(record(accuracies=(0.1, 0.2, 0.3, 0.3, 0.4)[:epochs], seconds=seconds))
        for reader in (ledger, Ledger(path)):
            assert (len(reader.get("a").accuracies), reader.get("a").seconds) == (epochs, seconds)
            assert reader.get("a").seconds_per_epoch == 2.0
    assert "pace" not in path.read_text()


def test_keys_are_of_candidate_training_and_seed():
    training = {"data": "digits", "protocol": {"batch_size": 16}}
    key = training_key(CANDIDATE, training, 0)
    assert key == training_key(Candidate(**CANDIDATE.to_dict()), dict(reversed(training.items())), 0)
    others = [
        training_key(Candidate(architecture={"stem_width": 18}, recipe=CANDIDATE.recipe), training, 0),
        training_key(Candidate(architecture=CANDIDATE.architecture, recipe={"lr": 0.022}), training, 0),
        training_key(CANDIDATE, training | {"data": "folder"}, 0),
        training_key(CANDIDATE, training | {"protocol": {"batch_size": 32}}, 0),
        training_key(CANDIDATE, training, 1),
    ]
    assert len({key, *others}) == 6


GOLDEN = {  # by version 0.1, of the digits in protocol=digits and seed 1; candidates are points of the tiny spaces
    "9483bbf1feab53f6": [0.02, "rmsprop", True, 0.1, 0.0, 0.2, 1e-05],
    "88e4a02116b7570c": [0.03, "sgd", False, 0.0, 0.1, 0.0, 1e-05],
    "39e63f48017c864c": [0.02, "rmsprop", False, 0.1, 0.1, 0.2, 1e-05],
}


def test_keys_stay_what_they_were(tiny_joint, conf):
    training = {"data": "7e47443a12ff9efa", "precision": "32-true"}
    protocol = parse(ProtocolSettings, conf("protocol", "digits"))
    training["protocol"] = protocol.model_dump(mode="json", exclude={"epochs"})
    for point, (key, recipe) in zip(tiny_joint.sample(3, 0), GOLDEN.items(), strict=True):
        candidate = tiny_joint.candidate(point)
        assert list(candidate.recipe.values()) == recipe
        assert training_key(candidate, training, 1) == key


@pytest.mark.parametrize("seed", range(3))
def test_a_candidate_has_one_key_however_it_is_written(tiny_joint, seed):
    """Whole numbers for others, neutral keys and None left out or not, in any order."""
    rng = random.Random(seed)

    def rewritten(values):
        if isinstance(values, list):
            return [rewritten(value) for value in values]
        if not isinstance(values, dict):
            return int(values) if isinstance(values, float) and values.is_integer() else values
        return {key: rewritten(values[key]) for key in rng.sample(list(values), len(values))}

    for candidate in map(tiny_joint.candidate, tiny_joint.sample(30, seed)):
        other = rewritten(candidate.to_dict())
        for key, neutral in Recipe.neutral().items():
            if key not in other["recipe"]:
                other["recipe"][key] = neutral
            elif other["recipe"][key] == neutral and rng.random() < 0.5:
                del other["recipe"][key]
        other["architecture"]["stages"][0]["first_padding"] = None
        assert training_key(Candidate(**other), {}, 0) == training_key(candidate, {}, 0)
        assert Candidate(**other).checked() == candidate
        other["recipe"]["dropout"] = 0.5
        assert training_key(Candidate(**other), {}, 0) != training_key(candidate, {}, 0)


def test_blocks_have_one_key_however_they_are_written():
    def key(**changes) -> str:
        block = {"width": 24, "kernel": 3, "expansion": 4.0} | changes
        whole = {"resolution": 64, "stem_width": 16, "head": {"expansion": 6, "width": 64}}
        architecture = whole | {"stages": [{"stride": 2, "blocks": [block]}]}
        return training_key(
            Candidate(architecture=architecture, recipe=Recipe(lr=0.1, optimizer="sgd").to_dict()), {}, 0
        )

    same = ({}, {"expansion": 4}, {"groups": 1}, {"skip": False}, {"se": False}, {"activation": "hswish"})
    assert len({key(**changes) for changes in same}) == 1
    assert key(expansion=4.5) != key()


def test_protocols_have_one_key_however_they_are_written(conf):
    given = conf("protocol", "digits")
    whole = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value for key, value in given.items()
    }
    left_out = {key: given[key] for key in ("epochs", "batch_size")}
    defaults = parse(ProtocolSettings, left_out).model_dump(mode="json")
    for first, second in ((given, whole), (left_out, dict(reversed(defaults.items())))):
        dumps = [parse(ProtocolSettings, values).model_dump(mode="json") for values in (first, second)]
        keys = {training_key(CANDIDATE, {"protocol": protocol}, 0) for protocol in dumps}
        assert len(keys) == 1


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


def test_an_empty_file_and_empty_lines_are_fine(path):
    path.parent.mkdir()
    path.write_text("")
    assert len(Ledger(path)) == 0
    Ledger(path).append(record("a"))
    path.write_text("\n" + path.read_text() + "\n")
    Ledger(path).append(record("b"))
    assert [r.key for r in Ledger(path)] == ["a", "b"]


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


def test_a_ledger_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot read the ledger: Is a directory"):
        Ledger(tmp_path)


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


def test_a_record_names_its_metric_unless_it_is_the_accuracy():
    plain = record()
    assert "metric" not in plain.content()
    other = plain.model_copy(update={"metric": "map"})
    assert other.content()["metric"] == "map"
    assert Record.read(json.dumps(other.content())) == other
