"""The ledger: what is appended is found again."""

import json

import pytest

from nars.records import Ledger, Record
from tests.records.conftest import CANDIDATE, record


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


def test_an_empty_file_and_empty_lines_are_fine(path):
    path.parent.mkdir()
    path.write_text("")
    assert len(Ledger(path)) == 0
    Ledger(path).append(record("a"))
    path.write_text("\n" + path.read_text() + "\n")
    Ledger(path).append(record("b"))
    assert [r.key for r in Ledger(path)] == ["a", "b"]


def test_a_record_names_its_metric_unless_it_is_the_accuracy():
    plain = record()
    assert "metric" not in plain.content()
    other = plain.model_copy(update={"metric": "map"})
    assert other.content()["metric"] == "map"
    assert Record.read(json.dumps(other.content())) == other
