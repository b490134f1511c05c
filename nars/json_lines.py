"""Files of one JSON object a line, to which several processes of several machines append.

What was written is never changed again, so that nobody can cut off what another is about to finish. A line that a kill
or a full disk tore stays where it is, ended by the next one that is appended, and readers pass over it.
"""

import errno
import gzip
import json
import os
import re
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nars.files import sync
from nars.leases import turn

WAIT_SECONDS = 600.0  # for one that appends; what it has to write takes milliseconds


class Line(NamedTuple):
    """Line `number` of a file (1 = the first), without its end."""

    number: int
    text: bytes


class NewLines:
    """The lines of one file, read as far as they are there, each once; of a file `.gz` its content."""

    def __init__(self, path: Path):
        self.path = path
        self._bytes_read = 0
        self._lines_ended = 0

    def read(self) -> list[Line]:
        """Lines that are not empty and were appended since the last time, by any process; OSError if the file cannot
        be read, none if there is no file.

        What follows the last line end is a line if it is a whole object; else it is still being written, or torn.
        """
        try:
            with _open(self.path) as file:
                file.seek(self._bytes_read)
                *ended, last = file.read().split(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise OSError(errno.EINVAL, "not a whole gzip file") from None
        first = self._lines_ended + 1
        self._bytes_read += sum(len(text) + 1 for text in ended)
        self._lines_ended += len(ended)
        if parse_object(last) is not None:
            self._bytes_read += len(last)
            ended.append(last)
        return [Line(number, text) for number, text in enumerate(ended, start=first) if text.strip()]


def _open(path: Path):
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")


def append_line(path: Path, content: dict) -> None:
    """Write one object and wait until it is on disk; OSError if that cannot be done, with the file as it was.

    One process at a time does so; that each line is begun and ended by its own writer, in one piece, keeps all lines
    readable where that fails. Of a name of a file that is no UTF-8, what cannot be read back becomes `?`.
    """
    append_text(path, json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n")


def append_text(path: Path, line: str, *, head: str = "") -> None:
    """The same for a line of any text that ends in a line end; `head` goes before the first one of a file."""
    text = line.encode(errors="replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    claim = path.with_name(f"{path.name}.claim")
    with turn(claim, wait_seconds=WAIT_SECONDS), open(path, "ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        torn = size > 0 and _last_byte(file, size) != b"\n"
        begin = head.encode() if size == 0 else b"\n" if torn else b""
        _write_or_take_back(file, begin + text, size)


def parse_object(text: str | bytes) -> dict | None:
    """The object that a text holds, None if it is no whole JSON object."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def whole_objects(text: bytes, *, begin: str) -> list[str]:
    """The whole objects, each beginning with `begin`, in a line into which several processes wrote."""
    line, decoder, found = text.decode(errors="replace"), json.JSONDecoder(), []
    for match in re.finditer(re.escape(begin), line):
        with suppress(ValueError):
            _, end = decoder.raw_decode(line, match.start())
            found.append(line[match.start() : end])
    return found


def _last_byte(file, size: int) -> bytes:
    file.seek(size - 1)
    return file.read(1)


def _write_or_take_back(file, text: bytes, size: int) -> None:
    """Append to a file of `size` bytes; what an error left of it is cut off again if it is still the file's end."""
    written = 0
    try:
        while written < len(text):
            written += file.write(text[written:])
        sync(file)
    except OSError:
        with suppress(OSError):
            if file.seek(0, os.SEEK_END) == size + written:
                file.truncate(size)
        raise
