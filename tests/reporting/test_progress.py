"""How far long work is, on terminals of all kinds."""

import io
import re

import pytest
from rich.console import Console

from nars.reporting.screen.progress import ProgressDisplay


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
