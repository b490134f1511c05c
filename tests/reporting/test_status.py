"""How far a study is: the line of `--status`, and the report that keeps up with a search."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nars.leases import LEASE_SECONDS
from nars.reporting.facts.sections import sections_of
from nars.reporting.facts.status import status_line
from nars.reporting.page.report import write_report
from nars.reporting.screen.live import LiveReport
from nars.study.answers import write_unfinished
from nars.study.folder import read_study
from nars.study.summary import nothing_found, summary_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def in_round_one(tiny_maker):
    """The maker of a search of 2 rounds of 4 for 2 epochs, before its first round is done."""
    return begun(tiny_maker("strategy.rounds=2", "strategy.batch=4", "protocol.epochs=2"))


def begun(maker):
    """Its search has written what it does, and nothing else."""
    settings = maker.settings.model_dump(mode="json")
    label, started = maker.constraint.label, datetime.now(UTC)
    epochs = maker.settings.protocol.epochs
    write_unfinished(
        maker.answer_folder, summary_of(nothing_found(epochs), constraint=label, settings=settings, started=started)
    )
    return maker


def claim(maker, key: str, *, age: float = 0.0) -> None:
    file = maker.folder / "trainings" / key / "claim"
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, (time.time() - age,) * 2)


def trained(maker, n: int):
    return list(maker.evaluate([maker.space.candidate(point) for point in maker.pool[:n]], 2, title=""))


def test_a_search_in_its_first_round(in_round_one):
    claim(in_round_one, "a"), claim(in_round_one, "b"), claim(in_round_one, "dead", age=2 * LEASE_SECONDS)
    line = status_line(read_study(in_round_one.folder))
    assert line == (
        "tiny: nothing measured with macs <= 2M, 0 trained, round 1 of 2, 8 pending, 2 of them running, "
        "time left unknown"
    )
    records = trained(in_round_one, 3)
    best = max(records, key=lambda record: record.accuracies[-1])
    line = status_line(read_study(in_round_one.folder))
    assert f"best measured {best.accuracies[-1]:.3f} with macs <= 2M (" in line
    assert f"{best.candidate.name}, epoch 2)" in line
    # 1.5 s each, 5 to go, 2 at a time
    assert line.endswith("3 trained, round 1 of 2, 5 pending, 2 of them running, about 4 s left")


@pytest.mark.parametrize(("batch", "first", "pending"), [(4, None, 8), (4, 2, 6), (4, 6, 10), (1, None, 3), (1, 4, 5)])
def test_what_is_left_counts_a_first_batch_of_another_size(tiny_maker, batch, first, pending):
    maker = tiny_maker("strategy.rounds=2", f"strategy.batch={batch}", f"strategy.first_batch={first or 'null'}")
    begun(maker)
    assert f"round 1 of 2, {pending} pending, 0 of them running" in status_line(read_study(maker.folder))


def test_a_search_that_stands_still_says_so(in_round_one):
    trained(in_round_one, 1)
    line = status_line(read_study(in_round_one.folder))
    assert line.endswith("7 pending, 0 of them running, no process trains: the command that started it goes on")


def test_the_round_that_goes_on_is_in_the_report(in_round_one):
    records = trained(in_round_one, 3)
    [section] = sections_of(read_study(in_round_one.folder))
    assert [c.record.key for c in section.rounds[1]] == [record.key for record in records]
    page = write_report([in_round_one.folder], live=True).read_text()
    assert "not finished, 0 of 2 rounds done" in page
    assert 'id="live"' in page
    assert 'id="live"' not in write_report([in_round_one.folder]).read_text()


def test_a_finished_study_and_records_alone(tiny_maker):
    maker = tiny_maker("strategy.rounds=1", "strategy.batch=4")
    maker.answer(maker.run_rounds())
    assert status_line(read_study(maker.folder)).endswith("4 trained, finished")
    alone = tiny_maker(name="alone")
    trained(alone, 2)
    assert status_line(read_study(alone.folder)).startswith("alone: best measured 0.")


def test_the_command_works_from_any_folder(in_round_one, tmp_path):
    folder = in_round_one.folder.relative_to(tmp_path)
    command = [sys.executable, "-m", "nars.reporting", "--status", str(folder), str(folder)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == f"{status_line(read_study(in_round_one.folder))}\n" * 2, done.stderr
    assert not (in_round_one.folder / "report.html").exists()


class Shown:
    """A display that keeps what it is told."""

    def __init__(self):
        self.told = []

    def start(self, title, total):
        self.told.append((title, total))

    def update(self, done, note=""):
        self.told.append((done, note))

    def stop(self):
        self.told.append("stop")


@pytest.mark.parametrize(("seconds", "writings"), [(0.0, 3), (1e6, 1)])
def test_a_report_is_written_when_work_begins_and_now_and_then(seconds, writings):
    display, written = Shown(), []
    live = LiveReport(display, lambda live: written.append(live), seconds=seconds)
    live.start("round 1", 8)
    live.update(1, "note")
    live.update(2)
    live.stop()
    assert written == [True] * writings
    live.settle()
    live.settle()
    assert written == [True] * writings + [False]
    assert display.told == [("round 1", 8), (1, "note"), (2, ""), "stop"]
