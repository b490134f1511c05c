"""How far long work is, on terminals of all kinds."""

import io
import re

import pytest
from rich.console import Console

from nars.reporting.screen.progress import ProgressDisplay, time_left


def shown(terminal: bool, term: str) -> str:
    output = io.StringIO()
    console = Console(
        file=output, force_terminal=terminal, width=80, markup=False, highlight=False, _environ={"TERM": term}
    )
    progress = ProgressDisplay(console)
    progress.start("training [v2]", total=2)
    progress.update(1, "half of it [b]")
    progress.update(2, "all of it [/b]")
    progress.stop()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())  # without what moves the cursor


@pytest.mark.parametrize(("terminal", "term"), [(True, "xterm"), (True, "dumb"), (False, "xterm")])
def test_every_terminal_is_told_what_is_done_and_how_it_ended(terminal, term):
    text = shown(terminal, term)
    assert text.splitlines()[-1] == "  training [v2]: 2/2 in 0 s  all of it [/b]"
    assert ("training [v2] ..." in text) == (not terminal or term == "dumb")


@pytest.mark.parametrize(
    ("done", "known", "took", "since", "left"),
    [
        (0, 0, 0, 100, None),  # nothing is done yet
        (2, 2, 0, 100, None),  # ... but by an earlier run
        (2, 0, 100, 0, 400),
        (2, 0, 100, 40, 360),  # in the middle of a step, however long it takes
        (6, 4, 100, 0, 200),  # the speed is that of this run
        (2, 0, 100, 900, 0),
        (10, 0, 100, 0, None),
    ],
)
def test_the_time_left_follows_the_steps_of_this_run(done, known, took, since, left):
    assert time_left(done, 10, known=known, took=took, since=since) == left


def test_a_line_says_how_long_the_rest_takes():
    output = io.StringIO()
    display = ProgressDisplay(Console(file=output, width=100))
    display.start("work", total=4)
    display.update(1)
    display._begun -= 100  # one step was known, and the next took so long
    display.update(2)
    display._print_line()
    assert "work: 2/4 in 0 s  about 3 min left" in output.getvalue()
    display.update(4)
    display.stop()
    assert output.getvalue().splitlines()[-1] == "  work: 4/4 in 0 s"
