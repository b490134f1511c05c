"""The terminal of all scripts: text comes out as it is, on any terminal."""

import sys

from rich.console import Console

from nars.streams import READER_GONE, prepare_streams, write_nowhere

NARROWEST, USUAL = 20, 80  # columns; a terminal that says it has fewer does not know


class PlainConsole(Console):
    """A `Console` that ends the program quietly, as other commands end, when its reader goes away (`| head`)."""

    def on_broken_pipe(self) -> None:
        """See `Console`."""
        write_nowhere(sys.stdout)
        raise SystemExit(READER_GONE)


def open_console() -> Console:
    """The console on the standard output, in which brackets and colons of paths are no styles and no emojis."""
    prepare_streams()
    console = PlainConsole(markup=False, highlight=False, emoji=False)
    if console.width < NARROWEST:
        console.width = USUAL
    return console
