"""The standard streams, whatever they are: without some characters, without a reader, or closed from the start."""

import codecs
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TextIO

READER_GONE = 141  # the exit code of a program that SIGPIPE ended
IN_ASCII = {"±": "+-", "…": "...", "\N{NO-BREAK SPACE}": " "}


def prepare_streams() -> None:
    """Make the standard streams take any text: a character that the terminal lacks is written another way.

    A stream that is closed is replaced by one that takes everything, lest a file is opened under its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    codecs.register_error("written_another_way", _written_another_way)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="written_another_way")


def _written_another_way(error: UnicodeError) -> tuple[bytes, int]:
    """For what cannot be encoded: characters of our own in ASCII, bytes of file names as they are, or `\\xe9`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return b"".join(map(_ascii, characters)), error.end


def _ascii(character: str) -> bytes:
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is no UTF-8
        return character.encode("ascii", "surrogateescape")
    return IN_ASCII.get(character, character).encode("ascii", "backslashreplace")


def complain(line: str) -> None:
    """Print a line on stderr, if anyone reads it."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        write_nowhere(sys.stderr)


def end_if_reader_is_gone() -> None:
    """End the program, as SIGPIPE would, if nothing reads the output any more (`| head`)."""
    if _reader_is_gone():
        write_nowhere(sys.stdout)
        sys.exit(READER_GONE)


def _reader_is_gone() -> bool:
    try:
        sys.stdout.flush()
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # for errors alone
    except BrokenPipeError:
        return True
    except (AttributeError, io.UnsupportedOperation):  # a system without poll, a stream in memory
        return False
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def run_and_exit(main: Callable[[], int | None]) -> NoReturn:
    """Run a program and end with the exit code that it returns or ends with.

    What is left of the output is written before Python would, which could no longer say that a disk is full (OSError).
    """
    prepare_streams()
    try:
        code = main()
    except SystemExit as stop:
        code = stop.code
    except BrokenPipeError:
        end_if_reader_is_gone()
        raise
    try:
        end_if_reader_is_gone()
    except OSError:
        write_nowhere(sys.stdout)
        if not code:  # else it has said what is wrong
            raise
    sys.exit(code)


def write_nowhere(stream: TextIO) -> None:
    """Give up on a stream, so that what is left to write does not fail again when the program ends."""
    with suppress(OSError, ValueError):  # a stream in memory has no number
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
